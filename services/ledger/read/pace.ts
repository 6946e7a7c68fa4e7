/** How long the items of a job still take, by how fast the last ones went. A job of thousands of items has no duration that others could tell. */
import type { Sql } from '../../platform/database/database.ts';
import { sortedBytes } from '../id.ts';
import { isLive, type Ledger, nowOf } from '../job.ts';
import { partsOf } from '../parts.ts';
import type { JobDetail } from './jobs.ts';

/** Seconds that the pace is measured over. */
export const MEASURED_SECONDS = 300;

/**
 * Seconds until the items of a job and its parts are done; null while fewer than two have been asked for in the last minutes. `otherwise`: of a job that has no item left to
 * try, which its own duration tells. Items that were there already, or that were not asked for, say nothing of the pace.
 */
export async function secondsLeft(
  ledger: Ledger,
  job: Pick<JobDetail, 'id' | 'state' | 'items'>,
  otherwise: number | null,
): Promise<number | null> {
  const { pending } = job.items;
  if (pending === 0 || !isLive(job.state)) return otherwise;
  const now = nowOf(ledger);
  const { items, oldest } = await lastItems(ledger.db, [job.id, ...(await partsOf(ledger.db, job.id))], now);
  if (items < 2 || oldest === null) return null;
  const seconds = Math.max((now.getTime() - oldest.getTime()) / 1000, 0.001);
  return Number(((pending * seconds) / items).toFixed(2));
}

/** Walks the primary key of these jobs. */
async function lastItems(sql: Sql, ids: readonly string[], now: Date): Promise<{ items: number; oldest: Date | null }> {
  const [row] = await sql.rows<{ items: number; oldest: Date | null }>(
    `SELECT COUNT(*) AS items, MIN(updated_at) AS oldest FROM job_items FORCE INDEX (PRIMARY)
      WHERE job_id IN (?) AND state IN ('done', 'no_data', 'failed') AND updated_at > ?`,
    [sortedBytes(ids), new Date(now.getTime() - MEASURED_SECONDS * 1000)],
  );
  return row ?? { items: 0, oldest: null };
}
