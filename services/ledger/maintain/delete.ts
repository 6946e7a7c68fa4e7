import { END_STATES } from '../../platform/job-states.ts';
import { type Ledger, nowOf } from '../job.ts';
import { BATCH } from './due.ts';

/** The tables with rows of a job beside `jobs`. */
export const TABLES_BY_JOB = [
  'job_details',
  'job_results',
  'job_attempts',
  'job_subscribers',
  'job_dependencies',
  'job_items',
  'job_askers',
] as const;

/** Deletes jobs that ended more than `days` ago, with their rows in other tables, at most `batch` jobs of each end state. Returns how many jobs. */
export async function deleteEnded(ledger: Ledger, days: number, batch = BATCH): Promise<number> {
  const before = new Date(nowOf(ledger).getTime() - days * 86_400_000);
  let deleted = 0;
  for (const state of END_STATES)
    deleted += await ledger.db.transaction(async (tx) => {
      // A part is kept as long as its job, whose items are those of its parts.
      const rows = await tx.rows<{ id: Buffer }>(
        `SELECT id FROM jobs FORCE INDEX (ix_due)
          WHERE state = ? AND due_at <= ?
            AND (has_dependents = 0 OR NOT EXISTS (SELECT 1 FROM job_dependencies d FORCE INDEX (ix_needs) WHERE d.needs_id = jobs.id AND d.is_part = 1))
          ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
        [state, before, batch],
      );
      const ids = rows.map(({ id }) => id).sort(Buffer.compare);
      if (ids.length === 0) return 0;
      for (const table of TABLES_BY_JOB) await tx.run(`DELETE b FROM ${table} b FORCE INDEX (PRIMARY) WHERE b.job_id IN (?)`, [ids]);
      await tx.run('DELETE j FROM jobs j FORCE INDEX (PRIMARY) WHERE j.id IN (?)', [ids]);
      return ids.length;
    });
  return deleted;
}
