/** The closing prices of an underlying, by which contracts are kept or left out. */
import { readBars } from '../market/bars/read.ts';
import { PermanentError } from '../platform/errors.ts';
import type { ContractFilter } from './dataset.ts';
import { listObjects } from './manifest.ts';
import type { PricedFilter } from './parquet/reader.ts';
import { type StoredHistory, withFile } from './stored/files.ts';

/** What closing prices are read from. */
export type PriceParts = Pick<StoredHistory, 'sql' | 'store'> & { reader: Pick<StoredHistory['reader'], 'firstRows'> };

/** Objects that the days of one question may lie in: a year each. */
const MOST_YEARS = 1_000;
/** Trading days of a year at most. */
const YEAR = 300;

/**
 * The closing price of each day as it was traded (not adjusted), in dollars: of the bars of the symbol, and of its stored end-of-day objects where there is none. Days without
 * one are missing. Errors: those of `withFile`.
 */
export async function knownCloses(
  parts: PriceParts,
  root: string,
  days: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const [from, to] = [days[0], days.at(-1)];
  const closes = new Map<string, number>();
  if (from === undefined || to === undefined) return closes;
  const wanted = new Set(days);
  const take = (day: unknown, close: unknown): void => {
    if (typeof day === 'string' && wanted.has(day) && typeof close === 'number' && close > 0) closes.set(day, close);
  };
  for (const { date, close } of await readBars(parts.sql, root, { from, to })) take(date, close);
  const missing = days.filter((day) => !closes.has(day));
  if (missing.length === 0) return closes;
  const stored = await listObjects(parts.sql, {
    root,
    asset: 'stock',
    schema: 'eod',
    from: missing[0],
    to: missing.at(-1),
    limit: MOST_YEARS,
  });
  for (const row of stored.filter((one) => missing.some((day) => one.days[day] !== undefined))) {
    const rows = await withFile(parts, row, signal, (path) => parts.reader.firstRows(path, YEAR, signal));
    for (const { trade_date, close } of rows) if (!closes.has(String(trade_date))) take(trade_date, close);
  }
  return closes;
}

/** As `knownCloses`, of every day. Errors: `PermanentError('history.no_underlying')` when one is missing, with the ways to get it; those of `knownCloses`. */
export async function closesOf(
  parts: PriceParts,
  root: string,
  days: readonly string[],
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const closes = await knownCloses(parts, root, days, signal);
  const missing = days.find((day) => !closes.has(day));
  if (missing === undefined) return Object.fromEntries(closes);
  const range = `--from ${days[0]} --to ${days.at(-1)}`;
  throw new PermanentError(
    'history.no_underlying',
    `the filter needs the closing price of ${root} on ${missing}, and neither its bars nor its stored end-of-day objects have one: get it with "backfill ${root} --from ${days[0]}" or "history stock ${root} --schema eod ${range}", or ask without a filter`,
  );
}

/** A filter with the closes of the underlying. Errors: as `closesOf`. */
export async function pricedFilter(
  parts: PriceParts,
  root: string,
  days: readonly string[],
  { filter, signal }: { filter: ContractFilter | undefined; signal: AbortSignal },
): Promise<PricedFilter | undefined> {
  return filter === undefined ? undefined : { ...filter, underlying: await closesOf(parts, root, days, signal) };
}
