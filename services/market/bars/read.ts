/** Reads of the stored market data: symbols, bars, corporate actions. */
import type { Sql } from '../../platform/database/database.ts';
import type { Failure } from '../freshness/freshness.ts';
import type { PriceBar } from '../indicators/indicators.ts';
import type { Bar, BarsAnswer, CorporateAction, DateRange, SourceName } from './bars.ts';

/** The row of a symbol: all that freshness and priority need. */
export interface SymbolState {
  symbol: string;
  /** Date of the newest stored bar, and the moment it was true. */
  newestBar: string | null;
  asOf: Date | null;
  /** The last time a source answered, newer data or not. */
  checkedAt: Date | null;
  /** Newest raw close, in the instrument's currency. */
  close: number | null;
  currency: string | null;
  timeZone: string | null;
  source: SourceName | null;
  analysedAt: Date | null;
  analysedBar: string | null;
  analysedAsOf: Date | null;
  /** 20-day realised, annualised. */
  volatility: number | null;
  /** The last answer of the sources, where that was a failure. */
  failure?: Failure | undefined;
  /** The last time that all stored bars were compared with a source. */
  historyCheckedAt?: Date | null;
  /** Ex-date of a split for which the source has not restated the older prices. */
  unrestatedSplit?: string | null;
}

interface SymbolRow {
  symbol: string;
  newest_bar: string | null;
  as_of: Date | null;
  checked_at: Date | null;
  close: number | null;
  currency: string | null;
  time_zone: string | null;
  source: SourceName | null;
  analysed_at: Date | null;
  analysed_bar: string | null;
  analysed_as_of: Date | null;
  volatility: number | null;
  since: Date | null;
  asked_at: Date;
  again_at: Date;
  times: number;
  code: string;
  reason: string;
  history_checked_at: Date | null;
  unrestated_split: string | null;
}

/** The states of many symbols in one read; those never asked for are absent. `sources`: the set of sources (`sourceSet`) whose failures count; without it none does. */
export async function readSymbols(sql: Sql, symbols: readonly string[], sources = ''): Promise<Map<string, SymbolState>> {
  if (symbols.length === 0) return new Map();
  const rows = await sql.rows<SymbolRow>(
    `SELECT s.symbol, s.newest_bar, s.as_of, s.checked_at, s.close, s.currency, s.time_zone, s.source, s.analysed_at, s.analysed_bar, s.analysed_as_of, s.volatility,
            s.history_checked_at, s.unrestated_split, f.since, f.asked_at, f.again_at, f.times, f.code, f.reason
       FROM symbols s LEFT JOIN symbol_failures f ON f.symbol = s.symbol AND f.what = 'bars' AND f.sources = ? AND (s.checked_at IS NULL OR s.checked_at <= f.asked_at)
      WHERE s.symbol IN (?)`,
    [sources, symbols],
  );
  return new Map(
    rows.map((row) => [
      row.symbol,
      {
        symbol: row.symbol,
        newestBar: row.newest_bar,
        asOf: row.as_of,
        checkedAt: row.checked_at,
        close: row.close,
        currency: row.currency,
        timeZone: row.time_zone,
        source: row.source,
        analysedAt: row.analysed_at,
        analysedBar: row.analysed_bar,
        analysedAsOf: row.analysed_as_of,
        volatility: row.volatility,
        failure:
          row.since === null
            ? undefined
            : { since: row.since, askedAt: row.asked_at, againAt: row.again_at, times: row.times, code: row.code, reason: row.reason },
        historyCheckedAt: row.history_checked_at,
        unrestatedSplit: row.unrestated_split,
      },
    ]),
  );
}

type BarRow = Omit<Bar, 'adjustedClose'> & { symbol: string; adjusted_close: number };

function barOf({ date, open, high, low, close, adjusted_close, volume }: BarRow): Bar {
  return { date, open, high, low, close, adjustedClose: adjusted_close, volume };
}

const BAR_COLUMNS = 'b.symbol, b.date, b.open, b.high, b.low, b.close, b.adjusted_close, b.volume';

/** Stored bars of one symbol in a range, ascending. */
export async function readBars(sql: Sql, symbol: string, range: DateRange): Promise<Bar[]> {
  const rows = await sql.rows<BarRow>(`SELECT ${BAR_COLUMNS} FROM bars b WHERE b.symbol = ? AND b.date BETWEEN ? AND ? ORDER BY b.date`, [
    symbol,
    range.from,
    range.to ?? '9999-12-31',
  ]);
  return rows.map(barOf);
}

