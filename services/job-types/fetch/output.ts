/** What a refreshed symbol leaves, the same for each type that fetches bars. */
import type { Refresh } from '../../market/bars/refresh.ts';
import { type RefreshRows, storeRefresh } from '../../market/bars/store.ts';
import { type FailureRow, failureOf, failureOfAttempts, lockSymbols, storeFailures } from '../../market/freshness/failures.ts';
import type { Transaction } from '../../platform/database/database.ts';
import type { Draft } from '../../platform/messages.ts';
import type { JobContext, JobOutput } from '../handler.ts';

/** The bars of a symbol, or that the sources had no answer for it. */
export type FetchRow = RefreshRows | FailureRow;
type Around = Pick<JobContext<FetchRow>, 'config' | 'clock'>;

/** Writes what many symbols leave. Errors: those of `storeRefresh`. */
export async function storeFetched(tx: Transaction, rows: readonly FetchRow[]): Promise<void> {
  const failures = rows.filter((row): row is FailureRow => 'askedAt' in row);
  const refreshes = rows.filter((row): row is RefreshRows => !('askedAt' in row));
  if (failures.length > 0) {
    await lockSymbols(
      tx,
      rows.map((row) => ('askedAt' in row ? row.symbol : row.check.symbol)),
    );
    await storeFailures(tx, failures);
  }
  await storeRefresh(tx, refreshes);
}

/** The row of a fetch that has failed for good. */
export function rowsOfFailure({ symbol }: { symbol: string }, error: unknown, around: Around): FetchRow[] {
  return listed(failureOf(symbol, error, around));
}

const listed = <T>(row: T | undefined): T[] => (row === undefined ? [] : [row]);

/** The rows, result and data message of a refreshed symbol. */
export function outputOf({ rows, asOf, result }: Refresh, around: Around): JobOutput<FetchRow> & Pick<Refresh, 'result'> {
  const { symbol, source, bars, through, stale, simulated, attempts } = result;
  const message: Draft<'data'> = {
    symbol,
    kind: 'bars',
    source,
    as_of: asOf.toString({ smallestUnit: 'millisecond' }),
    rows: bars,
    ...(through === null ? {} : { through }),
    ...(stale ? { stale } : {}),
    ...(simulated ? { simulated } : {}),
  };
  return { rows: listed(rows ?? failureOfAttempts(symbol, attempts, around)), result, dataMessages: [message] };
}
