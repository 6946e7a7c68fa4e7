import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../platform/clock.ts';
import { ConfigError, PermanentError, TransientError } from '../../platform/errors.ts';
import type { Bar, BarsAnswer, DateRange } from '../bars/bars.ts';
import { barFault, withoutSenseless } from '../bars/sense.ts';
import { parseSymbol, spellingsOf } from '../symbol.ts';
import { actionsOf, factorWalk, parseFactors } from './lean-factors.ts';
import { isFolder, isMissing, malformedLine, textLines, zippedLines } from './lean-files.ts';
import type { MarketSource } from './source.ts';

const timeZone = 'America/New_York';

/** The days on which a security had one ticker, both ends inclusive. */
interface Tenure {
  ticker: string;
  from: string;
  to: string;
}

/**
 * The daily bars of US equities in a QuantConnect Lean data folder: `equity/usa/daily/{ticker}.zip`, `factor_files/{ticker}.csv`, `map_files/{ticker}.csv`.
 *
 * A day file holds the trades of its ticker, whichever company had the ticker on the day: `wm.zip` is Washington Mutual to 2008 and Waste Management from 2009-08-05,
 * `goog.zip` is today's GOOGL before 2014-04-03, `eem.zip` another company before 2003-04-11. (Found in the files: the reference prices of `bac`'s and `wm`'s factor
 * files are the raw closes of the day files only from the day the map file names on, and `qqq.zip` has no bar while the fund was called QQQQ.) So a bar belongs to the
 * security only if the map file gives it that ticker on that day; days under an older ticker come from that ticker's file, and are missing where the folder has none.
 *
 * Adjusted close = raw × price factor × split factor. `asOf` is 16:00 in New York on the date of the newest bar that can be true. Nothing is kept between calls.
 * Errors: `ConfigError('source.lean_path')` at once for a path that is no such folder; `source.unknown_symbol` (permanent); `source.malformed`, `source.unavailable` (transient).
 */
