/** How long recent logins took to become jobs. */
import { LATENCY_ROWS, LATENCY_WINDOW_MS, percentile } from '../ledger/read/metrics.ts';
import type { Sql } from '../platform/database/database.ts';

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
