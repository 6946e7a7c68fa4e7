/**
 * What the database keeps of the market. Every write takes rows of many symbols at once and is idempotent: the same rows again change nothing, older data never
 * replaces newer, and a live bar replaces itself.
 */
import { type Sql, type Transaction, toJson } from '../../platform/database/database.ts';
import { TransientError } from '../../platform/errors.ts';
import type { Analysis } from '../indicators/analysis.ts';
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
}

interface SymbolRow {
  symbol: string;
  newest_bar: string | null;
  as_of: Date | null;
  checked_at: Date | null;
  close: string | null;
  currency: string | null;
  time_zone: string | null;
  source: SourceName | null;
  analysed_at: Date | null;
  analysed_bar: string | null;
  analysed_as_of: Date | null;
  volatility: number | null;
}

/** The states of many symbols in one read; those never fetched are absent. */
export async function readSymbols(sql: Sql, symbols: readonly string[]): Promise<Map<string, SymbolState>> {
  if (symbols.length === 0) return new Map();
  const rows = await sql.rows<SymbolRow>(
    `SELECT symbol, newest_bar, as_of, checked_at, close, currency, time_zone, source, analysed_at, analysed_bar, analysed_as_of, volatility
       FROM symbols WHERE symbol IN (?)`,
    [symbols],
  );
  return new Map(
    rows.map((row) => [
      row.symbol,
      {
        symbol: row.symbol,
        newestBar: row.newest_bar,
        asOf: row.as_of,
        checkedAt: row.checked_at,
        close: row.close === null ? null : Number(row.close),
        currency: row.currency,
        timeZone: row.time_zone,
        source: row.source,
        analysedAt: row.analysed_at,
        analysedBar: row.analysed_bar,
        analysedAsOf: row.analysed_as_of,
        volatility: row.volatility,
      },
    ]),
  );
}

/** Rows of `bars` to write, with where they come from. */
export interface StoredBar extends Bar {
  symbol: string;
  source: SourceName;
  asOf: Date;
}

/** Rows a statement: a year of bars of two symbols, about 60 KB of text. */
const CHUNK = 500;

/** Inserts bars or replaces those of the same day that are not newer. */
export async function storeBars(tx: Transaction, bars: readonly StoredBar[]): Promise<void> {
  for (let start = 0; start < bars.length; start += CHUNK) {
    // as_of comes last: assignments run from left to right, and each one before it compares with the stored moment.
    tx.later(
      `INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES ?
       ON DUPLICATE KEY UPDATE
         open = IF(VALUES(as_of) >= as_of, VALUES(open), open), high = IF(VALUES(as_of) >= as_of, VALUES(high), high),
         low = IF(VALUES(as_of) >= as_of, VALUES(low), low), close = IF(VALUES(as_of) >= as_of, VALUES(close), close),
         adjusted_close = IF(VALUES(as_of) >= as_of, VALUES(adjusted_close), adjusted_close),
         volume = IF(VALUES(as_of) >= as_of, VALUES(volume), volume), source = IF(VALUES(as_of) >= as_of, VALUES(source), source),
         as_of = GREATEST(as_of, VALUES(as_of))`,
      [
        bars
          .slice(start, start + CHUNK)
          .map((bar) => [
            bar.symbol,
            bar.date,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.adjustedClose,
            bar.volume,
            bar.source,
            bar.asOf,
          ]),
      ],
    );
  }
}

/** What a writer of bars is about to do with a symbol. */
export interface BarsPlan {
  symbol: string;
  /** Whether the bars are made up; undefined when there are none to write. */
  simulated: boolean | undefined;
  /** What is stored goes first: bars, actions, and what is known of the newest bar. */
  replaces: boolean;
}

/**
 * Comes before `storeBars`, `storeActions` and `storeChecks` of the same symbols: locks their rows, in order, so that writers wait for each other and never
 * crosswise, and deletes what is to be replaced. Errors: `TransientError('bars.mixed')` when somebody has stored bars of the other kind since the plan was made, so
 * that real and made-up bars would stand side by side; only real bars may replace those of the other kind.
 */
