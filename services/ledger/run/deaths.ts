/**
 * Attempts that ended because their process died. Nobody knows which of the jobs that ran in it was the cause, so no attempt is used up. A job whose worker has died
 * twice runs in a process of its own (`worker/isolated.ts`): when that one dies too while the worker lives, the job is the cause.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { after, type Change, type Ledger, nowOf } from '../job.ts';
import type { Next } from '../states/move.ts';
import type { Standing } from '../states/standing.ts';
import { type Attempt, type Finished, growingPause, lockOwned } from './complete.ts';
import { transition } from './dependents.ts';

/**
 * From so many deaths on a job runs in a process of its own. Not from the first: most workers die by no fault of a job (a node is lost, an operator kills it), and
 * then all their jobs run again at once, at full speed.
 */
export const ALONE_FROM = 2;
/** A job fails when so many processes of its own have died. More than one, since a machine that is short of memory may kill any process. */
const MOST_CRASHES = 3;
/** A job fails after so many deaths of any kind: one that takes its whole machine down leaves no witness. */
const MOST_DEATHS = 10;
/** The longest pause after a death, in seconds. The first two deaths cost none. */
const LONGEST_PAUSE_SECONDS = 60;
const DIED = 'job.worker_died';

/**
 * Ends attempts whose process has died: the job runs again, from its third death on after 1, 2, 4, … 60 s, or fails when it has died too often. The transaction
 * must have locked the rows. `crashed`: each ran in a process of its own, and the worker has seen that process die.
 */
export function endByDeath(
  tx: Transaction,
  ledger: Ledger,
  rows: readonly Standing[],
  { reasonOf, crashed = false }: { reasonOf: (row: Standing) => string; crashed?: boolean },
): Promise<Change[]> {
  return transition(tx, ledger, rows, (row): Next => {
    const reason = reasonOf(row);
    const [deaths, crashes] = [row.deaths + 1, row.crashes + (crashed ? 1 : 0)];
    const pause = growingPause(deaths - 1, LONGEST_PAUSE_SECONDS, () => 0.5);
    const next = {
      ...{ deaths, crashes, reason },
      // `attempt` is the fencing token and never goes down, so `max_attempts` goes up with it.
      max_attempts: row.max_attempts + 1,
      attempted: { outcome: 'lease_lost', code: crashed ? DIED : 'job.lease_lost', reason },
    } as const;
    if (crashes >= MOST_CRASHES || deaths >= MOST_DEATHS)
      return { ...next, state: 'failed', code: DIED, reason: `its worker died ${deaths} times while it ran; the last time: ${reason}` };
    return pause === 0 ? { ...next, state: 'ready' } : { ...next, state: 'scheduled', due_at: after(nowOf(ledger), pause) };
  });
}

/** Ends an attempt whose own process has died, as its worker has seen. `how`: what the system says of it, such as "killed by SIGKILL". */
export function crash(ledger: Ledger, workerId: string, job: Attempt, how: string): Promise<Finished> {
  return ledger.db.transaction(async (tx) => {
    const { owned, lost } = await lockOwned(tx, workerId, [{ job }]);
    return { changes: await endByDeath(tx, ledger, owned, { reasonOf: () => how, crashed: true }), lost };
  });
}
