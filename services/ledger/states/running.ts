/** `running`: jobs that a worker holds. It has as many rows as all workers have places, so it is read as a whole where no id is known. */
import { type Transaction, writtenOnce } from '../../platform/database/database.ts';
import { deleteById } from './delete-by-id.ts';

export interface RunningRow {
  id: Buffer;
  /** The fencing token. */
  attempt: number;
  has_dependents: number;
  user_id: string | null;
  dedupe_key: string | null;
}

/** What the jobs of one claim have in common. */
export interface Hold {
  worker_id: string;
  started_at: Date;
  /** The end of their lease. */
  due_at: Date;
}

/** What the end of a job needs stands in its row: the worker completes it without a look at `jobs`. */
export function enterRunning(tx: Transaction, { worker_id, started_at, due_at }: Hold, rows: readonly RunningRow[]): void {
  if (rows.length === 0) return;
  const [worker, started, due] = [worker_id, started_at, due_at].map(writtenOnce);
  tx.later('INSERT INTO running (job_id, worker_id, attempt, started_at, due_at, has_dependents, has_user, dedupe_key) VALUES ?', [
    rows.map((row) => [row.id, worker, row.attempt, started, due, row.has_dependents, row.user_id === null ? 0 : 1, row.dedupe_key]),
  ]);
}

export function leaveRunning(tx: Transaction, rows: readonly { id: Buffer }[]): void {
  deleteById(tx, 'running', rows);
}
