import YahooFinance from 'yahoo-finance2';
import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { PermanentError, type StockmeshError, TransientError } from '../../platform/errors.ts';
import type { Budget } from './failover-source.ts';
import { type Fetch, fetchText, type HttpAnswer } from './http.ts';

const source = 'yahoo_finance';
const SILENT = { info() {}, warn() {}, error() {}, debug() {}, dir() {} };

/** Moments come as seconds, or as Date where the library has converted them. */
export const EpochSeconds = z.union([z.number(), z.date().transform((date) => date.getTime() / 1000)]);

/** What Yahoo says when it does not answer a question. */
export interface Refusal {
  code: string;
  description: string;
}
/** `{"chart":{"result":null,"error":{…}}}`, or `optionChain`, or `finance` for what all its interfaces say. */
const RefusedAnswer = z.record(z.string(), z.object({ error: z.object({ code: z.string(), description: z.string() }) }));

type YahooClient = InstanceType<typeof YahooFinance>;

/** The library, silent and without its own queue and schema checks: pass `{ validateResult: false, fetch: yahooFetch(…) }` with each question. */
export function yahooClient(): YahooClient {
  const client = new YahooFinance({
    logger: SILENT,
    suppressNotices: ['yahooSurvey', 'ripHistorical'],
    versionCheck: false,
    validation: { logErrors: false, logOptionsErrors: false },
    // The library's queue knows no abort and no time-out (`queue.timeout` is never read); how many may ask at once is the caller's budget.
    queue: { concurrency: Number.POSITIVE_INFINITY },
  });
  forgetCrumb(client);
  return client;
}

/**
 * Makes the client fetch a new cookie and crumb for its next question that needs them. By itself the library never does: it remembers the crumb by the jar, for as long as the
 * jar lives, whatever Yahoo or the cookie's expiry says. Its class of jars is exported as a type alone.
 */
export function forgetCrumb(client: YahooClient): void {
  const Jar = client._opts.cookieJar!.constructor as new () => NonNullable<typeof client._opts.cookieJar>;
  client._opts.cookieJar = new Jar();
}

/**
 * The `fetch` for one question about `symbol`: throws `PermanentError('source.unknown_symbol')`, `TransientError('source.refused')` for Yahoo's other refusals and for a
 * status that is no answer, and what `fetchText` throws. `refused` is called first with each refusal. With a `budget`, each request takes one token of it.
 * Pages that only give cookies and crumb pass as they are, and an abort does not stop them: they are for everyone who asks.
 */
export function yahooFetch(
  { fetch, clock, timeoutMs, budget }: { fetch: Fetch; clock: Clock; timeoutMs: number; budget?: Budget | undefined },
  symbol: string,
  signal: AbortSignal,
  refused?: (refusal: Refusal) => void,
): Fetch {
  return async (url, init) => {
    const isQuestion = /\/v\d+\/finance\//.test(String(url));
    const until = isQuestion ? signal : new AbortController().signal;
    await budget?.(source, until);
    const answer = await fetchText({ source, fetch, clock, timeoutMs }, url, init, until);
    const refusal = isQuestion ? refusalOf(answer) : undefined;
    if (refusal !== undefined) {
      refused?.(refusal);
      throw errorOf(refusal, symbol, answer.status);
    }
    return new Response(answer.text === '' ? null : answer.text, { status: answer.status, headers: answer.headers });
  };
}

/** The answer for `symbol` is not what was asked for, like "a chart". */
export function malformed(symbol: string, expected: string, reason: string, cause?: unknown): TransientError {
  return new TransientError('source.malformed', `${source}: the answer for ${symbol} is not ${expected}: ${reason.slice(0, 300)}`, {
    cause,
  });
}

/** Yahoo's own refusal, or one made up for a status that is not an answer. */
function refusalOf({ status, text }: HttpAnswer): Refusal | undefined {
  if (status === 200 && !text.includes('"error":{')) return undefined;
  try {
    const refusal = RefusedAnswer.safeParse(JSON.parse(text));
    if (refusal.success) return Object.values(refusal.data)[0]?.error;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return status === 200 ? undefined : { code: `HTTP ${status}`, description: text.slice(0, 120).trim() };
}

function errorOf({ code, description }: Refusal, symbol: string, status: number): StockmeshError {
  // A 404 of a proxy says nothing about the symbol; Yahoo's own does.
  if (code === 'Not Found') return new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol} (${description})`);
  return new TransientError('source.refused', `${source}: ${symbol} refused with HTTP ${status}: ${code}: ${description}`);
}
