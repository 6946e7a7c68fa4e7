import { END_STATES } from '../../platform/job-states.ts';
import { type Ledger, nowOf } from '../job.ts';
import { IS_NO_PART } from '../parts.ts';
import { deleteById } from '../states/delete-by-id.ts';
import { lockFreeJobs } from '../states/standing.ts';
import { BATCH } from './due.ts';

/** The tables with rows of an ended job beside `jobs` and `ended`. */
const BESIDE = ['job_attempts', 'job_subscribers', 'job_dependencies', 'job_items', 'job_askers'] as const;

/** All tables with rows of a job beside `jobs`. */
export const TABLES_BY_JOB = ['ready', 'scheduled', 'blocked', 'running', 'ended', 'live_keys', ...BESIDE] as const;

/** Deletes jobs that ended more than `days` ago, with their rows in other tables, at most `batch` jobs of each end state. Returns how many jobs. */
export async function deleteEnded(ledger: Ledger, days: number, batch = BATCH): Promise<number> {
  const before = new Date(nowOf(ledger).getTime() - days * 86_400_000);
  let deleted = 0;
  for (const state of END_STATES)
    deleted += await ledger.db.transaction(async (tx) => {
      // A part is kept as long as its job, whose items are those of its parts.
      const found = await tx.rows<{ id: Buffer }>(
        `SELECT STRAIGHT_JOIN e.job_id AS id FROM ended e FORCE INDEX (ix_ended) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = e.job_id
          WHERE e.state = ? AND e.ended_at <= ? AND ${IS_NO_PART} ORDER BY e.ended_at, e.job_id LIMIT ?`,
        [state, before, batch],
      );
      const rows = (await lockFreeJobs(tx, found)).filter((row) => row.state === state);
      const ids = rows.map(({ id }) => id);
      if (ids.length === 0) return 0;
      for (const table of BESIDE) await tx.run(`DELETE b FROM ${table} b FORCE INDEX (PRIMARY) WHERE b.job_id IN (?)`, [ids]);
      deleteById(tx, 'ended', rows);
      await tx.run('DELETE j FROM jobs j FORCE INDEX (PRIMARY) WHERE j.id IN (?)', [ids]);
      return ids.length;
    });
  return deleted;
}
