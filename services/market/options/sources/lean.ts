import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../../platform/clock.ts';
import { PermanentError } from '../../../platform/errors.ts';
import type { BarsAnswer, CorporateAction, DateRange } from '../../bars/bars.ts';
import { usCalendar } from '../../calendar/calendar.ts';
import { leanSource } from '../../sources/lean.ts';
import { isMissing } from '../../sources/lean-files.ts';
import { parseSymbol } from '../../symbol.ts';
import type { Chain } from '../chain/chain.ts';
import { formatContract } from '../chain/contract.ts';
import { optionRoot } from '../chain/roots.ts';
import { DAYS_PER_YEAR } from '../chain/time.ts';
import { valueOption } from '../pricing/pricing.ts';
import { chainBuilder } from './chain-builder.ts';
import { type DailyKind, daysInFile, type Named, PRICE_SCALE, readDaily, readUniverse, type UniverseRow } from './lean-rows.ts';
import type { ChainSource } from './source.ts';

const source = 'lean';

export interface LeanChains extends ChainSource {
  /** The days of which the folder has a chain, `YYYY-MM-DD`, ascending. */
  days(underlying: string): string[];
  /** The chain at the close of `day`. Without `day`: of the newest day with quotes, or of the newest day where no day has quotes. A day that the folder does not have is `PermanentError('chain.no_day')`. */
  chain(underlying: string, signal: AbortSignal, day?: string): Promise<Chain>;
}

/**
 * The option chains of a QuantConnect Lean data folder: `option/usa/universes/{ticker}/{yyyymmdd}.csv` (volume, open interest, IV, Greeks) joined with the day files
 * `option/usa/daily/{ticker}_{year}_{quote,trade,openinterest}_american.zip`; nothing is kept between calls. Found in the files of June 2014:
 *
 * - The contracts' rows in a universe file are that day's, the underlying's row is of the evening before (call less put plus strike at the money is the day's close in
 *   the equity's day file within 0.3 %, and 1.5 % off the row). So `spot` is the close of the equity's day file. The row is used only where that file is missing.
 * - Bid and ask are only in the day files. Without these files a chain has no quotes.
 * - Open interest in a universe file is of the same evening. Here it is of the evening before: the day file's number, else the one of the session before's universe file.
 * - After a split (of 6:5 or more) the old contracts stay listed, with their old prices. They are recognised by the share price that call and put imply, and left out. Before a split
 *   the new contracts are listed with zeros: such empty rows are left out.
 * - The IVs of that folder give 8 to 12 times its own prices. A chain with such IVs is given without IV and Greeks, and `gaps` has the reason.
 */
export function leanChains(folder: string, { clock = systemClock }: { clock?: Clock } = {}): LeanChains {
  const options = join(folder, 'option', 'usa');
  const equity = leanSource({ path: folder, clock });

  /** Nothing for a symbol of which the folder has no equity file: its options can be ranked all the same. */
  async function equityBars(symbol: string, range: DateRange, signal: AbortSignal): Promise<Pick<BarsAnswer, 'bars' | 'actions'>> {
    try {
      return await equity.bars(symbol, range, signal);
    } catch (error) {
      if (error instanceof PermanentError && error.code === 'source.unknown_symbol') return { bars: [], actions: [] };
      throw error;
    }
  }

  async function chain(underlying: string, signal: AbortSignal, day?: string): Promise<Chain> {
    signal.throwIfAborted();
    const symbol = parseSymbol(underlying);
    const date = await dayOf(options, symbol, day, signal);
    const ticker = symbol.toLowerCase();
    const root = optionRoot(symbol);
    const builder = chainBuilder({ underlying: symbol, source });
    const universe = (of: string, unreadable: () => void) =>
      readUniverse(join(options, 'universes', ticker, `${of.replaceAll('-', '')}.csv`), root, unreadable);
    const daily = async (kind: DailyKind) => bySymbol(await readDaily(join(options, 'daily'), { ticker, root, day: date, kind }, signal));

    const today = await universe(date, () => builder.drop('a row of the universe file cannot be read'));
    const before = bySymbol((await universe(usCalendar.previous(date).date, () => {}))?.rows ?? []);
    const [quotes, trades, interests] = [await daily('quote'), await daily('trade'), await daily('openinterest')];
    const { bars, actions } = await equityBars(symbol, { from: yearsBefore(date, SPLIT_MEMORY_YEARS), to: date }, signal);
    const closing = bars.find((bar) => bar.date === date)?.close;
    const spot = closing ?? today?.underlyingClose ?? Number.NaN;
    if (closing === undefined)
      builder.miss(
        undefined,
        `no close of ${symbol} on ${date} in equity/usa/daily: its price is the universe file's, of the evening before`,
      );
    const close = (usCalendar.session(date) ?? usCalendar.previous(date)).close;

    const rows = bySymbol(
      (today?.rows ?? []).filter(({ close: price, volume, openInterest }) => price > 0 || volume > 0 || openInterest > 0),
    );
    for (const contract of contractsOfBefore(rows, spot, ratiosOf(actions))) {
      if (quotes.has(contract)) continue;
      rows.delete(contract);
      builder.drop('the contract is from before a split');
    }
    const factor = modelFactor([...rows.values()], date, spot);
    const believed = !(factor < 1 / MODEL_TOLERANCE || factor > MODEL_TOLERANCE);
    if (!believed) builder.miss(undefined, `IV and Greeks are left out: the file's IVs give ${factor.toPrecision(2)} times its own prices`);

    for (const [contract, row] of new Map<string, UniverseRow | undefined>([
      ...[...quotes.keys()].map((key) => [key, undefined] as const),
      ...rows,
    ])) {
      const quote = quotes.get(contract)?.numbers;
      builder.add(contract, {
        bid: (quote?.[QUOTE_BID] ?? Number.NaN) / PRICE_SCALE,
        ask: (quote?.[QUOTE_ASK] ?? Number.NaN) / PRICE_SCALE,
        // The day file names every contract that was traded.
        volume: trades.size > 0 ? (trades.get(contract)?.numbers[TRADE_VOLUME] ?? 0) : row?.volume,
        openInterest: interests.get(contract)?.numbers[0] ?? before.get(contract)?.openInterest,
        quotedAt: close.epochMilliseconds,
        ...(believed && row?.greeks),
      });
    }
    return builder.build({ asOf: close, spot });
  }

  return { name: source, days: (underlying) => daysOf(options, parseSymbol(underlying)), chain };
}

