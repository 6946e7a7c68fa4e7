/** `scheduled`: jobs that start later, and those between two attempts. `ix_due` gives the promoter those whose time has come. */
import type { Transaction } from '../../platform/database/database.ts';
import { deleteById } from './delete-by-id.ts';
import type { WaitingRow } from './ready.ts';

/** `due_at`: when it becomes ready. */
export function enterScheduled(tx: Transaction, rows: readonly WaitingRow[]): void {
  if (rows.length > 0)
    tx.later('INSERT INTO scheduled (queue, priority, job_id, attempt, due_at) VALUES ?', [
      rows.map(({ id, queue, priority, attempt, due_at }) => [queue, priority, id, attempt, due_at]),
    ]);
}

export function leaveScheduled(tx: Transaction, rows: readonly { id: Buffer }[]): void {
  deleteById(tx, 'scheduled', rows);
}
