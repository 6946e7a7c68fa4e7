/** Reads of the stored market data: symbols, bars, corporate actions. */
import type { Sql } from '../../platform/database/database.ts';
import type { Failure } from '../freshness/freshness.ts';
import type { PriceBar } from '../indicators/indicators.ts';
import type { Bar, BarsAnswer, CorporateAction, DateRange, SourceName } from './bars.ts';
import type { KnownBars } from './digest.ts';

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
  /** What is known of its bars without reading them; only of `readSymbolsWithBars`. */
  known?: KnownBars | undefined;
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
  history_checked_at: Date | null;
  unrestated_split: string | null;
}

interface FailureRow {
  since: Date | null;
  asked_at: Date;
  again_at: Date;
  times: number;
  code: string;
  reason: string;
}

interface KnownRow {
  bars_version: number;
  bars_digest: string | null;
  digest_from: string | null;
  digest_through: string | null;
}

const STATE_COLUMNS = `s.symbol, s.newest_bar, s.as_of, s.checked_at, s.close, s.currency, s.time_zone, s.source, s.analysed_at, s.analysed_bar, s.analysed_as_of, s.volatility,
            s.history_checked_at, s.unrestated_split`;

/** The states of many symbols in one read; those never asked for are absent. `sources`: the set of sources (`sourceSet`) whose failures count; without it none does. */
export async function readSymbols(sql: Sql, symbols: readonly string[], sources = ''): Promise<Map<string, SymbolState>> {
  if (symbols.length === 0) return new Map();
  const rows = await sql.rows<SymbolRow & FailureRow>(
    `SELECT ${STATE_COLUMNS}, f.since, f.asked_at, f.again_at, f.times, f.code, f.reason
       FROM symbols s LEFT JOIN symbol_failures f ON f.symbol = s.symbol AND f.what = 'bars' AND f.sources = ? AND (s.checked_at IS NULL OR s.checked_at <= f.asked_at)
      WHERE s.symbol IN (?)`,
    [sources, symbols],
  );
  return new Map(rows.map((row) => [row.symbol, { ...stateOf(row), failure: failureOf(row) }]));
}

/** The same without failures, and with what is known of the bars: for whoever fetches and analyses. */
export async function readSymbolsWithBars(sql: Sql, symbols: readonly string[]): Promise<Map<string, SymbolState>> {
  const rows = await sql.rows<SymbolRow & KnownRow>(
    `SELECT ${STATE_COLUMNS}, s.bars_version, s.bars_digest, s.digest_from, s.digest_through FROM symbols s WHERE s.symbol IN (?)`,
    [symbols],
  );
  return new Map(rows.map((row) => [row.symbol, { ...stateOf(row), known: knownOf(row) }]));
}

function stateOf(row: SymbolRow): SymbolState {
  return {
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
    historyCheckedAt: row.history_checked_at,
    unrestatedSplit: row.unrestated_split,
  };
}

function failureOf({ since, asked_at, again_at, times, code, reason }: FailureRow): Failure | undefined {
  return since === null ? undefined : { since, askedAt: asked_at, againAt: again_at, times, code, reason };
}

function knownOf({ bars_version: version, bars_digest: digest, digest_from: from, digest_through: through }: KnownRow): KnownBars {
  return { version, digest: digest === null || from === null || through === null ? undefined : { from, through, digest } };
}

const PRICE_COLUMNS = 'TO_DAYS(b.date) AS day, b.high, b.low, b.close, b.adjusted_close AS adjustedClose';
const BAR_COLUMNS = `${PRICE_COLUMNS}, b.open, b.volume`;

/** A row, its day as a number: writing a date for each of 260 bars took the driver as long as reading their prices. */
type Row<B> = Omit<B, 'date'> & { day: number };

const barOf = ({ day, open, high, low, close, adjustedClose, volume }: Row<Bar>): Bar => ({
  date: dateOf(day),
  open,
  high,
  low,
  close,
  adjustedClose,
  volume,
});
const priceBarOf = ({ day, high, low, close, adjustedClose }: Row<PriceBar>): PriceBar => ({
  date: dateOf(day),
  high,
  low,
  close,
  adjustedClose,
});

