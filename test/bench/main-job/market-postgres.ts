/** The same tables in PostgreSQL. */
import type { Bar, CorporateAction } from '../../../services/market/bars/bars.ts';
import type { SymbolState } from '../../../services/market/bars/read.ts';
import type { SymbolReader } from '../../../services/market/bars/reader.ts';
import type { PriceBar } from '../../../services/market/indicators/indicators.ts';
import type { SymbolRows } from './symbol-work.ts';
import { NOTE_WRITES_POSTGRES } from './writes.ts';

/** Runs a statement, on any connection or inside of a transaction. */
export type Query = <Row>(text: string, values?: unknown[]) => Promise<{ rows: Row[] }>;

/** Prices are doubles, as in MariaDB; a day is read as text, as there. */
export const POSTGRES_SCHEMA = `
  CREATE TABLE symbols (
    symbol text PRIMARY KEY, newest_bar date, as_of timestamptz(3), checked_at timestamptz(3), close float8, currency text, time_zone text, source text,
    analysed_at timestamptz(3), analysed_bar date, analysed_as_of timestamptz(3), volatility float8, history_checked_at timestamptz(3), unrestated_split date,
    bars_version int NOT NULL DEFAULT 0, bars_digest text, digest_from date, digest_through date);
  CREATE TABLE bars (
    symbol text, date date, open float8 NOT NULL, high float8 NOT NULL, low float8 NOT NULL, close float8 NOT NULL, adjusted_close float8 NOT NULL, volume float8 NOT NULL,
    source text NOT NULL, as_of timestamptz(3) NOT NULL, PRIMARY KEY (symbol, date));
  CREATE TABLE corporate_actions (
    symbol text, date date, kind text, value float8 NOT NULL, source text NOT NULL, as_of timestamptz(3) NOT NULL, PRIMARY KEY (symbol, date, kind));
  CREATE TABLE analyses (
    symbol text, date date, computed_at timestamptz(3) NOT NULL, bars_used int NOT NULL, indicators json NOT NULL, signal text NOT NULL, confidence float8 NOT NULL,
    reasons json NOT NULL, PRIMARY KEY (symbol, date));
  CREATE TABLE holdings (
    user_id text, symbol text, quantity float8 NOT NULL, cost float8, imported_at timestamptz(3) NOT NULL, PRIMARY KEY (user_id, symbol));
  ${NOTE_WRITES_POSTGRES}`;

export function postgresReader(query: Query): SymbolReader {
  const bars = 'date::text AS date, open, high, low, close, adjusted_close AS "adjustedClose", volume';
  const prices = 'date::text AS date, high, low, close, adjusted_close AS "adjustedClose"';
  const since = async <Row>(columns: string, symbol: string, first: string): Promise<Row[]> =>
    (await query<Row>(`SELECT ${columns} FROM bars WHERE symbol = $1 AND date >= $2 ORDER BY date`, [symbol, first])).rows;
  return {
    async state(symbol) {
      const { rows } = await query<SymbolState>(
        `SELECT symbol, newest_bar::text AS "newestBar", as_of AS "asOf", checked_at AS "checkedAt", close, currency, time_zone AS "timeZone", source,
                analysed_at AS "analysedAt", analysed_bar::text AS "analysedBar", analysed_as_of AS "analysedAsOf", volatility,
                history_checked_at AS "historyCheckedAt", unrestated_split::text AS "unrestatedSplit",
                json_build_object('version', bars_version, 'digest', CASE WHEN bars_digest IS NOT NULL THEN
                  json_build_object('from', digest_from, 'through', digest_through, 'digest', bars_digest) END) AS known FROM symbols WHERE symbol = $1`,
        [symbol],
      );
      return rows[0];
    },
    async newestBars() {
      throw new Error('no handler of the main job asks for them');
    },
    barsSince: (symbol, first) => since<Bar>(bars, symbol, first),
    pricesSince: (symbol, first) => since<PriceBar>(prices, symbol, first),
    bars: async (symbol, { from, to }) =>
      (
        await query<Bar>(`SELECT ${bars} FROM bars WHERE symbol = $1 AND date BETWEEN $2 AND $3 ORDER BY date`, [
          symbol,
          from,
          to ?? '9999-12-31',
        ])
      ).rows,
    actions: async (symbol, { from, to }) =>
      (
        await query<CorporateAction>(
          'SELECT date::text AS date, kind, value FROM corporate_actions WHERE symbol = $1 AND date BETWEEN $2 AND $3 ORDER BY date, kind',
          [symbol, from, to ?? '9999-12-31'],
        )
      ).rows,
    oldestBar: async (symbol) =>
      (await query<{ date: string | null }>('SELECT min(date)::text AS date FROM bars WHERE symbol = $1', [symbol])).rows[0]?.date ??
      undefined,
  };
}

