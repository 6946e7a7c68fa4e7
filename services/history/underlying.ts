/** The closing prices of an underlying, by which contracts are kept or left out. */
import { readBars } from '../market/bars/read.ts';
import type { Sql } from '../platform/database/database.ts';
import { PermanentError } from '../platform/errors.ts';

/**
 * The closing price of each day as it was traded (not adjusted), in dollars, from the stored bars of the symbol. Errors: `PermanentError('history.no_underlying')` when one
 * is not stored, with the way to get it.
 */
export async function closesOf(sql: Sql, root: string, days: readonly string[]): Promise<Record<string, number>> {
  const [from, to] = [days[0], days.at(-1)];
  if (from === undefined || to === undefined) return {};
  const bars = await readBars(sql, root, { from, to });
  const closes = new Map(bars.map(({ date, close }) => [date, close]));
  const missing = days.find((day) => !((closes.get(day) ?? 0) > 0));
  if (missing !== undefined)
    throw new PermanentError(
      'history.no_underlying',
      `the filter needs the closing price of ${root} on ${missing}, and there is none: get the bars of ${root} from ${from} to ${to} first (a backfill), or download without a filter`,
    );
  return Object.fromEntries(days.map((day) => [day, closes.get(day) as number]));
}
