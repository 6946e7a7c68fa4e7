/** Types of jobs that no worker runs. */
import type { MeshMetrics } from '../../ledger/read/metrics.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { type LimitCheck, listed } from '../thresholds.ts';

/**
 * Workers do not say which types they run. But one with a free slot takes any job that it can run within its poll interval, so a type that waits while slots are free, and
 * of which nothing runs (of `history` a worker takes few at once), has no worker.
 */
export function watchTypes(sql: Sql, { monitoring }: Pick<Config, 'monitoring'>): (metrics: MeshMetrics) => Promise<LimitCheck> {
  const { max_type_wait } = monitoring.thresholds;
  const since = new Map<string, number>();
  return async ({ at, workers, free }) => {
    const now = at.getTime();
    const waiting = workers.busy < workers.slots ? await readWaiting(sql, free) : [];
    for (const type of [...since.keys()]) if (!waiting.includes(type)) since.delete(type);
    for (const type of waiting) since.getOrInsert(type, now);
    const waited = (type: string): number => (now - (since.get(type) ?? now)) / 1000;
    const left = waiting.filter((type) => waited(type) >= max_type_wait);
    return {
      name: 'no_worker_for_type',
      beyond: left.length > 0,
      value: Math.max(0, ...waiting.map(waited)),
      threshold: max_type_wait,
      text: `jobs of ${left.length} types have waited for ${max_type_wait} s or more (monitoring.thresholds.max_type_wait) while workers have free slots${left.length === 0 ? '' : `, so no worker runs them: ${listed(left)}`}`,
      subjects: left.join(' '),
    };
  };
}

/** Of jobs that need a capability, those that a worker with a free place has; where no worker has it, `no_worker` says so. */
async function readWaiting(sql: Sql, free: readonly string[]): Promise<string[]> {
  // From type to type in ix_type, without its rows in between; `running` has as many rows as workers have places.
  const rows = await sql.rows<{ capability: string; type: string }>(
    `SELECT r.capability, r.type FROM (SELECT DISTINCT capability, type FROM ready FORCE INDEX (ix_type)) r
      WHERE r.type NOT IN (SELECT j.type FROM running n JOIN jobs j ON j.id = n.job_id) ORDER BY r.type`,
  );
  const waiting = rows.filter(({ capability }) => capability === '' || free.includes(capability));
  return [...new Set(waiting.map(({ type }) => type))];
}