/** The bars of each symbol within `days` calendar days before its own newest one, ascending; one read for all. */
export async function readNewestBars(sql: Sql, symbols: readonly string[], days: number): Promise<Map<string, Bar[]>> {
  const rows = await readNewest<BarRow>(sql, BAR_COLUMNS, '', symbols, days);
  const bySymbol = Map.groupBy(rows, ({ symbol }) => symbol);
  return new Map(symbols.map((symbol) => [symbol, ascending((bySymbol.get(symbol) ?? []).map(barOf))]));
}

/**
 * The same as far as the indicators need it. A row for each symbol, with its columns as text: with 250 bars of 500 symbols a fifth of the processor time that the
 * driver takes for a row for each bar.
 */
export async function readNewestPrices(sql: Sql, symbols: readonly string[], days: number): Promise<Map<string, PriceBar[]>> {
  const lists = Object.entries(PRICE_LISTS).map(([name, column]) => `GROUP_CONCAT(b.${column}) AS ${name}`);
  const rows = await readNewest<PriceLists>(sql, `b.symbol, ${lists.join(', ')}`, 'GROUP BY b.symbol', symbols, days);
  const bySymbol = new Map(rows.map((row) => [row.symbol, row]));
  return new Map(symbols.map((symbol) => [symbol, ascending(priceBarsOf(bySymbol.get(symbol)))]));
}

const PRICE_LISTS = { dates: 'date', highs: 'high', lows: 'low', closes: 'close', adjustedCloses: 'adjusted_close' } as const;
type PriceLists = Record<'symbol' | keyof typeof PRICE_LISTS, string>;

function priceBarsOf(lists: PriceLists | undefined): PriceBar[] {
  if (lists === undefined) return [];
  const numbers = (text: string): number[] => JSON.parse(`[${text}]`);
  const high = numbers(lists.highs);
  const low = numbers(lists.lows);
  const close = numbers(lists.closes);
  const adjustedClose = numbers(lists.adjustedCloses);
  return lists.dates
    .split(',')
    .map((date, i) => ({ date, high: high[i]!, low: low[i]!, close: close[i]!, adjustedClose: adjustedClose[i]! }));
}

function ascending<B extends PriceBar>(bars: B[]): B[] {
  return bars.sort((a, b) => (a.date < b.date ? -1 : 1));
}

async function readNewest<Row>(sql: Sql, columns: string, grouping: string, symbols: readonly string[], days: number): Promise<Row[]> {
  if (symbols.length === 0) return [];
  const known = await sql.rows<{ symbol: string; first: string }>(
    'SELECT symbol, newest_bar - INTERVAL ? DAY AS first FROM symbols WHERE symbol IN (?) AND newest_bar IS NOT NULL',
    [days, symbols],
  );
  if (known.length === 0) return [];
  // One range on the primary key for each newest day, mostly the same for all symbols. Joined to `symbols` instead, the server would read all bars. No ORDER BY: the
  // server would copy all rows into a temporary table to sort them, although they come in order.
  const ranges = [...Map.groupBy(known, ({ first }) => first)];
  return sql.rows<Row>(
    `SELECT ${columns} FROM bars b FORCE INDEX (PRIMARY) WHERE ${ranges.map(() => '(b.symbol IN (?) AND b.date >= ?)').join(' OR ')} ${grouping}`,
    ranges.flatMap(([first, some]) => [some.map(({ symbol }) => symbol), first]),
  );
}

/** The stored data of a symbol, for the `cached` source; undefined when nothing is stored. */
export async function readStored(
  sql: Sql,
  symbol: string,
  range: DateRange,
): Promise<Pick<BarsAnswer, 'bars' | 'actions' | 'asOf' | 'currency' | 'timeZone'> | undefined> {
  const state = (await readSymbols(sql, [symbol])).get(symbol);
  if (state === undefined || state.asOf === null) return undefined;
  const [bars, actions] = await Promise.all([readBars(sql, symbol, range), readActions(sql, symbol, range)]);
  return {
    bars,
    actions,
    asOf: Temporal.Instant.fromEpochMilliseconds(state.asOf.getTime()),
    currency: state.currency ?? undefined,
    timeZone: state.timeZone ?? undefined,
  };
}

/** Splits and dividends of one symbol in a range, ascending. */
export async function readActions(sql: Sql, symbol: string, range: DateRange): Promise<CorporateAction[]> {
  return sql.rows<CorporateAction>(
    'SELECT date, kind, value FROM corporate_actions WHERE symbol = ? AND date BETWEEN ? AND ? ORDER BY date, kind',
    [symbol, range.from, range.to ?? '9999-12-31'],
  );
}
