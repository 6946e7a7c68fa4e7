/** The days before, as they are stored: an underlying's IV and its chains. Made-up and real ones never mix: a symbol has the past of the kind that is asked for. */
import type { Sql, Transaction } from '../../../platform/database/database.ts';
import type { ChainSourceName } from '../chain/chain.ts';
import { type ChainDay, decodeChainDay, HISTORY_SESSIONS, sessionBefore } from '../chain/history.ts';
import type { DailyIv } from '../scoring/iv-history.ts';

/** Where the rows of a day come from. */
export interface DayOrigin {
  symbol: string;
  source: ChainSourceName;
  asOf: Date;
}

/** More than the 251 days before today that an IV rank looks at, also where some are missing. */
const IV_CALENDAR_DAYS = 400;

/** The IVs of the days before `today`, oldest first. */
export function readIvHistory(sql: Sql, symbol: string, today: string, simulated: boolean): Promise<DailyIv[]> {
  const from = Temporal.PlainDate.from(today).subtract({ days: IV_CALENDAR_DAYS }).toString();
  return sql.rows<DailyIv>(
    "SELECT date, iv FROM iv_history WHERE symbol = ? AND date >= ? AND date < ? AND (source = 'simulated') = ? ORDER BY date",
    [symbol, from, today, simulated],
  );
}

/** The chains of the 20 sessions before `today`, oldest first. */
export async function readChainDays(sql: Sql, symbol: string, today: string, simulated: boolean): Promise<ChainDay[]> {
  const rows = await sql.rows<{ date: string; data: Buffer }>(
    "SELECT date, data FROM chain_days WHERE symbol = ? AND date >= ? AND date < ? AND (source = 'simulated') = ? ORDER BY date",
    [symbol, sessionBefore(today, HISTORY_SESSIONS), today, simulated],
  );
  return rows.map(({ date, data }) => decodeChainDay(date, data));
}

/** As new, or newer, and never made up over real. */
const REPLACES = "(VALUES(as_of) >= as_of OR source = 'simulated') AND (VALUES(source) <> 'simulated' OR source = 'simulated')";
/** `as_of` and `source` come last, in this order: assignments run from left to right, and each one before compares with what is stored. */
const replacing = (...columns: string[]) =>
  [...columns, 'as_of', 'source'].map((column) => `${column} = IF(${REPLACES}, VALUES(${column}), ${column})`).join(', ');

export async function storeIvs(tx: Transaction, rows: readonly (DayOrigin & DailyIv)[]): Promise<void> {
  if (rows.length === 0) return;
  tx.later(`INSERT INTO iv_history (symbol, date, iv, source, as_of) VALUES ? ON DUPLICATE KEY UPDATE ${replacing('iv')}`, [
    rows.map(({ symbol, date, iv, source, asOf }) => [symbol, date, iv, source, asOf]),
  ]);
}

/** `data`: `encodeChainDay` of so many contracts. */
export interface StoredChainDay extends DayOrigin {
  date: string;
  contracts: number;
  data: Buffer;
}

export async function storeChainDays(tx: Transaction, rows: readonly StoredChainDay[]): Promise<void> {
  // The modes of a symbol, often in one batch, bring the same chain each.
  const newest = new Map(rows.toSorted((a, b) => a.asOf.getTime() - b.asOf.getTime()).map((row) => [`${row.symbol} ${row.date}`, row]));
  // A statement each and a round trip each: together some hundred would be more than a packet may hold.
  for (const { symbol, date, contracts, data, source, asOf } of newest.values())
    await tx.run(
      `INSERT INTO chain_days (symbol, date, contracts, data, source, as_of) VALUES (?) ON DUPLICATE KEY UPDATE ${replacing('contracts', 'data')}`,
      [[symbol, date, contracts, data, source, asOf]],
    );
}
