/** What is asked for by hand and by schedule, as requests for `enqueue`. A login's requests carry a score of their own and are made where logins are. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { InputError } from '../platform/errors.ts';
import type { JobRequest } from './enqueue/enqueue.ts';

export type RequestCause = 'user_request' | 'scheduled_update' | 'background_analysis';

/** Who asked for what reason, and what that means here. */
export interface Origin {
  cause: RequestCause;
  /** Priority by cause: `jobs.priority_rules` of the configuration. */
  rules: Readonly<Record<RequestCause, number>>;
  /** What asked, when that says more than the cause: the name of a schedule. */
  by?: string | undefined;
  /** Who is told when the work is done, and whose slots it takes. */
  user?: string | undefined;
}

/** Within its level such a request stands in the middle: nothing is known of how urgent it is to whom. */
const SCORE = 0.5;
const DAY = z.iso.date();
const LONGEST_NAME = 100;

/** The live work that makes a symbol's bars fresh: the key of a fetch without a range, by whomever it is asked for. */
export const fetchKey = (symbol: string): string => `fetch:${symbol}:bars`;
export const analysisKey = (symbol: string): string => `analysis:${symbol}`;

/** Newest bars of one symbol. */
export function fetchRequest(symbol: string, origin: Origin): JobRequest {
  return request(origin, ruleOf(origin, origin.cause), { type: 'fetch', symbol, payload: { symbol }, dedupeKey: fetchKey(symbol) });
}

/** The analysis of one symbol, after the live work with the keys `after`; by default after a fetch of it, if there is one. */
export function analysisRequest(symbol: string, origin: Origin, after: readonly string[] = [fetchKey(symbol)]): JobRequest {
  // An update by schedule is in time when the prices are: what is computed from them is background work.
  const cause = origin.cause === 'scheduled_update' ? 'background_analysis' : origin.cause;
  return request(origin, ruleOf(origin, cause), { type: 'analysis', symbol, payload: { symbol }, dedupeKey: analysisKey(symbol), after });
}

/** The modes of a ranking. */
export type RankMode = 'monitor' | 'entry' | 'exit';

/** The live or recent work that ranks a symbol's options in a mode. */
export const rankKey = (symbol: string, mode: RankMode): string => `rank:${symbol}:${mode}`;

/**
 * Rankings of symbols' options, a job for each symbol and mode; within `windowSeconds` a request for the same is answered with the same job. `stale`: those whose bars are to be
 * fetched first (`readStale`); for the others a fetch that is under way is waited for too.
 */
export function rankRequests(
  symbols: Iterable<string>,
  modes: readonly RankMode[],
  origin: Origin,
  { windowSeconds, stale }: { windowSeconds: number; stale: ReadonlySet<string> },
): JobRequest[] {
  const cause = origin.cause === 'scheduled_update' ? 'background_analysis' : origin.cause;
  return [...new Set(symbols)].flatMap((symbol) => [
    ...(stale.has(symbol) ? [fetchRequest(symbol, origin)] : []),
    ...[...new Set(modes)].map((mode) =>
      request(origin, ruleOf(origin, cause), {
        type: 'rank',
        symbol,
        payload: { symbol, mode },
        dedupeKey: rankKey(symbol, mode),
        dedupeWindowSeconds: windowSeconds,
        after: [fetchKey(symbol)],
      }),
    ),
  ]);
}

/**
 * Fetches of many symbols in batches of at most `batchSize`, and the analysis of each symbol after its batch. Each symbol once; the same symbols give the same
 * batches, whatever their order.
 */
export function portfolioBatches(symbols: Iterable<string>, batchSize: number, origin: Origin): JobRequest[] {
  const sorted = [...new Set(symbols)].sort();
  const fetches: JobRequest[] = [];
  const analyses: JobRequest[] = [];
  for (let start = 0; start < sorted.length; start += batchSize) {
    const batch = sorted.slice(start, start + batchSize);
    const dedupeKey = `batch_fetch:${createHash('sha256').update(batch.join(' ')).digest('hex')}`;
    fetches.push(request(origin, ruleOf(origin, origin.cause), { type: 'batch_fetch', payload: { symbols: batch }, dedupeKey }));
    // Also after a fetch of its own, if one is under way.
    analyses.push(...batch.map((symbol) => analysisRequest(symbol, origin, [dedupeKey, fetchKey(symbol)])));
  }
  return [...fetches, ...analyses];
}

/**
 * The bars of one symbol from one day to another (`YYYY-MM-DD`, both inclusive), always as background work, whoever asks: no cause has a rule for it, so its
 * priority is `jobs.default_priority`.
 * Errors: `InputError` `history.bad_day`, `history.bad_range`.
 */
export function historyRequest(symbol: string, from: string, to: string, origin: Origin, defaultPriority: number): JobRequest {
  for (const day of [from, to])
    if (!DAY.safeParse(day).success)
      throw new InputError('history.bad_day', `${JSON.stringify(day)} is not a day; write it like 2026-01-31`);
  if (from > to)
    throw new InputError(
      'history.bad_range',
      `the history of ${symbol} from ${from} to ${to} ends before it begins; exchange the two days`,
    );
  const work = { type: 'fetch', symbol, payload: { symbol, range: { from, to } }, dedupeKey: `fetch:${symbol}:${from}:${to}` };
  return request(origin, { level: defaultPriority, of: 'jobs.default_priority' }, work);
}

/** A priority and the name of what gives it. */
interface Rule {
  level: number;
  of: string;
}

const ruleOf = ({ rules }: Origin, cause: RequestCause): Rule => ({ level: rules[cause], of: cause });

function request(
  { cause, by, user }: Origin,
  { level, of }: Rule,
  work: Pick<JobRequest, 'type' | 'symbol' | 'payload' | 'dedupeKey' | 'dedupeWindowSeconds' | 'after'>,
): JobRequest {
  const asker = by === undefined ? cause : `${cause} (${by.slice(0, LONGEST_NAME)})`;
  const text = of === cause ? `${asker}: priority ${level}` : `${asker}: priority ${level}, that of ${of}`;
  return { ...work, level, score: SCORE, why: { text, cause, base: level, priority: level }, triggeredBy: cause, user, whenFull: 'refuse' };
}
