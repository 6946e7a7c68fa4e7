/** What maintenance reads: jobs whose time has come, by state. Each function of this folder is one batch in one commit. */
import type { Transaction } from '../../platform/database/database.ts';
import { QUEUES, type Queue, type State } from '../job.ts';
import { lockFreeJobs, type Standing } from '../states/standing.ts';

/** Most rows of one commit. The caller repeats while a batch is full. */
export const BATCH = 500;

// `running` has as many rows as workers have places, and needs no index by time.
const SELECT_DUE = {
  scheduled: 'SELECT job_id AS id FROM scheduled FORCE INDEX (ix_due) WHERE due_at <= ? ORDER BY due_at, job_id LIMIT ?',
  blocked: 'SELECT job_id AS id FROM blocked FORCE INDEX (ix_due) WHERE due_at <= ? ORDER BY due_at, job_id LIMIT ?',
  running: 'SELECT job_id AS id FROM running FORCE INDEX (PRIMARY) WHERE due_at < ? LIMIT ?',
};

/** Where a walk over `ready` goes on; undefined: nowhere, it has ended. */
export interface Walk {
  from: { queue: Queue; priority: number; id: Buffer } | undefined;
}
export const walkOfReady = (): Walk => ({ from: { queue: QUEUES[0], priority: 0, id: Buffer.alloc(16) } });

/** Locks jobs of a state whose time has come, but for those that another transaction has locked. They are found by a plain read, which holds up nobody. */
export async function lockDue(tx: Transaction, state: keyof typeof SELECT_DUE, before: Date, limit = BATCH): Promise<Standing[]> {
  return lockFound(tx, state, before, await tx.rows<{ id: Buffer }>(SELECT_DUE[state], [before, limit]));
}

/** The same for the next ready jobs of a walk. `ready` has no index by time, which every claim would pay for: it is read in the order of its key, each row once a walk. */
export async function lockDueOfReady(tx: Transaction, before: Date, walk: Walk): Promise<Standing[]> {
  const found: { id: Buffer; priority: number }[] = [];
  while (walk.from !== undefined && found.length < BATCH) {
    const { queue, priority, id } = walk.from;
    const most = BATCH - found.length;
    const rows = await tx.rows<{ id: Buffer; priority: number }>(
      `SELECT job_id AS id, priority FROM ready FORCE INDEX (PRIMARY)
        WHERE queue = ? AND (priority > ? OR (priority = ? AND job_id > ?)) AND due_at <= ? ORDER BY priority, job_id LIMIT ?`,
      [queue, priority, priority, id, before, most],
    );
    found.push(...rows);
    const last = rows.length === most ? rows.at(-1) : undefined;
    const below = QUEUES[QUEUES.indexOf(queue) + 1];
    if (last !== undefined) walk.from = { queue, ...last };
    else walk.from = below === undefined ? undefined : { queue: below, priority: 0, id: Buffer.alloc(16) };
  }
  return lockFound(tx, 'ready', before, found);
}

async function lockFound(tx: Transaction, state: State, before: Date, found: readonly { id: Buffer }[]): Promise<Standing[]> {
  return (await lockFreeJobs(tx, found)).filter((row) => row.state === state && row.due_at <= before);
}
