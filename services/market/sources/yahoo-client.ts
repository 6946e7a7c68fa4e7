import YahooFinance from 'yahoo-finance2';
import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { PermanentError, type StockmeshError, TransientError } from '../../platform/errors.ts';
import type { Budget } from './failover-source.ts';
import { BLOCKING, type Fetch, fetchText, type HttpAnswer } from './http.ts';

const source = 'yahoo_finance';
const SILENT = { info() {}, warn() {}, error() {}, debug() {}, dir() {} };

/** Moments are seconds, or Date where the library has converted them. */
export const EpochSeconds = z.union([z.number(), z.date().transform((date) => date.getTime() / 1000)]);

/** The error with which Yahoo refuses a request. */
export interface Refusal {
  code: string;
  description: string;
}
/** `{"chart":{"result":null,"error":{…}}}`, or `optionChain`, or `finance` for errors of all its interfaces. */
const RefusedAnswer = z.record(z.string(), z.object({ error: z.object({ code: z.string(), description: z.string() }) }));

type YahooClient = InstanceType<typeof YahooFinance>;

/** The library, silent and without its own queue and schema checks: pass `{ validateResult: false, fetch: yahooFetch(…) }` with each request. */
export function yahooClient(): YahooClient {
  const client = new YahooFinance({
    logger: SILENT,
    suppressNotices: ['yahooSurvey', 'ripHistorical'],
    versionCheck: false,
    validation: { logErrors: false, logOptionsErrors: false },
    // The library's queue has no abort and no time-out (`queue.timeout` is never read). The caller's budget limits the requests.
    queue: { concurrency: Number.POSITIVE_INFINITY },
  });
  forgetCrumb(client);
  return client;
}

/**
 * Makes the client fetch a new cookie and crumb for its next request that needs them. The library never renews them: it keeps the crumb as long as the cookie jar exists,
 * even after Yahoo has refused it or the cookie has expired. The class of the jar is exported as a type only.
 */
export function forgetCrumb(client: YahooClient): void {
  const Jar = client._opts.cookieJar!.constructor as new () => NonNullable<typeof client._opts.cookieJar>;
  client._opts.cookieJar = new Jar();
}

/**
 * The `fetch` for one request about `symbol`: throws `PermanentError('source.unknown_symbol')`; `TransientError` `source.blocked` where Yahoo refuses this caller,
 * `source.refused` for its other refusals and for a status that is not an answer; and the errors of `fetchText`. `refused` is called first with each refusal. With a `budget`, each request takes one token of it.
 * Requests for the cookie and crumb are not checked and not aborted: all concurrent requests share them.
 */
export function yahooFetch(
  { fetch, clock, timeoutMs, budget }: { fetch: Fetch; clock: Clock; timeoutMs: number; budget?: Budget | undefined },
  symbol: string,
  signal: AbortSignal,
  refused?: (refusal: Refusal) => void,
): Fetch {
  return async (url, init) => {
    const question = isQuestion(url);
    const until = question ? signal : new AbortController().signal;
    await budget?.(source, until);
    const answer = await fetchText({ source, fetch, clock, timeoutMs }, url, init, until);
    const refusal = question ? refusalOf(answer) : undefined;
    if (refusal !== undefined) {
      refused?.(refusal);
      throw errorOf(refusal, symbol, answer.status);
    }
    return new Response(answer.text === '' ? null : answer.text, { status: answer.status, headers: answer.headers });
  };
}

/** A symbol for messages, with the spelling that Yahoo was asked for where that is another one. */
export const askedAs = (symbol: string, spelled: string): string => (spelled === symbol ? symbol : `${symbol}, asked for as ${spelled}`);

/** Whether a request asks for data, and not for the cookie or crumb. */
export const isQuestion = (url: string | URL | Request): boolean => /\/v\d+\/finance\//.test(String(url));

/** The answer for `symbol` is not the `expected` one, such as "a chart". */
export function malformed(symbol: string, expected: string, reason: string, cause?: unknown): TransientError {
  return new TransientError('source.malformed', `${source}: the answer for ${symbol} is not ${expected}: ${reason.slice(0, 300)}`, {
    cause,
  });
}

/** Yahoo's own refusal, or one made from a status that is not an answer. */
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
  // A 404 means an unknown symbol only when it comes from Yahoo and not from a proxy.
  if (code === 'Not Found') return new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol} (${description})`);
  // Yahoo writes these also with HTTP 200.
  if (code === 'Too Many Requests') return new TransientError('source.rate_limited', `${source}: too many requests (${description})`);
  if (/^(Internal Server Error|Bad Gateway|Service Unavailable|Gateway Timeout)$/.test(code))
    return new TransientError('source.unavailable', `${source}: ${code}: ${description}`);
  if (BLOCKING.has(status) || code === 'Unauthorized' || code === 'Forbidden')
    return new TransientError('source.blocked', `${source}: refuses requests from here with HTTP ${status}: ${code}: ${description}`);
  return new TransientError('source.refused', `${source}: ${symbol} refused with HTTP ${status}: ${code}: ${description}`);
}
