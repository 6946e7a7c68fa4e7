/**
 * Asks the model, and pays at most once. What is bought is named by the intent's key: whoever asks again, after whatever happened, gets the answer that is stored, or learns
 * that nobody knows whether it was paid for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import { isLoopback } from '../platform/config/sections/model.ts';
import type { Database } from '../platform/database/database.ts';
import { isDatabaseAway, messageOf, PermanentError, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { ModelClient, Prompt } from './client.ts';
import {
  dollars,
  feeOf,
  type Intent,
  markSent,
  markUnknown,
  NO_READER,
  readIntent,
  release,
  reserve,
  type Spend,
  settle,
  storeAnswer,
} from './spend.ts';

export interface Asking {
  db: Database;
  clock: Clock;
  model: Config['model'];
  client: ModelClient;
  log: Logger;
}

/** Nobody knows whether the call was run and paid for. It counts as paid; an operator settles it, or allows to pay again. */
export class PaymentUnknownError extends PermanentError {
  readonly spend: Spend;
  constructor(spend: Spend) {
    super(
      'model.payment_unknown',
      `call ${spend.id} to ${spend.provider} was cut off and may have been paid for (${spend.error ?? 'its process ended'}); it counts as paid until it is settled`,
    );
    this.spend = spend;
  }
}

/** Between looks at a call that another process reads, in milliseconds. */
const LOOK_MS = 1_000;
/** Seconds beyond its deadline that a call's reader has to store what it read. */
const STORING_S = 10;
/** Tries to store an answer, while the database is away: the answer was paid for. */
const STORE_TRIES = 60;

/**
 * The answer to a prompt: the stored one where it was bought before, else a new one. `signal` gives up the wait; a request that has left goes on, and its answer is stored.
 * Errors: `PaymentUnknownError`; `PermanentError('model.cap_reached' | 'model.off' | 'model.no_price' | 'model.refused')`; `TransientError('model.unavailable')` for calls that
 * were certainly not run.
 */
export async function ask(asking: Asking, intent: Intent, prompt: Prompt, signal: AbortSignal): Promise<Spend> {
  const { db, clock, model } = asking;
  checkConfigured(model);
  const request = JSON.stringify(prompt);
  for (;;) {
    signal.throwIfAborted();
    const spend = await reserve(db, clock, model, { intent, request, promptBytes: Buffer.byteLength(prompt.system + prompt.user) });
    if (spend.state === 'answered' || spend.state === 'settled') return finish(asking, spend);
    if (spend.state === 'unknown') throw new PaymentUnknownError(spend);
    if (spend.state === 'sent') {
      await waitFor(asking, spend, signal);
      continue;
    }
    const now = clock.now();
    const deadline = now.add({ milliseconds: model.timeout * 1000 });
    // Another attempt of the same job may be here too: only one of them sends.
    if (!(await markSent(db, spend.id, dateOf(now), dateOf(deadline)))) continue;
    await untilAborted(send(asking, spend.id, prompt), asking.log, spend.id, signal);
  }
}

/** Ends the key of a call that is paid for again, after one whose payment is unknown. */
const AGAIN = ':again';

/**
 * As `ask`. Where `payAgain` allows it, a call whose payment is unknown is made again, once, as a purchase of its own; what was bought so stays the answer, also where nobody
 * allows it any more. Gives the calls that may have been paid for, the one with the answer last.
 */
export async function askOrPayAgain(
  asking: Asking,
  intent: Intent,
  prompt: Prompt,
  payAgain: boolean,
  signal: AbortSignal,
): Promise<Spend[]> {
  const again = { ...intent, key: intent.key + AGAIN };
  const [first, second] = await Promise.all([readIntent(asking.db, intent.key), readIntent(asking.db, again.key)]);
  if (first !== undefined && second !== undefined && second.state !== 'released') return [first, await ask(asking, again, prompt, signal)];
  try {
    return [await ask(asking, intent, prompt, signal)];
  } catch (error) {
    if (!(error instanceof PaymentUnknownError && payAgain)) throw error;
    return [error.spend, await ask(asking, again, prompt, signal)];
  }
}

/** Errors: `PermanentError('model.off' | 'model.no_price')`. */
export function checkConfigured(model: Config['model']): void {
  if (model.base_url === null || model.name === null)
    throw new PermanentError('model.off', 'no language model is configured (model.base_url, model.name)');
  if (!isLoopback(model.base_url) && (model.price_in === null || model.price_out === null))
    throw new PermanentError(
      'model.no_price',
      `what ${new URL(model.base_url).host} costs is not configured (model.price_in, model.price_out)`,
    );
}

/** Sends the request and writes what became of it. Errors: those of a call that was certainly not run; a call that may have been run is `unknown` and no error here. */
async function send(asking: Asking, id: number, prompt: Prompt): Promise<void> {
  const { db, clock, client, model, log } = asking;
  const outcome = await client.complete(prompt, AbortSignal.timeout(model.timeout * 1000));
  if (outcome.kind === 'answered') {
    await stored(log, id, () => storeAnswer(db, id, dateOf(clock.now()), outcome.answer));
    return;
  }
  if (outcome.kind === 'unknown') {
    await stored(log, id, () => markUnknown(db, id, outcome.error));
    return;
  }
  await stored(log, id, () => release(db, id, dateOf(clock.now()), outcome.error));
  if (outcome.permanent) throw new PermanentError('model.refused', outcome.error);
  throw new TransientError(
    'model.unavailable',
    outcome.error,
    outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs },
  );
}

/** The database may be away when an answer comes: it was paid for, so it is kept here until it can be stored. */
async function stored(log: Logger, id: number, store: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await store();
      return;
    } catch (error) {
      if (!isDatabaseAway(error) || tries === STORE_TRIES) throw error;
      log.warn({ spendId: id }, `the outcome of a paid call waits for the database: ${messageOf(error)}`);
      await delay(LOOK_MS);
    }
  }
}

/** Another process has sent it. Its reader stores the answer, or it is unknown once its deadline is over. */
async function waitFor({ db, clock }: Asking, { id, intentKey, deadline }: Spend, signal: AbortSignal): Promise<void> {
  const end = (deadline?.getTime() ?? 0) + STORING_S * 1000;
  while (clock.now().epochMilliseconds <= end) {
    await delay(LOOK_MS, undefined, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    });
    const seen = await readIntent(db, intentKey);
    if (seen?.state !== 'sent') return;
  }
  await markUnknown(db, id, NO_READER);
}

/** Books an answered call. */
async function finish({ db, clock, model, log }: Asking, spend: Spend): Promise<Spend> {
  if (spend.state === 'settled') return spend;
  await settle(db, spend.id, dateOf(clock.now()), feeOf(model));
  const settled = (await readIntent(db, spend.intentKey)) as Spend;
  if ((settled.settledMicros ?? 0) > settled.reservedMicros)
    log.warn(
      { spendId: settled.id },
      `a call for ${settled.purpose} cost ${dollars(settled.settledMicros as number)}, and ${dollars(settled.reservedMicros)} was reserved: the next ones reserve more; see model.reserve_usd`,
    );
  return settled;
}

/** The call, or the signal's reason as soon as it aborts. The call goes on then: what it brings was paid for, and whoever asks next finds it. */
async function untilAborted(call: Promise<void>, log: Logger, id: number, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => {
    call.catch((error: unknown) => log.warn({ spendId: id }, `a call that nobody waited for any more ended: ${messageOf(error)}`));
    aborted.reject(signal.reason);
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([call, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

const dateOf = (instant: Temporal.Instant): Date => new Date(instant.epochMilliseconds);
