/** How long recent logins took to become jobs. */
import { LATENCY_ROWS, LATENCY_WINDOW_MS, percentile } from '../ledger/read/metrics.ts';
import type { Sql } from '../platform/database/database.ts';
import { addBuckets, bucketPercentile } from '../platform/monitoring/buckets.ts';
import { MINUTE_S, readStatsRows } from '../platform/monitoring/mesh-stats.ts';

/** Seconds from a login to its jobs in the ledger, 95th percentile of the logins of the last five minutes; null without any. Walks ix_at. */
export async function readLoginToJobsP95(sql: Sql, now: Date): Promise<number | null> {
  const rows = await sql.rows<{ ms: number }>(
    `SELECT TIMESTAMPDIFF(MICROSECOND, at, admitted_at) / 1000 + 0e0 AS ms FROM user_portfolio_priority FORCE INDEX (ix_at)
      WHERE at > ? ORDER BY at DESC LIMIT ${LATENCY_ROWS}`,
    [new Date(now.getTime() - LATENCY_WINDOW_MS)],
  );
  if (rows.length === 0) return null;
  const milliseconds = rows.map(({ ms }) => ms);
  return percentile(milliseconds, 0.95) / 1000;
}

export interface LoginToFresh {
  /** Seconds, right within a quarter. */
  p50: number;
  p99: number;
}

/** How long the logins of the last five whole minutes took until all their data was fresh, of those that had jobs; null without any. By the primary key of mesh_stats. */
export async function readLoginToFresh(sql: Sql, now: Date): Promise<LoginToFresh | null> {
  // The newest row is of a minute that ended up to a minute ago.
  const from = new Date(now.getTime() - LATENCY_WINDOW_MS - MINUTE_S * 1000);
  const counts = addBuckets((await readStatsRows(sql, MINUTE_S, from, now)).map(({ details }) => details.login_fresh));
  const [p50, p99] = [bucketPercentile(counts, 0.5), bucketPercentile(counts, 0.99)];
  return p50 === null || p99 === null ? null : { p50, p99 };
}