export async function beginBars(tx: Transaction, plans: readonly BarsPlan[]): Promise<void> {
  const symbols = [...new Set(plans.map(({ symbol }) => symbol))].sort();
  if (symbols.length === 0) return;
  tx.later('INSERT INTO symbols (symbol) VALUES ? ON DUPLICATE KEY UPDATE symbol = VALUES(symbol)', [symbols.map((symbol) => [symbol])]);
  const rows = await tx.rows<{ symbol: string; source: SourceName }>(
    'SELECT symbol, source FROM symbols WHERE symbol IN (?) AND newest_bar IS NOT NULL',
    [symbols],
  );
  const stored = new Map(rows.map(({ symbol, source }) => [symbol, source === 'simulated']));
  const written = new Map<string, boolean>();
  for (const { symbol, simulated, replaces } of plans) {
    if (simulated === undefined) continue;
    const fits = (kind: boolean | undefined): boolean => kind === undefined || kind === simulated;
    if (!fits(written.get(symbol)) || !(fits(stored.get(symbol)) || (replaces && !simulated)))
      throw new TransientError(
        'bars.mixed',
        `${simulated ? 'real' : 'made-up'} bars of ${symbol} have been stored meanwhile; it is fetched again`,
      );
    written.set(symbol, simulated);
  }
  const replaced = symbols.filter((symbol) => plans.some((plan) => plan.replaces && plan.symbol === symbol));
  await clearBars(tx, replaced);
  await clearAnalyses(
    tx,
    replaced.filter((symbol) => stored.get(symbol) !== written.get(symbol)),
  );
}

async function clearBars(tx: Transaction, symbols: readonly string[]): Promise<void> {
  if (symbols.length === 0) return;
  tx.later('DELETE FROM bars WHERE symbol IN (?)', [symbols]);
  tx.later('DELETE FROM corporate_actions WHERE symbol IN (?)', [symbols]);
  // Otherwise a newest bar that no longer exists would outrank the new ones.
  tx.later('UPDATE symbols SET newest_bar = NULL, as_of = NULL, close = NULL, source = NULL WHERE symbol IN (?)', [symbols]);
}

/** Forgets what was computed from made-up bars. */
async function clearAnalyses(tx: Transaction, symbols: readonly string[]): Promise<void> {
  if (symbols.length === 0) return;
  tx.later('DELETE FROM analyses WHERE symbol IN (?)', [symbols]);
  tx.later('UPDATE symbols SET analysed_at = NULL, analysed_bar = NULL, analysed_as_of = NULL, volatility = NULL WHERE symbol IN (?)', [
    symbols,
  ]);
}

export interface StoredAction extends CorporateAction {
  symbol: string;
  source: SourceName;
  asOf: Date;
}

/** Inserts splits and dividends, or replaces those that are not newer. */
export async function storeActions(tx: Transaction, actions: readonly StoredAction[]): Promise<void> {
  for (let start = 0; start < actions.length; start += CHUNK)
    tx.later(
      `INSERT INTO corporate_actions (symbol, date, kind, value, source, as_of) VALUES ?
       ON DUPLICATE KEY UPDATE value = IF(VALUES(as_of) >= as_of, VALUES(value), value), source = IF(VALUES(as_of) >= as_of, VALUES(source), source), as_of = GREATEST(as_of, VALUES(as_of))`,
      [
        actions
          .slice(start, start + CHUNK)
          .map((action) => [action.symbol, action.date, action.kind, action.value, action.source, action.asOf]),
      ],
    );
}

/** What a successful answer changes in the symbol's row. The newest bar and its close stay where the answer had nothing newer. */
export interface SymbolCheck {
  symbol: string;
  newestBar: string | null;
  asOf: Date | null;
  checkedAt: Date;
  close: number | null;
  currency: string | null;
  timeZone: string | null;
  source: SourceName;
}

