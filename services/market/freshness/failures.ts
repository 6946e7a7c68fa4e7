/**
 * Symbols that the sources have no answer for. A ticker that no source knows would be asked for at each login of each holder; so its failure is stored with the job's own
 * failing, and the symbol is asked for again after a pause that doubles with each failure. Who asks by hand is not held up. A success ends it.
 */
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import { blameOf, blameOfCodes } from '../sources/failover.ts';
import type { SourceAttempt } from '../sources/failover-source.ts';
import { sourceSet } from './freshness.ts';

/** What a source is asked for. */
type Asked = 'bars';

/** A failure that is about the symbol, to be stored. */
export interface FailureRow {
  symbol: string;
  what: Asked;
  sources: string;
  askedAt: Date;
  code: string;
  reason: string;
  /** Minutes. They are the same where some sources could not be asked: they may know the symbol, so the pause does not grow. */
  firstPause: number;
  longestPause: number;
}

interface Surroundings {
  config: Config;
  clock: Clock;
}

const LONGEST_REASON = 500;

/** The row of a failed request for a symbol; undefined when the failure is not about the symbol: sources that are down are no reason to stop asking. */
export function failureOf(symbol: string, error: unknown, around: Surroundings): FailureRow | undefined {
  return rowOf(symbol, blameOf(error), { code: codeOf(error), reason: messageOf(error) }, around);
}

/** The same of an answer that is stored data given again, after the other sources had none. */
export function failureOfAttempts(symbol: string, attempts: readonly SourceAttempt[], around: Surroundings): FailureRow | undefined {
  const failed = attempts.flatMap(({ ok, code, reason = '' }) => (ok || code === undefined ? [] : [{ code, reason }]));
  const blame = blameOfCodes(failed.map(({ code }) => code));
  const code = failed.some((one) => one.code === 'source.unknown_symbol') ? 'source.unknown_symbol' : 'source.all_failed';
  return rowOf(symbol, blame, { code, reason: failed.map(({ reason }) => reason).join('; ') }, around);
}

function rowOf(
  symbol: string,
  blame: ReturnType<typeof blameOf>,
  { code, reason }: Pick<FailureRow, 'code' | 'reason'>,
  { config, clock }: Surroundings,
): FailureRow | undefined {
  if (blame === 'none') return undefined;
  const { failure_pauses } = config.stock_jobs.data_fetch;
  return {
    symbol,
    what: 'bars',
    sources: sourceSet(config),
    askedAt: new Date(clock.now().epochMilliseconds),
    code: code.slice(0, 64),
    reason: reason.slice(0, LONGEST_REASON),
    firstPause: failure_pauses.first,
    longestPause: blame === 'unsure' ? failure_pauses.first : failure_pauses.longest,
  };
}

/** Locks the rows by which freshness finds failures, in the order of all writers of symbols, and makes those that are absent. */
export async function lockSymbols(tx: Transaction, symbols: readonly string[]): Promise<void> {
  const sorted = [...new Set(symbols)].sort();
  await tx.run('INSERT INTO symbols (symbol) VALUES ? ON DUPLICATE KEY UPDATE symbol = VALUES(symbol)', [sorted.map((symbol) => [symbol])]);
}

/**
 * Stores failures, after `lockSymbols`. One that comes after the pause of the last gets a longer pause; one inside of it, of a request by hand, the same again. Those of
 * another set of sources, and those before the last success, do not count.
 */
export async function storeFailures(tx: Transaction, failures: readonly FailureRow[]): Promise<void> {
  if (failures.length === 0) return;
  const sorted = failures.toSorted((a, b) => (a.symbol < b.symbol ? -1 : 1));
  const symbols = sorted.map(({ symbol }) => symbol);
  const rows = await tx.rows<{ symbol: string; what: Asked; sources: string; since: Date; again_at: Date; times: number }>(
    `SELECT f.symbol, f.what, f.sources, f.since, f.again_at, f.times FROM symbol_failures f JOIN symbols s ON s.symbol = f.symbol
      WHERE f.symbol IN (?) AND (s.checked_at IS NULL OR s.checked_at <= f.asked_at)`,
    [symbols],
  );
  const keyOf = ({ symbol, what, sources }: Pick<FailureRow, 'symbol' | 'what' | 'sources'>): string => `${symbol} ${what} ${sources}`;
  const known = new Map(rows.map((row) => [keyOf(row), row]));
  await tx.run(
    `INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES ?
     ON DUPLICATE KEY UPDATE since = VALUES(since), asked_at = VALUES(asked_at), again_at = VALUES(again_at), times = VALUES(times), code = VALUES(code), reason = VALUES(reason)`,
    [
      sorted.map((row) => {
        const before = known.get(keyOf(row));
        const times = before === undefined ? 1 : before.times + (row.askedAt < before.again_at ? 0 : 1);
        const againAt = new Date(row.askedAt.getTime() + pauseMinutes(row, times) * 60_000);
        return [row.symbol, row.what, row.sources, before?.since ?? row.askedAt, row.askedAt, againAt, times, row.code, row.reason];
      }),
    ],
  );
}

function pauseMinutes({ firstPause, longestPause }: FailureRow, times: number): number {
  return Math.min(firstPause * 2 ** (times - 1), longestPause);
}

/** Those of the symbols that are in their pause. */
export async function readPaused(sql: Sql, sources: string, now: Date): Promise<Set<string>> {
  const rows = await sql.rows<{ symbol: string }>(
    `SELECT f.symbol FROM symbol_failures f JOIN symbols s ON s.symbol = f.symbol
      WHERE f.what = 'bars' AND f.sources = ? AND f.again_at > ? AND (s.checked_at IS NULL OR s.checked_at <= f.asked_at)`,
    [sources, now],
  );
  return new Set(rows.map(({ symbol }) => symbol));
}
