/**
 * `ready`: what can be claimed. Its primary key (queue, priority, job_id) is the order of the claims, so the claim needs no other index. A job is found by its id through
 * the queue and the priority of its row in `jobs`. `ix_type` gives a worker the most urgent of each type and capability, where it runs only some of them.
 */
import type { Transaction } from '../../platform/database/database.ts';
import type { Queue } from '../job.ts';

/** A job that waits. */
export interface WaitingRow {
  id: Buffer;
  queue: Queue;
  priority: number;
  attempt: number;
  /** When it has waited too long. */
  due_at: Date;
}

export interface ReadyRow extends WaitingRow {
  type: string;
  /** That its worker must have; null: any worker. */
  capability: string | null;
  /** It was made ready for a slot that is free. */
  blocked_on?: 'slot' | null;
}

export function enterReady(tx: Transaction, rows: readonly ReadyRow[]): void {
  if (rows.length > 0)
    tx.later('INSERT INTO ready (queue, priority, job_id, capability, type, attempt, due_at, blocked_on) VALUES ?', [
      rows.map(({ id, queue, priority, capability, type, attempt, due_at, blocked_on }) => [
        queue,
        priority,
        id,
        capability ?? '',
        type,
        attempt,
        due_at,
        blocked_on ?? null,
      ]),
    ]);
}

/**
 * By key look-ups on every server, whatever its statistics say: `(priority = ? AND job_id IN (?)) OR …` becomes a scan of the queue when few rows are left, which waits for
 * the rows of other claims, and `(queue, priority, job_id) IN (…)` a scan of the table.
 */
export function leaveReady(tx: Transaction, rows: readonly Pick<ReadyRow, 'id' | 'queue' | 'priority'>[]): void {
  for (const [queue, some] of Map.groupBy(rows, (row) => row.queue))
    tx.later(
      `DELETE r FROM JSON_TABLE(?, '$[*]' COLUMNS (priority INT UNSIGNED PATH '$[0]', id CHAR(32) CHARACTER SET ascii PATH '$[1]')) k
        STRAIGHT_JOIN ready r FORCE INDEX (PRIMARY) ON r.queue = ? AND r.priority = k.priority AND r.job_id = UNHEX(k.id)`,
      [JSON.stringify(some.map(({ id, priority }) => [priority, id.toString('hex')])), queue],
    );
}
