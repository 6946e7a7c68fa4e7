/** Finds held and watched symbols whose price data is far older than its threshold. */
import { momentsAt } from '../market/calendar/calendar.ts';
import { judgePrice, type PriceThresholds } from '../market/freshness/freshness.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Sql } from '../platform/database/database.ts';

export interface StaleData {
  /** The oldest first. */
  symbols: string[];
  /** Age of the oldest, 0 when there is none. */
  oldestHours: number;
}

/**
 * Symbols whose price data is stale by the rules of freshness and older than `portfolio.stale_alert_hours`. A symbol that was never fetched has no age: it is
 * missing, not stale, and is fetched at its user's next login. One walk of ix_symbol from symbol to symbol, and a row of `symbols` each.
 */
export async function findStaleData(sql: Sql, clock: Clock, config: Pick<Config, 'portfolio' | 'stock_jobs'>): Promise<StaleData> {
  const rows = await sql.rows<{ symbol: string; newest_bar: string | null; as_of: Date | null; checked_at: Date | null }>(
    `SELECT s.symbol, s.newest_bar, s.as_of, s.checked_at FROM (SELECT symbol FROM holdings GROUP BY symbol) h JOIN symbols s ON s.symbol = h.symbol`,
  );
  const moments = momentsAt(clock.now());
  const thresholds: PriceThresholds = {
    ...config.portfolio.freshness_schedule,
    default: config.stock_jobs.portfolio_priority.data_staleness_threshold,
  };
  const stale = rows.flatMap(({ symbol, newest_bar, as_of, checked_at }) => {
    const { state, ageMinutes } = judgePrice(
      { newestBarDate: newest_bar ?? undefined, asOfMs: as_of?.getTime(), checkedAtMs: checked_at?.getTime() },
      moments(symbol),
      thresholds,
    );
    const hours = (ageMinutes ?? 0) / 60;
    return state === 'stale' && hours > config.portfolio.stale_alert_hours ? [{ symbol, hours }] : [];
  });
  stale.sort((a, b) => b.hours - a.hours);
  return { symbols: stale.map(({ symbol }) => symbol), oldestHours: stale[0]?.hours ?? 0 };
}
