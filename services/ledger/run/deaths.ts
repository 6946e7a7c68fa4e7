/**
 * Attempts that ended because their process died. Nobody knows which of the jobs that ran in it was the cause, so no attempt is used up. A job whose worker has died
 * twice runs in a process of its own (`worker/isolated.ts`): when that one dies too while the worker lives, the job is the cause.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes } from '../id.ts';
import { after, type Change, expiryOf, type Ledger, nowOf, placeOf } from '../job.ts';
import { enterEnded } from '../states/ended.ts';
import { enterReady } from '../states/ready.ts';
import { leaveRunning } from '../states/running.ts';
import { enterScheduled } from '../states/scheduled.ts';
import type { Standing } from '../states/standing.ts';
import { type Failure, type Finished, growingPause, lockOwned, recordAttempts } from './complete.ts';
import { type Ended, resolveDependents } from './dependents.ts';

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
export async function endByDeath(
  tx: Transaction,
  ledger: Ledger,
  rows: readonly Standing[],
  { reasonOf, crashed = false }: { reasonOf: (row: Standing) => string; crashed?: boolean },
): Promise<Change[]> {
  if (rows.length === 0) return [];
  const now = nowOf(ledger);
  const dead = rows.map((row) => {
    const deaths = row.deaths + 1;
    const crashes = row.crashes + (crashed ? 1 : 0);
    const pause = growingPause(deaths - 1, LONGEST_PAUSE_SECONDS, () => 0.5);
    const fails = crashes >= MOST_CRASHES || deaths >= MOST_DEATHS;
    const state = fails ? ('failed' as const) : pause > 0 ? ('scheduled' as const) : ('ready' as const);
    const reason = fails ? `its worker died ${deaths} times while it ran; the last time: ${reasonOf(row)}` : reasonOf(row);
    const dueAt = state === 'failed' ? now : state === 'scheduled' ? after(now, pause) : expiryOf(ledger, row, now);
    return { row, id: idFromBytes(row.id), state, reason, dueAt };
  });
  const into = (state: (typeof dead)[number]['state']) => dead.filter((one) => one.state === state);
  const failed = into('failed');
  // `attempt` is the fencing token and never goes down, so `max_attempts` goes up with it.
  tx.later(
    'UPDATE jobs FORCE INDEX (PRIMARY) SET max_attempts = max_attempts + 1, deaths = deaths + 1, crashes = crashes + ? WHERE id IN (?)',
    [crashed ? 1 : 0, rows.map(({ id }) => id)],
  );
  leaveRunning(tx, rows);
  enterReady(
    tx,
    into('ready').map(({ row, dueAt }) => ({ ...row, blocked_on: null, due_at: dueAt })),
  );
  enterScheduled(
    tx,
    into('scheduled').map(({ row, dueAt }) => ({ ...row, due_at: dueAt })),
  );
  enterEnded(
    tx,
    now,
    failed.map(({ row, reason }) => ({ ...row, state: 'failed', code: DIED, reason })),
  );
  await recordAttempts(
    tx,
    dead.map(({ row }) => [
      row.id,
      row.attempt,
      row.worker_id,
      row.started_at,
      now,
      'lease_lost',
      crashed ? DIED : 'job.lease_lost',
      reasonOf(row),
    ]),
  );
  const changes = dead.map(({ row, id, state, reason }): Change => {
    const { type, symbol, attempt, worker_id } = row;
    const worker = worker_id ?? undefined;
    return { id, type, symbol, state, attempt, worker, reason, ...(state === 'failed' ? { code: DIED } : {}), place: placeOf(row) };
  });
  const ended = failed.map(
    ({ row, id, reason }): Ended => ({
      id,
      type: row.type,
      symbol: row.symbol,
      state: 'failed',
      reason,
      hasDependents: row.has_dependents === 1,
    }),
  );
  const stopped = rows.flatMap(({ id, user_id }) => (user_id === null ? [] : [idFromBytes(id)]));
  return [...changes, ...(await resolveDependents(tx, ledger, ended, stopped))];
}

/** Ends an attempt whose own process has died, as its worker has seen. `how`: what the system says of it, such as "killed by SIGKILL". */
export function crash(ledger: Ledger, workerId: string, job: Failure['job'], how: string): Promise<Finished> {
  return ledger.db.transaction(async (tx) => {
    const { owned, lost } = await lockOwned(tx, workerId, [job]);
    if (!owned.has(job)) return { changes: [], lost };
    return { changes: await endByDeath(tx, ledger, [...owned.values()], { reasonOf: () => how, crashed: true }), lost };
  });
}