/** The days with a chain of the symbol, ascending. */
function daysOf(options: string, symbol: string): string[] {
  try {
    return readdirSync(join(options, 'universes', symbol.toLowerCase()))
      .flatMap((name) => (/^\d{8}\.csv$/.test(name) ? `${name.slice(0, 4)}-${name.slice(4, 6)}-${name.slice(6, 8)}` : []))
      .sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** The requested day, else the newest one with quotes. Errors: `PermanentError` `source.unknown_symbol`, `chain.no_day`. */
async function dayOf(options: string, symbol: string, wanted: string | undefined, signal: AbortSignal): Promise<string> {
  const days = daysOf(options, symbol);
  const day = wanted ?? (await newestQuotedDay(options, symbol.toLowerCase(), days, signal));
  if (day === undefined || days.length === 0)
    throw new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol}: ${options} has no option chain of it`);
  if (!days.includes(day))
    throw new PermanentError(
      'chain.no_day',
      `${source}: no option chain of ${symbol} on ${day}; there are ${days.length} days from ${days[0]} to ${days.at(-1)}`,
    );
  return day;
}

/** A day may have a chain without quotes. None of its contracts can be ranked. */
async function newestQuotedDay(options: string, ticker: string, days: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  for (const year of new Set(days.map((day) => day.slice(0, 4)).reverse())) {
    const quoted = await daysInFile(join(options, 'daily'), { ticker, year, kind: 'quote' }, signal);
    const newest = days.findLast((day) => quoted.has(day));
    if (newest !== undefined) return newest;
  }
  return days.at(-1);
}

/** Numbers after the date: open, high, low, close and size of the bid, the same of the ask; open, high, low, close, volume of trades. */
const QUOTE_BID = 3;
const QUOTE_ASK = 8;
const TRADE_VOLUME = 4;
/** No listed option lives longer. */
const SPLIT_MEMORY_YEARS = 3;
/** A wrong rate or yield changes the price of an option near the money by a few percent. */
const MODEL_TOLERANCE = 1.5;

function bySymbol<Row extends Named>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row.symbol, row]));
}

/** A smaller change of the share count, such as a stock dividend, cannot be told from the spread of old prices: GOOG's of 2015, 1.0027, took 1,690 of 2,016 contracts. */
const LEAST_SPLIT = 1.2;

/** What a share was worth in today's shares before its newest split, before the two newest, and so on. */
function ratiosOf(actions: readonly CorporateAction[]): number[] {
  const splits = actions.filter(({ kind, value }) => kind === 'split' && Math.abs(Math.log(value)) >= Math.log(LEAST_SPLIT));
  let ratio = 1;
  return splits.toSorted((a, b) => (a.date < b.date ? 1 : -1)).map(({ value }) => (ratio *= value));
}

/**
 * Contracts whose prices are of a share before a split: strike + call − put is the share price that they imply, and it is nearer to the price before the split than to
 * today's. A contract of which one side has no price implies nothing.
 */
function contractsOfBefore(rows: ReadonlyMap<string, UniverseRow>, spot: number, ratios: readonly number[]): string[] {
  if (ratios.length === 0) return [];
  return [...rows].flatMap(([symbol, { contract, close: call }]) => {
    if (contract.isPut) return [];
    const put = formatContract({ ...contract, isPut: true });
    const putClose = rows.get(put)?.close ?? 0;
    if (!(call > 0 && putClose > 0)) return [];
    const distance = (ratio: number) => Math.abs(Math.log((contract.strike + call - putClose) / (spot * ratio)));
    return ratios.some((ratio) => distance(ratio) < distance(1)) ? [symbol, put] : [];
  });
}

/** The price that a row's IV gives, divided by the row's own price: the median of the rows out of the money by up to 10 %, with a week to four months left; NaN where there are none. */
function modelFactor(rows: readonly UniverseRow[], day: string, spot: number): number {
  const factors = rows
    .flatMap(({ contract: { strike, isPut, expiry }, close, greeks: { iv } }) => {
      const daysLeft = Temporal.PlainDate.from(day).until(expiry).days;
      const moneyness = (isPut ? -1 : 1) * Math.log(strike / spot);
      if (iv == null || !(close > 0) || !(moneyness >= 0 && moneyness <= 0.1) || daysLeft < 7 || daysLeft > 120) return [];
      return valueOption(spot, strike, daysLeft / DAYS_PER_YEAR, 0, 0, iv, isPut).price / close;
    })
    .sort((a, b) => a - b);
  return factors[factors.length >> 1] ?? Number.NaN;
}

function yearsBefore(date: string, years: number): string {
  return Temporal.PlainDate.from(date).subtract({ years }).toString();
}