const IS_STALE = '(s.newest_bar IS NULL OR s.newest_bar < $2 OR s.analysed_bar IS NULL OR s.analysed_bar < s.newest_bar)';

export async function isStalePostgres(query: Query, symbol: string, newest: string): Promise<boolean> {
  const { rows } = await query(`SELECT 1 FROM symbols s WHERE s.symbol = $1 AND NOT ${IS_STALE}`, [symbol, newest]);
  return rows.length === 0;
}

/** Which symbols of the user are stale, in order. */
export async function stalePostgres(query: Query, user: string, newest: string): Promise<string[]> {
  const { rows } = await query<{ symbol: string }>(
    `SELECT h.symbol FROM holdings h LEFT JOIN symbols s ON s.symbol = h.symbol WHERE h.user_id = $1 AND ${IS_STALE} ORDER BY h.symbol`,
    [user, newest],
  );
  return rows.map(({ symbol }) => symbol);
}

/** Writes a symbol's rows, a statement a table, inside of a transaction. Older data never replaces newer. */
export async function storePostgres(query: Query, { refresh: { plan, bars, actions, check }, analysis }: SymbolRows): Promise<void> {
  await query(
    `INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, time_zone, source, history_checked_at, unrestated_split,
                          analysed_at, analysed_bar, analysed_as_of, volatility, bars_version, bars_digest, digest_from, digest_through)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
     ON CONFLICT (symbol) DO UPDATE SET
       newest_bar = greatest(symbols.newest_bar, excluded.newest_bar), as_of = greatest(symbols.as_of, excluded.as_of),
       checked_at = greatest(symbols.checked_at, excluded.checked_at),
       close = CASE WHEN symbols.as_of > excluded.as_of THEN symbols.close ELSE coalesce(excluded.close, symbols.close) END,
       currency = coalesce(excluded.currency, symbols.currency), time_zone = coalesce(excluded.time_zone, symbols.time_zone), source = excluded.source,
       history_checked_at = coalesce(excluded.history_checked_at, symbols.history_checked_at), unrestated_split = excluded.unrestated_split,
       analysed_at = excluded.analysed_at, analysed_bar = excluded.analysed_bar, analysed_as_of = excluded.analysed_as_of, volatility = excluded.volatility,
       bars_digest = CASE WHEN symbols.bars_version = excluded.bars_version THEN excluded.bars_digest END,
       digest_from = excluded.digest_from, digest_through = excluded.digest_through, bars_version = symbols.bars_version + 1`,
    [
      ...[check.symbol, check.newestBar, check.asOf, check.checkedAt, check.close, check.currency, check.timeZone, check.source],
      ...[check.historyCheckedAt ?? null, check.unrestatedSplit ?? null],
      ...[analysis.computedAt, analysis.date, analysis.asOf, analysis.values.volatility20],
      ...[check.known?.version ?? 0, check.known?.digest?.digest, check.known?.digest?.from, check.known?.digest?.through],
    ],
  );
  // A split or dividend of the newest day changes all adjusted closes.
  if (plan.replaces)
    for (const table of ['bars', 'corporate_actions']) await query(`DELETE FROM ${table} WHERE symbol = $1`, [check.symbol]);
  if (bars.length > 0)
    await query(
      `INSERT INTO bars SELECT * FROM json_populate_recordset(NULL::bars, $1)
       ON CONFLICT (symbol, date) DO UPDATE SET
         open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, adjusted_close = excluded.adjusted_close,
         volume = excluded.volume, source = excluded.source, as_of = excluded.as_of WHERE bars.as_of <= excluded.as_of`,
      [JSON.stringify(bars.map(({ adjustedClose, asOf, ...bar }) => ({ ...bar, adjusted_close: adjustedClose, as_of: asOf })))],
    );
  if (actions.length > 0)
    await query(
      `INSERT INTO corporate_actions SELECT * FROM json_populate_recordset(NULL::corporate_actions, $1)
       ON CONFLICT (symbol, date, kind) DO UPDATE SET value = excluded.value, source = excluded.source, as_of = excluded.as_of
         WHERE corporate_actions.as_of <= excluded.as_of`,
      [JSON.stringify(actions.map(({ asOf, ...action }) => ({ ...action, as_of: asOf })))],
    );
  await query(
    `INSERT INTO analyses VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (symbol, date) DO UPDATE SET computed_at = excluded.computed_at, bars_used = excluded.bars_used, indicators = excluded.indicators,
       signal = excluded.signal, confidence = excluded.confidence, reasons = excluded.reasons`,
    [
      ...[analysis.symbol, analysis.date, analysis.computedAt, analysis.barsUsed, JSON.stringify(analysis.values)],
      ...[analysis.signal, analysis.confidence, JSON.stringify(analysis.reasons)],
    ],
  );
}
