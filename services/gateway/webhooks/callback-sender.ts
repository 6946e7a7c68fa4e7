/** Delivers webhooks: looks for what is due when a job has ended, and every now and then in case the bell was lost. Every gateway does; each callback is taken by one. */
import { randomInt } from 'node:crypto';
import { after } from '../../ledger/job.ts';
import { readJob } from '../../ledger/read/jobs.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { codeOf, messageOf, PermanentError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { deliver } from './callback-delivery.ts';
import { type Due, deleteOldCallbacks, MOST_DUE, type Outcome, takeDue, writeOutcome } from './callbacks.ts';

export interface CallbackSender {
  /** A job has ended: look soon. */
  ring(): void;
  /** Tries by what became of them. */
  readonly counters: Record<Outcome['state'], number>;
  /** Starts no more and waits for those under way. What was not finished is taken again when its lease is over. */
  close(): Promise<void>;
}

/** Jobs end in bursts: one look for all that end within this time. */
const GATHER_MS = 50;
const CLEAN_EVERY_MS = 600_000;
/** A try that nobody finished is taken again after its time-out and this. */
const LEASE_MARGIN_SECONDS = 30;
/** ±20 %, so that a receiver that was away is not met by all at once. */
const JITTER = 0.2;
/** "Gone": the receiver wants no more of it (RFC 9110, 15.5.11). */
const GONE = 410;

export function startCallbacks({ db, clock, config, log }: { db: Database; clock: Clock; config: Config; log: Logger }): CallbackSender {
  const { allow_private: allowPrivate, timeout, backoff, poll_interval } = config.gateway.callbacks;
  const counters: CallbackSender['counters'] = { pending: 0, delivered: 0, failed: 0 };
  const now = (): Date => new Date(clock.now().epochMilliseconds);
  let rung: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let again = false;
  let closed = false;
  let cleanedAt = Number.NEGATIVE_INFINITY;

  async function work(): Promise<void> {
    do {
      again = false;
      try {
        if (performance.now() - cleanedAt > CLEAN_EVERY_MS) {
          cleanedAt = performance.now();
          await deleteOldCallbacks(db, after(now(), -config.jobs.cleanup_after_days * 86_400));
        }
        const due = await takeDue(db, now(), timeout + LEASE_MARGIN_SECONDS);
        await Promise.all(due.map(attempt));
        again ||= due.length === MOST_DUE;
      } catch (error) {
        log.warn({ code: codeOf(error) }, `callbacks wait for the next look: ${messageOf(error)}`);
      }
    } while (again && !closed);
  }

  function look(): void {
    if (closed) return;
    again = true;
    looking ??= work().finally(() => {
      looking = undefined;
    });
  }

  async function attempt(due: Due): Promise<void> {
    const outcome = await send(due);
    counters[outcome.state]++;
    const about = { callback: due.id, jobId: due.jobId, attempt: due.attempt, status: outcome.status };
    if (outcome.state === 'delivered') log.debug(about, 'callback delivered');
    else
      log.warn(
        about,
        `callback ${outcome.state === 'failed' ? 'given up' : `tried again at ${outcome.at.toISOString()}`}: ${outcome.error}`,
      );
    await writeOutcome(db, due.id, outcome);
  }

  async function send({ id, jobId, url, attempt: tries, secret }: Due): Promise<Outcome> {
    let status: number | null = null;
    let error: string;
    let final = false;
    try {
      const body = await bodyOf(id, jobId);
      if (body === undefined) throw new PermanentError('job.unknown', 'its job was deleted (jobs.cleanup_after_days)');
      const timestamp = Math.floor(now().getTime() / 1000);
      status = await deliver({ id, url, secret, body, timestamp }, { timeoutMs: timeout * 1000, allowPrivate });
      if (status >= 200 && status < 300) return { state: 'delivered', status, error: null, at: now() };
      error = `the receiver answered ${status}`;
      final = status === GONE;
    } catch (thrown) {
      error = `${messageOf(thrown)} (${codeOf(thrown)})`;
      final = thrown instanceof PermanentError;
    }
    const pause = backoff[tries - 1];
    if (final || pause === undefined) return { state: 'failed', status, error, at: now() };
    return { state: 'pending', status, error, at: after(now(), pause * (1 + (randomInt(-1000, 1001) / 1000) * JITTER)) };
  }

  async function bodyOf(id: string, jobId: string): Promise<string | undefined> {
    const job = await readJob(db, jobId);
    if (job === undefined) return undefined;
    const { type, symbol, state, attempt: attempts, user, enqueued_at, started_at, ended_at, reason, code, result, items } = job;
    const about = {
      id: jobId,
      type,
      symbol,
      state,
      attempt: attempts,
      user,
      enqueued_at,
      started_at,
      ended_at,
      reason,
      code,
      result,
      items,
    };
    return JSON.stringify({ id, type: `job.${state}`, at: now(), job: about });
  }

  const polling = setInterval(look, poll_interval * 1000);
  look();
  return {
    counters,
    ring() {
      rung ??= setTimeout(() => {
        rung = undefined;
        look();
      }, GATHER_MS);
    },
    async close() {
      closed = true;
      clearInterval(polling);
      clearTimeout(rung);
      await looking;
    },
  };
}
