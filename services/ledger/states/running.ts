/** `running`: jobs that a worker holds. It has as many rows as all workers have places, so it is read as a whole where no id is known. */
import type { Transaction } from '../../platform/database/database.ts';
import { deleteById } from './delete-by-id.ts';

export interface RunningRow {
  id: Buffer;
  worker_id: string;
  /** The fencing token. */
  attempt: number;
  started_at: Date;
  /** The end of its lease. */
  due_at: Date;
  has_dependents: number;
  user_id: string | null;
  dedupe_key: string | null;
}

/** What the end of a job needs stands in its row: the worker completes it without a look at `jobs`. */
export function enterRunning(tx: Transaction, rows: readonly RunningRow[]): void {
  if (rows.length > 0)
    tx.later('INSERT INTO running (job_id, worker_id, attempt, started_at, due_at, has_dependents, has_user, dedupe_key) VALUES ?', [
      rows.map((row) => [
        row.id,
        row.worker_id,
        row.attempt,
        row.started_at,
        row.due_at,
        row.has_dependents,
        row.user_id === null ? 0 : 1,
        row.dedupe_key,
      ]),
    ]);
}

export function leaveRunning(tx: Transaction, rows: readonly { id: Buffer }[]): void {
  deleteById(tx, 'running', rows);
}
