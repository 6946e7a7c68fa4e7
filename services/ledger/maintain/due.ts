/** What maintenance reads: jobs whose time has come, by state (`ix_due`). Each function of this folder is one batch in one commit. */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes } from '../id.ts';
import { type Change, placeOf, type Queue, type State } from '../job.ts';

/** Most rows of one commit. The caller repeats while a batch is full. */
export const BATCH = 500;

export interface Due {
  id: Buffer;
  type: string;
  symbol: string | null;
  queue: Queue;
  attempt: number;
  priority: number;
  user_id: string | null;
  has_dependents: number;
  blocked_on: 'slot' | 'dependency' | null;
  enqueued_at: Date;
}

export function selectDue(tx: Transaction, state: State, before: Date, limit = BATCH): Promise<Due[]> {
  return tx.rows<Due>(
    `SELECT id, type, symbol, queue, attempt, priority, user_id, has_dependents, blocked_on, enqueued_at FROM jobs FORCE INDEX (ix_due)
      WHERE state = ? AND due_at <= ? ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [state, before, limit],
  );
}

export function changesTo(rows: readonly Due[], state: State, why?: { code: string; reasonOf: (row: Due) => string }): Change[] {
  return rows.map((row) => ({
    id: idFromBytes(row.id),
    type: row.type,
    symbol: row.symbol,
    attempt: row.attempt,
    state,
    reason: why?.reasonOf(row),
    code: why?.code,
    place: placeOf(row),
  }));
}

export const idsOf = (rows: readonly Due[]): Buffer[] => rows.map(({ id }) => id).sort(Buffer.compare);
