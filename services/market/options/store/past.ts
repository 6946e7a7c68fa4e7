/** The stored IVs and chains of an underlying's earlier days. Simulated and real days never mix: a reader gets one kind. */
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

/** More than the 251 days before today that an IV rank needs, since some may be missing. */
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

/** A row replaces one that is as old or older. A simulated row never replaces a real one. */
const REPLACES = "(VALUES(as_of) >= as_of OR source = 'simulated') AND (VALUES(source) <> 'simulated' OR source = 'simulated')";
/** `as_of` and `source` come last, in this order: assignments run from left to right, and the earlier ones compare with the stored values of both. */
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
  // The modes of a symbol are often in one batch, each with the same chain.
  const newest = new Map(rows.toSorted((a, b) => a.asOf.getTime() - b.asOf.getTime()).map((row) => [`${row.symbol} ${row.date}`, row]));
  // One statement each: some hundred rows together would exceed the size of a packet.
  for (const { symbol, date, contracts, data, source, asOf } of newest.values())
    await tx.run(
      `INSERT INTO chain_days (symbol, date, contracts, data, source, as_of) VALUES (?) ON DUPLICATE KEY UPDATE ${replacing('contracts', 'data')}`,
      [[symbol, date, contracts, data, source, asOf]],
    );
}