export function leanSource({
  path,
  clock,
  spell = spellingsOf('lean'),
}: {
  path: string;
  clock: Clock;
  spell?: (symbol: string) => string;
}): MarketSource {
  const folder = join(path, 'equity', 'usa');
  const daily = join(folder, 'daily');
  if (!statSync(daily, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ConfigError(
      'source.lean_path',
      `"${path}" is not a Lean data folder: there is no folder ${daily}; give the folder that holds equity/usa/daily`,
    );
  }

  return {
    name: 'lean',
    async bars(text, range, signal): Promise<BarsAnswer> {
      signal.throwIfAborted();
      const symbol = parseSymbol(text);
      const ticker = spell(symbol).toLowerCase();
      const factorFile = join(folder, 'factor_files', `${ticker}.csv`);
      const factors = parseFactors(factorFile, (await textLines(factorFile)) ?? []);
      const days = (await rawDays(folder, ticker, signal)).filter(({ date }) => date > (factors.worthlessUntil ?? ''));
      if (days.length === 0) throw await unknownSymbol(daily, symbol);

      const factorOf = factorWalk(factors.rows);
      const adjusted = days.map((day): Bar => ({ ...day, adjustedClose: day.close * factorOf(day.date) }));
      const actions = actionsOf(factors.rows, (date) => sessionAfter(date, days));
      const newest = adjusted.findLast((bar) => barFault(bar) === undefined) ?? adjusted.at(-1)!;
      const close = Temporal.PlainDate.from(newest.date).toZonedDateTime({ timeZone, plainTime: '16:00' }).toInstant();
      const now = clock.now();
      return withoutSenseless(
        {
          symbol,
          source: 'lean' as const,
          asOf: Temporal.Instant.compare(close, now) < 0 ? close : now,
          bars: within(adjusted, range),
          actions: within(actions, range),
          currency: 'USD',
          timeZone,
        },
        within(factors.leftOut, range),
      );
    },
  };
}

/** Prices as they were traded. */
export type RawDay = Omit<Bar, 'adjustedClose'>;

/**
 * All days of the security that has `ticker` now, ascending, as `leanSource` says; empty where the folder has none. `folder` is `equity/usa`.
 * Errors: `source.malformed` (transient).
 */
export async function rawDays(folder: string, ticker: string, signal: AbortSignal): Promise<RawDay[]> {
  const tenures = await tenuresIn(folder, ticker);
  const days: RawDay[] = [];
  for (const name of new Set(tenures.map((tenure) => tenure.ticker))) {
    const theirs = tenures.filter((tenure) => tenure.ticker === name);
    for await (const day of dayFile(join(folder, 'daily', `${name}.zip`), signal)) {
      if (theirs.some(({ from, to }) => from <= day.date && day.date <= to)) days.push(day);
    }
  }
  return days.sort((a, b) => (a.date < b.date ? -1 : 1));
}

/** The ticker under which the security that has `ticker` now was traded on `date`, lower case; undefined where it was not listed. */
export async function tickerOn(folder: string, ticker: string, date: string): Promise<string | undefined> {
  return (await tenuresIn(folder, ticker)).find(({ from, to }) => from <= date && date <= to)?.ticker;
}

/** The error for a symbol without a bar: the folder has none of it, or is not there any more. */
async function unknownSymbol(daily: string, symbol: string): Promise<TransientError | PermanentError> {
  if (!(await isFolder(daily))) return new TransientError('source.unavailable', `lean: the folder ${daily} is gone`);
  return new PermanentError('source.unknown_symbol', `lean: unknown symbol ${symbol}: ${daily} has no bars of it`);
}

const PRICE_SCALE = 10_000;
/** A number of any sign and size: one that cannot be a price costs its own bar and not the file. */
const NUMBER = String.raw`(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)`;
const DAY = new RegExp(String.raw`^(\d{4})(\d\d)(\d\d) \d\d:\d\d,${NUMBER},${NUMBER},${NUMBER},${NUMBER},${NUMBER}\r?$`);

/** The days of one day file, ascending; none where there is no such file. */
async function* dayFile(file: string, signal: AbortSignal): AsyncGenerator<RawDay> {
  let number = 0;
  let previous = '';
  try {
    for await (const line of zippedLines(file, signal)) {
      number++;
      const [, year, month, day, open, high, low, close, volume] = DAY.exec(line) ?? [];
      const date = `${year}-${month}-${day}`;
      if (year === undefined || date <= previous) {
        throw malformedLine(file, number, line, 'a later "YYYYMMDD 00:00,open,high,low,close,volume"');
      }
      previous = date;
      yield {
        date,
        open: Number(open) / PRICE_SCALE,
        high: Number(high) / PRICE_SCALE,
        low: Number(low) / PRICE_SCALE,
        close: Number(close) / PRICE_SCALE,
        volume: Number(volume),
      };
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function tenuresIn(folder: string, ticker: string): Promise<Tenure[]> {
  const mapFile = join(folder, 'map_files', `${ticker}.csv`);
  return tenuresOf(mapFile, await textLines(mapFile)) ?? [{ ticker, from: '0000-00-00', to: '9999-99-99' }];
}

/**
 * Reads `date,ticker[,exchange]` rows. The first row's date is the security's first day; each further row names the last day of a ticker, and the last row's date is
 * the delisting (2050-12-31 = alive).
 */
function tenuresOf(file: string, lines: string[] | undefined): Tenure[] | undefined {
  const tenures: Tenure[] = [];
  for (const [index, line] of (lines ?? []).entries()) {
    const [, year, month, day, ticker] = /^(\d{4})(\d\d)(\d\d),([a-z0-9._-]+)(?:,\w*)?$/i.exec(line) ?? [];
    const to = `${year}-${month}-${day}`;
    const before = tenures.at(-1);
    if (ticker === undefined || (before !== undefined && to <= before.to)) {
      throw malformedLine(file, index + 1, line, 'a later date and a ticker');
    }
    const from = before === undefined ? to : Temporal.PlainDate.from(before.to).add({ days: 1 }).toString();
    tenures.push({ ticker: ticker.toLowerCase(), from, to });
  }
  return lines === undefined ? undefined : tenures;
}

/** The next day with a bar; within a hole of more than a week (an older ticker's missing file) the next weekday. */
function sessionAfter(date: string, days: RawDay[]): string {
  const following = days.find((day) => day.date > date)?.date;
  const start = Temporal.PlainDate.from(date);
  if (following !== undefined && start.until(following).days <= 7) return following;
  return start.add({ days: start.dayOfWeek >= 5 ? 8 - start.dayOfWeek : 1 }).toString();
}

function within<T extends { date: string }>(rows: T[], { from, to }: DateRange): T[] {
  return rows.filter(({ date }) => date >= from && (to === undefined || date <= to));
}
