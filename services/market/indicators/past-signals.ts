/** The signals that a symbol has had, one for each day of its bars on which it was analysed. */
import { fromJson, type Sql } from '../../platform/database/database.ts';

export interface PastSignal {
  /** Of the newest bar used. */
  date: string;
  computed_at: Date;
  signal: 'buy' | 'sell' | 'hold';
  /** 0-1. */
  confidence: number;
  bars_used: number;
  /** On that day, as it was traded; null where that bar is not stored any more. */
  close: number | null;
  reasons: { indicator: string; observation: string; points: number; weight: number }[];
}

/** The columns of signals as CSV. */
export const SIGNAL_COLUMNS = ['date', 'signal', 'confidence', 'close', 'bars_used', 'computed_at'] as const;

/** Newest first, those before a day. By the primary keys. */
export async function readPastSignals(
  sql: Sql,
  symbol: string,
  { before, limit }: { before?: string | undefined; limit: number },
): Promise<PastSignal[]> {
  const rows = await sql.rows<Omit<PastSignal, 'reasons'> & { reasons: unknown }>(
    `SELECT a.date, a.computed_at, a.\`signal\`, a.confidence, a.bars_used, b.close + 0e0 AS close, a.reasons
       FROM analyses a LEFT JOIN bars b ON b.symbol = a.symbol AND b.date = a.date
      WHERE a.symbol = ? ${before === undefined ? '' : 'AND a.date < ?'} ORDER BY a.date DESC LIMIT ?`,
    [symbol, ...(before === undefined ? [] : [before]), limit],
  );
  return rows.map((row) => ({ ...row, reasons: fromJson(row.reasons) as PastSignal['reasons'] }));
}
