import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../../platform/clock.ts';
import { PermanentError } from '../../../platform/errors.ts';
import { usCalendar } from '../../calendar/calendar.ts';
import { leanSource } from '../../sources/lean.ts';
import { isMissing } from '../../sources/lean-files.ts';
import { parseSymbol } from '../../symbol.ts';
import type { Chain } from '../chain/chain.ts';
import { formatContract } from '../chain/contract.ts';
import { DAYS_PER_YEAR } from '../chain/time.ts';
import { valueOption } from '../pricing/pricing.ts';
import { chainBuilder, optionRoot } from './chain-builder.ts';
import { type DailyKind, daysInFile, type Named, PRICE_SCALE, readDaily, readUniverse, type UniverseRow } from './lean-rows.ts';
import type { ChainSource } from './source.ts';

const source = 'lean';

export interface LeanChains extends ChainSource {
  /** The days that the folder has a chain of, `YYYY-MM-DD`, ascending. */
  days(underlying: string): string[];
  /** The chain at the close of `day`; without one, of the newest day that has quotes, and where none has, of the newest day. A day that the folder does not have is `PermanentError('chain.no_day')`. */
  chain(underlying: string, signal: AbortSignal, day?: string): Promise<Chain>;
}

/**
 * The option chains of a QuantConnect Lean data folder: `option/usa/universes/{ticker}/{yyyymmdd}.csv` (volume, open interest, IV, Greeks) joined with the day files
 * `option/usa/daily/{ticker}_{year}_{quote,trade,openinterest}_american.zip`; nothing is kept between calls. What the files of June 2014 taught:
 *
 * - The contracts' rows in a universe file are that day's, the underlying's row is of the evening before (call less put plus strike at the money is the day's close in
 *   the equity's day file within 0.3 %, and 1.5 % off the row). So `spot` is the close of the equity's day file, and the row only stands in for it.
 * - Bid and ask are in the day files alone: without them a chain has none.
 * - Open interest in a universe file is of the same evening. Here it is of the evening before: the day file's number, else the one of the session before's universe file.
 * - After a split the contracts of before stay listed, with their old prices: they are left out by what call and put say that the share costs. Before a split those
 *   of after it are listed, with zeros: rows that say nothing are left out.
 * - The IVs of that folder give 8 to 12 times its own prices back. Where they do such, a chain goes without IV and Greeks; `gaps` says so.
 */
export function leanChains(folder: string, { clock = systemClock }: { clock?: Clock } = {}): LeanChains {
  const options = join(folder, 'option', 'usa');
  const equity = leanSource({ path: folder, clock });

  function days(underlying: string): string[] {
    try {
      return readdirSync(join(options, 'universes', parseSymbol(underlying).toLowerCase()))
        .flatMap((name) => (/^\d{8}\.csv$/.test(name) ? `${name.slice(0, 4)}-${name.slice(4, 6)}-${name.slice(6, 8)}` : []))
        .sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** A day may have a chain and no quotes. Nothing of it can be ranked. */
  async function newestQuotedDay(ticker: string, there: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    for (const year of new Set(there.map((day) => day.slice(0, 4)).reverse())) {
      const quoted = await daysInFile(join(options, 'daily'), { ticker, year, kind: 'quote' }, signal);
      const newest = there.findLast((day) => quoted.has(day));
      if (newest !== undefined) return newest;
    }
    return there.at(-1);
  }

  async function chain(underlying: string, signal: AbortSignal, day?: string): Promise<Chain> {
    signal.throwIfAborted();
    const symbol = parseSymbol(underlying);
    const there = days(symbol);
    const date = there.length === 0 ? undefined : (day ?? (await newestQuotedDay(symbol.toLowerCase(), there, signal)));
    if (date === undefined)
      throw new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol}: no option chain of it under ${options}`);
    if (!there.includes(date)) {
      throw new PermanentError(
        'chain.no_day',
        `${source}: no option chain of ${symbol} on ${date}; there are ${there.length} days from ${there[0]} to ${there.at(-1)}`,
      );
    }
    const ticker = symbol.toLowerCase();
    const root = optionRoot(symbol);
    const builder = chainBuilder({ underlying: symbol, source });
    const universe = (of: string, unreadable: () => void) =>
      readUniverse(join(options, 'universes', ticker, `${of.replaceAll('-', '')}.csv`), root, unreadable);
    const daily = async (kind: DailyKind) => bySymbol(await readDaily(join(options, 'daily'), { ticker, root, day: date, kind }, signal));

    const today = await universe(date, () => builder.drop('a row of the universe file cannot be read'));
    const before = bySymbol((await universe(usCalendar.previous(date).date, () => {}))?.rows ?? []);
    const [quotes, trades, interests] = [await daily('quote'), await daily('trade'), await daily('openinterest')];
    const { bars, actions } = await equity.bars(symbol, { from: yearsBefore(date, SPLIT_MEMORY_YEARS), to: date }, signal);
    const spot = bars.find((bar) => bar.date === date)?.close ?? today?.underlyingClose ?? Number.NaN;
    const close = (usCalendar.session(date) ?? usCalendar.previous(date)).close;

    const rows = bySymbol(
      (today?.rows ?? []).filter(({ close: price, volume, openInterest }) => price > 0 || volume > 0 || openInterest > 0),
    );
    const split = actions.filter(({ kind }) => kind === 'split').reduce((ratio, { value }) => ratio * value, 1);
    for (const contract of contractsOfBefore(rows, spot, split)) {
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

  return { name: source, days, chain };
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

/**
 * Contracts whose prices are of a share before its split (`ratio` new ones for one): strike + call − put is what the share costs there, and lies nearer, as a ratio, to the price
 * before than to today's.
 */
function contractsOfBefore(rows: ReadonlyMap<string, UniverseRow>, spot: number, ratio: number): string[] {
  if (ratio === 1) return [];
  return [...rows].flatMap(([symbol, { contract, close: call }]) => {
    if (contract.isPut) return [];
    const put = formatContract({ ...contract, isPut: true });
    const implied = contract.strike + call - (rows.get(put)?.close ?? Number.NaN);
    return Math.log(implied / spot) / Math.log(ratio) > 0.5 ? [symbol, put] : [];
  });
}

/** How many times a row's own price its IV gives back, in the median of the rows out of the money by up to 10 %, with a week to four months left; NaN where there are none. */
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
