/** `blocked`: jobs that wait for a slot of their users (`slot_waits` holds their order) or for other jobs. They are outside of the claim's way. */
import type { Transaction } from '../../platform/database/database.ts';
import { deleteById } from './delete-by-id.ts';
import type { WaitingRow } from './ready.ts';

export interface BlockedRow extends WaitingRow {
  blocked_on: 'slot' | 'dependency';
}

export function enterBlocked(tx: Transaction, rows: readonly BlockedRow[]): void {
  if (rows.length > 0)
    tx.later('INSERT INTO blocked (queue, priority, job_id, attempt, due_at, blocked_on) VALUES ?', [
      rows.map(({ id, queue, priority, attempt, due_at, blocked_on }) => [queue, priority, id, attempt, due_at, blocked_on]),
    ]);
}

export function leaveBlocked(tx: Transaction, rows: readonly { id: Buffer; blocked_on: string | null }[]): void {
  if (rows.length === 0) return;
  deleteById(tx, 'blocked', rows);
  const forSlot = rows.flatMap(({ id, blocked_on }) => (blocked_on === 'slot' ? [id] : []));
  if (forSlot.length > 0) tx.later('DELETE w FROM slot_waits w FORCE INDEX (ix_job) WHERE w.job_id IN (?)', [forSlot]);
}
