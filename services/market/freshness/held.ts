/** The freshness of all symbols that somebody holds or watches. */
import type { Sql } from '../../platform/database/database.ts';
import { momentsAt } from '../calendar/calendar.ts';
import { countStates, type FreshnessCounts, type Judgement, judgeState, type PriceThresholds } from './freshness.ts';
import { isSimulated } from './symbol-judgement.ts';

export interface HeldFreshness {
  counts: FreshnessCounts;
  /** Symbols whose newest price is made up, whatever its state. */
  simulated: number;
  /** Those with bars, by symbol. */
  judged: { symbol: string; price: Judgement }[];
}

interface Row {
  symbol: string;
  newest_bar: string | null;
  as_of: Date | null;
  checked_at: Date | null;
  source: 'simulated' | null;
}

/** One walk of ix_symbol from symbol to symbol, and a row of `symbols` each; a symbol that was never fetched has none and is missing. */
export async function readHeldFreshness(sql: Sql, now: Temporal.Instant, thresholds: PriceThresholds): Promise<HeldFreshness> {
  const rows = await sql.rows<Row>(
    `SELECT h.symbol, s.newest_bar, s.as_of, s.checked_at, s.source
       FROM (SELECT symbol FROM holdings GROUP BY symbol) h LEFT JOIN symbols s ON s.symbol = h.symbol`,
  );
  const momentOf = momentsAt(now);
  const all = rows.map((row) => {
    const state = { newestBar: row.newest_bar, asOf: row.as_of, checkedAt: row.checked_at };
    return { symbol: row.symbol, price: judgeState(row.symbol, state, momentOf(row.symbol), thresholds) };
  });
  return {
    counts: countStates(all.map(({ price }) => price)),
    simulated: rows.filter(isSimulated).length,
    judged: all.filter(({ price }) => price.state !== 'missing'),
  };
}
