/** Jobs whose lease ended, or whose worker is gone, go back to the queue, or end as failed when that has happened too often (`run/deaths.ts`). */
import { after, type Change, type Ledger, nowOf } from '../job.ts';
import { endByDeath } from '../run/deaths.ts';
import { lockFreeJobs } from '../states/standing.ts';
import { BATCH, lockDue } from './due.ts';

/** Takes back jobs whose lease has expired, at most 500 a call: ready again, or failed with the reason when it has died too often. */
export function reap(ledger: Ledger): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const rows = await lockDue(tx, 'running', nowOf(ledger));
    return endByDeath(tx, ledger, rows, { reasonOf: (row) => `worker ${row.worker_id} did not renew its lease` });
  });
}

export interface Rescued {
  changes: Change[];
  /** Attempts that are still to be taken back: another transaction has locked their rows. Ask again. */
  left: number;
}

/** The latest start that an attempt which runs now can have been given. Those from before the clock was set back began later than now. */
export function latestStart(ledger: Ledger): Date {
  const { byMs, agoMs } = ledger.clock.lastJump ?? { byMs: 0, agoMs: 0 };
  return after(nowOf(ledger), Math.max(-byMs - agoMs, 0) / 1000);
}

/**
 * Ends the leases of a worker that is known to be gone (its last will, or a new process under its name). Fencing makes a false alarm harmless. Takes back only
 * attempts that began until `until`, since a later one belongs to a process that lives. A row that another transaction has locked is skipped and counted in `left`:
 * the dead worker's own transaction may still hold it until the server notices that the connection is gone.
 */
export async function rescue(ledger: Ledger, workerId: string, reason: string, until = latestStart(ledger)): Promise<Rescued> {
  const running = await attemptsOf(ledger, workerId, until);
  if (running.length === 0) return { changes: [], left: 0 };
  const changes: Change[] = [];
  for (let start = 0; start < running.length; start += BATCH) {
    const freed = await ledger.db.transaction(async (tx) => {
      const rows = await lockFreeJobs(tx, running.slice(start, start + BATCH));
      const own = rows.filter(
        (row) => row.state === 'running' && row.worker_id === workerId && (row.started_at ?? row.enqueued_at) <= until,
      );
      return endByDeath(tx, ledger, own, { reasonOf: () => reason });
    });
    changes.push(...freed);
  }
  return { changes, left: (await attemptsOf(ledger, workerId, until)).length };
}

/** Running jobs of the worker whose attempt began until `until`. A plain read: a locking one would hold the rows of every other worker for a moment. */
function attemptsOf(ledger: Ledger, workerId: string, until: Date): Promise<{ id: Buffer }[]> {
  return ledger.db.rows(
    `SELECT n.job_id AS id FROM running n FORCE INDEX (PRIMARY) LEFT JOIN jobs j FORCE INDEX (PRIMARY) ON n.started_at IS NULL AND j.id = n.job_id
      WHERE n.worker_id = ? AND COALESCE(n.started_at, j.enqueued_at) <= ? ORDER BY n.job_id`,
    [workerId, until],
  );
}