/** `TO_DAYS('1970-01-01')`. */
const EPOCH_DAY = 719_528;
/** The days that have been read, the same for all symbols: a few thousand. */
const dates = new Map<number, string>();

function dateOf(day: number): string {
  const known = dates.get(day);
  if (known !== undefined) return known;
  const date = new Date((day - EPOCH_DAY) * 86_400_000).toISOString().slice(0, 10);
  dates.set(day, date);
  return date;
}

/** Stored bars of one symbol in a range, ascending. */
export async function readBars(sql: Sql, symbol: string, range: DateRange): Promise<Bar[]> {
  const rows = await sql.rows<Row<Bar>>(
    `SELECT ${BAR_COLUMNS} FROM bars b WHERE b.symbol = ? AND b.date BETWEEN ? AND ? ORDER BY b.date`,
    [symbol, range.from, range.to ?? '9999-12-31'],
    'prepared',
  );
  return rows.map(barOf);
}

/** The bars of each symbol within `days` calendar days before its own newest one, ascending; one read for all. */
export async function readNewestBars(sql: Sql, symbols: readonly string[], days: number): Promise<Map<string, Bar[]>> {
  return listsOf(symbols, await readBarsSince(sql, await firstDays(sql, symbols, days)));
}

/** The same as far as the indicators need it. */
export async function readNewestPrices(sql: Sql, symbols: readonly string[], days: number): Promise<Map<string, PriceBar[]>> {
  return listsOf(symbols, await readPricesSince(sql, await firstDays(sql, symbols, days)));
}

const listsOf = <B>(symbols: readonly string[], found: ReadonlyMap<string, B[]>): Map<string, B[]> =>
  new Map(symbols.map((symbol) => [symbol, found.get(symbol) ?? []]));

async function firstDays(sql: Sql, symbols: readonly string[], days: number): Promise<Map<string, string>> {
  if (symbols.length === 0) return new Map();
  const rows = await sql.rows<{ symbol: string; first: string }>(
    'SELECT symbol, newest_bar - INTERVAL ? DAY AS first FROM symbols WHERE symbol IN (?) AND newest_bar IS NOT NULL',
    [days, symbols],
  );
  return new Map(rows.map(({ symbol, first }) => [symbol, first]));
}

/** The bars of each symbol from its day on, ascending; one read for all. A symbol without one is absent. */
export function readBarsSince(sql: Sql, firsts: ReadonlyMap<string, string>): Promise<Map<string, Bar[]>> {
  return readSince(sql, BAR_COLUMNS, barOf, firsts);
}

/** The same as far as the indicators need it. */
export function readPricesSince(sql: Sql, firsts: ReadonlyMap<string, string>): Promise<Map<string, PriceBar[]>> {
  return readSince(sql, PRICE_COLUMNS, priceBarOf, firsts);
}

async function readSince<B extends PriceBar>(
  sql: Sql,
  columns: string,
  made: (row: Row<B>) => B,
  firsts: ReadonlyMap<string, string>,
): Promise<Map<string, B[]>> {
  const bySymbol = new Map<string, B[]>();
  if (firsts.size === 0) return bySymbol;
  // A range on the primary key for each day, mostly the same for all symbols. Joined to `symbols` instead, the server would read all bars. No ORDER BY: the
  // server would copy all rows into a temporary table to sort them, although they come in order.
  const ranges = [...Map.groupBy(firsts, ([, first]) => first)];
  const rows = await sql.rows<Row<B> & { symbol: string }>(
    `SELECT b.symbol, ${columns} FROM bars b FORCE INDEX (PRIMARY) WHERE ${ranges.map(() => '(b.symbol IN (?) AND b.date >= ?)').join(' OR ')}`,
    ranges.flatMap(([first, some]) => [some.map(([symbol]) => symbol), first]),
    // Ranges of many kinds would be many texts.
    ranges.length === 1 ? 'prepared' : undefined,
  );
  for (const row of rows) {
    const bars = bySymbol.get(row.symbol);
    if (bars === undefined) bySymbol.set(row.symbol, [made(row)]);
    else bars.push(made(row));
  }
  for (const bars of bySymbol.values()) bars.sort((a, b) => (a.date < b.date ? -1 : 1));
  return bySymbol;
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