export async function storeChecks(tx: Transaction, checks: readonly SymbolCheck[]): Promise<void> {
  if (checks.length === 0) return;
  const isNewer = '(newest_bar IS NULL OR VALUES(newest_bar) > newest_bar OR (VALUES(newest_bar) = newest_bar AND VALUES(as_of) >= as_of))';
  // as_of and newest_bar come last: assignments run from left to right, and each one before them compares with what is stored.
  tx.later(
    `INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, time_zone, source) VALUES ?
     ON DUPLICATE KEY UPDATE
       close = IF(${isNewer}, VALUES(close), close), source = IF(${isNewer}, VALUES(source), source),
       as_of = IF(${isNewer}, VALUES(as_of), as_of), newest_bar = COALESCE(GREATEST(newest_bar, VALUES(newest_bar)), newest_bar, VALUES(newest_bar)),
       checked_at = GREATEST(COALESCE(checked_at, VALUES(checked_at)), VALUES(checked_at)),
       currency = COALESCE(VALUES(currency), currency), time_zone = COALESCE(VALUES(time_zone), time_zone)`,
    [checks.map((row) => [row.symbol, row.newestBar, row.asOf, row.checkedAt, row.close, row.currency, row.timeZone, row.source])],
  );
}

export interface StoredAnalysis extends Analysis {
  computedAt: Date;
  barsUsed: number;
  /** The moment the newest bar was true. */
  asOf: Date | null;
}

/** Inserts or replaces the analysis of a day, and the symbol's row with it. */
export async function storeAnalyses(tx: Transaction, analyses: readonly StoredAnalysis[]): Promise<void> {
  if (analyses.length === 0) return;
  tx.later(
    `INSERT INTO analyses (symbol, date, computed_at, bars_used, indicators, \`signal\`, confidence, reasons) VALUES ?
     ON DUPLICATE KEY UPDATE computed_at = VALUES(computed_at), bars_used = VALUES(bars_used), indicators = VALUES(indicators), \`signal\` = VALUES(\`signal\`),
       confidence = VALUES(confidence), reasons = VALUES(reasons)`,
    [
      analyses.map((row) => [
        row.symbol,
        row.date,
        row.computedAt,
        row.barsUsed,
        toJson(row.values),
        row.signal,
        row.confidence,
        toJson(row.reasons),
      ]),
    ],
  );
  tx.later(
    `INSERT INTO symbols (symbol, analysed_at, analysed_bar, analysed_as_of, volatility) VALUES ?
     ON DUPLICATE KEY UPDATE analysed_at = VALUES(analysed_at), analysed_bar = VALUES(analysed_bar), analysed_as_of = VALUES(analysed_as_of), volatility = VALUES(volatility)`,
    [analyses.map((row) => [row.symbol, row.computedAt, row.date, row.asOf, row.values.volatility20])],
  );
}

interface BarRow {
  symbol: string;
  date: string;
  open: string;
  high: string;
  low: string;
  close: string;
  adjusted_close: string;
  volume: string;
}

function barOf(row: BarRow): Bar {
  return {
    date: row.date,
    open: Number(row.open),
    high: Number(row.high),
    low: Number(row.low),
    close: Number(row.close),
    adjustedClose: Number(row.adjusted_close),
    volume: Number(row.volume),
  };
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
  // A range on the primary key for each symbol; joined to `symbols` instead, the server would read all bars that it has. Mostly the newest bar is of the same day. No
  // ORDER BY: the server would copy all rows into a temporary table to sort what comes in order anyway.
  const ranges = [...Map.groupBy(known, ({ first }) => first)];
  return sql.rows<Row>(
    `SELECT ${columns} FROM bars b FORCE INDEX (PRIMARY) WHERE ${ranges.map(() => '(b.symbol IN (?) AND b.date >= ?)').join(' OR ')} ${grouping}`,
    ranges.flatMap(([first, some]) => [some.map(({ symbol }) => symbol), first]),
  );
}

/** What is stored of a symbol, as the `cached` source gives it again; undefined when nothing is. */
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
  const rows = await sql.rows<{ date: string; kind: CorporateAction['kind']; value: string }>(
    'SELECT date, kind, value FROM corporate_actions WHERE symbol = ? AND date BETWEEN ? AND ? ORDER BY date, kind',
    [symbol, range.from, range.to ?? '9999-12-31'],
  );
  return rows.map(({ date, kind, value }) => ({ date, kind, value: Number(value) }));
}
