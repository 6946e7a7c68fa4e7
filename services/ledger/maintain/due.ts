/** What maintenance reads: jobs whose time has come, by state. Each function of this folder is one batch in one commit. */
import type { Transaction } from '../../platform/database/database.ts';
import { type Change, placeOf, type State } from '../job.ts';
import { idOf, lockFreeJobs, type Standing } from '../states/standing.ts';

/** Most rows of one commit. The caller repeats while a batch is full. */
export const BATCH = 500;

// `ready` and `running` have no index by time, which every claim would pay for: one is read in the order of its key until enough are found, the other has as many rows as workers have places.
const SELECT_DUE = {
  ready: 'SELECT job_id AS id FROM ready FORCE INDEX (PRIMARY) WHERE due_at <= ? LIMIT ?',
  scheduled: 'SELECT job_id AS id FROM scheduled FORCE INDEX (ix_due) WHERE due_at <= ? ORDER BY due_at, job_id LIMIT ?',
  blocked: 'SELECT job_id AS id FROM blocked FORCE INDEX (ix_due) WHERE due_at <= ? ORDER BY due_at, job_id LIMIT ?',
  running: 'SELECT job_id AS id FROM running FORCE INDEX (PRIMARY) WHERE due_at < ? LIMIT ?',
};

/** Locks jobs of a state whose time has come, but for those that another transaction has locked. They are found by a plain read, which holds up nobody. */
export async function lockDue(tx: Transaction, state: keyof typeof SELECT_DUE, before: Date, limit = BATCH): Promise<Standing[]> {
  const found = await tx.rows<{ id: Buffer }>(SELECT_DUE[state], [before, limit]);
  const rows = await lockFreeJobs(
    tx,
    found.map(({ id }) => id),
  );
  return rows.filter((row) => row.state === state && row.due_at <= before);
}

export function changesTo(rows: readonly Standing[], state: State, why?: { code: string; reasonOf: (row: Standing) => string }): Change[] {
  return rows.map((row) => ({
    id: idOf(row),
    type: row.type,
    symbol: row.symbol,
    attempt: row.attempt,
    state,
    reason: why?.reasonOf(row),
    code: why?.code,
    place: placeOf(row),
  }));
}
