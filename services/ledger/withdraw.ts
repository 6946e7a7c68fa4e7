/** A user does not want a job any more. The job is cancelled if nobody else wants it; otherwise it goes on for the others. */
import type { Transaction } from '../platform/database/database.ts';
import { cancelWith, lockOne } from './control.ts';
import { UNNAMED } from './enqueue/enqueue.ts';
import { idFromBytes, sortedBytes } from './id.ts';
import { type Change, isLive, type Ledger } from './job.ts';
import { transition } from './run/dependents.ts';
import { idOf, lockJobs, readJobs, type Standing } from './states/standing.ts';

export interface Withdrawal {
  /** `left`: others want the job, so it is as it was, without these users. */
  outcome: 'cancelled' | 'left';
  /** Those of `cancel`; when the users only left, the jobs that may try for a slot now. */
  changes: Change[];
}

type OthersWant = (tx: Transaction, ids: readonly Buffer[]) => Promise<boolean>;

export interface WithdrawOptions {
  /** Why a cancelled job did not complete. */
  reason: string;
  /** Whether somebody wants one of these jobs (this one and those that need it) who is no user of it, such as the receiver of a webhook. */
  othersWant?: OthersWant;
  /** Writes that must be committed with the withdrawal. */
  alongside?: (tx: Transaction, outcome: Withdrawal['outcome']) => Promise<void> | void;
}

/**
 * Withdraws users from a live job that they wait for. It is cancelled unless others want it or a job that needs it: another user, or whoever asked without naming a
 * user, such as a schedule. Errors: `InputError('job.unknown' | 'job.ended')`; the caller has checked that the users wait for it.
 */
export function withdraw(
  ledger: Ledger,
  id: string,
  users: readonly string[],
  { reason, othersWant = async () => false, alongside }: WithdrawOptions,
): Promise<Withdrawal> {
  return ledger.db.transaction(async (tx) => {
    // Locks what is read, and where more could stand: nobody joins between the look for others and the cancellation. Who joins later finds a cancelled job and makes a new one.
    await tx.run('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
    const job = await lockOne(tx, id);
    const wanted = isLive(job.state) && (await isWantedByOthers(tx, id, users, othersWant));
    const outcome = wanted ? 'left' : 'cancelled';
    const changes = wanted ? await leave(tx, ledger, job, users) : await cancelWith(tx, ledger, [job], reason);
    await alongside?.(tx, outcome);
    return { outcome, changes };
  });
}

/** Looks at the job and at the live jobs that need it, which would be cancelled with it. Each read is by primary key or ix_needs; the longest chain has three jobs. */
async function isWantedByOthers(tx: Transaction, id: string, users: readonly string[], othersWant: OthersWant): Promise<boolean> {
  const seen = new Set<string>();
  for (let wave = [id]; wave.length > 0; ) {
    for (const one of wave) seen.add(one);
    const keys = sortedBytes(wave);
    const [other] = await tx.rows(
      `SELECT 1 FROM jobs WHERE id IN (?) AND (user_id IS NULL OR user_id NOT IN (?))
        UNION ALL SELECT 1 FROM job_subscribers WHERE job_id IN (?) AND user_id NOT IN (?)
        UNION ALL SELECT 1 FROM job_askers WHERE job_id IN (?) AND asker = ? LIMIT 1`,
      [keys, users, keys, users, keys, UNNAMED],
    );
    if (other !== undefined || (await othersWant(tx, keys))) return true;
    const dependents = await tx.rows<{ job_id: Buffer }>(
      'SELECT job_id FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?)',
      [keys],
    );
    const rows = await readJobs(tx, new Set(dependents.map(({ job_id }) => idFromBytes(job_id))));
    wave = rows.flatMap((row) => (isLive(row.state) && !seen.has(idOf(row)) ? [idOf(row)] : []));
  }
  return false;
}

/**
 * Where one of the users asked first, another who waits for the job takes that place: the job counts against the slots of those who want it. One that waits for a slot, or
 * was made ready for one, is left to the next claim: it may have been the slot of a user who leaves, and there may be nobody left whose slots could hold it up.
 */
async function leave(tx: Transaction, ledger: Ledger, row: Standing, users: readonly string[]): Promise<Change[]> {
  tx.later(
    `UPDATE jobs SET user_id = (SELECT MIN(user_id) FROM job_subscribers WHERE job_id = ? AND user_id NOT IN (?)) WHERE id = ? AND user_id IN (?)`,
    [row.id, users, row.id, users],
  );
  const changes = row.blocked_on === 'slot' ? await transition(tx, ledger, await lockJobs(tx, [row]), () => ({ state: 'ready' })) : [];
  tx.later('DELETE FROM job_subscribers WHERE job_id = ? AND user_id IN (?)', [row.id, users]);
  // One that was ready before is told of already.
  return changes.filter(({ id }) => row.state === 'blocked' || id !== idOf(row));
}
