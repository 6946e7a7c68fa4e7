/**
 * How an attempt ends. Every write names (id, worker, attempt) of a running job. An attempt that does not match has lost its lease, and nothing that it made is
 * kept. Many attempts end in one transaction, together with the rows that they made.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { codeOf, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import { after, type Change, type Ledger, nowOf, rulesOf } from '../job.ts';
import { truncateReason } from '../states/ended.ts';
import type { Next } from '../states/move.ts';
import { idOf, lockJobs, type Standing } from '../states/standing.ts';
import type { ClaimedJob } from './claim.ts';
import { transition } from './dependents.ts';
import { endLone } from './end-lone.ts';

/** One attempt at a job. A worker must still own it to write for the job. */
export type Attempt = Pick<ClaimedJob, 'id' | 'attempt'> &
  Partial<Pick<ClaimedJob, 'hasDependents' | 'queue' | 'level' | 'userId' | 'dedupeKey'>>;

export interface Completion {
  job: Attempt & Pick<ClaimedJob, 'type' | 'symbol'>;
  result?: unknown;
  /** Set when items failed; the job's type must allow it. */
  withErrors?: string | undefined;
}

export interface Failure {
  job: Attempt & Pick<ClaimedJob, 'type' | 'maxAttempts'>;
  error: unknown;
}

export interface Finished {
  changes: Change[];
  /** Those of the given attempts whose lease was lost: nothing of them was written. */
  lost: Attempt[];
}

const ITEMS_FAILED = 'job.items_failed';

/** Writes what belongs to attempts that this worker owns, in their transaction. */
type Store<One> = (tx: Transaction, owned: readonly One[]) => Promise<void>;

/**
 * Completes jobs and stores what they made, all in one transaction. `store` gets the completions whose jobs this worker still owns and writes their rows; when it
 * throws, nothing of the call is committed. Errors: `PermanentError('job.items_failed')` for errors that the job's type does not allow, and those of the
 * transaction and of `store`.
 */
export async function complete<C extends Completion>(
  ledger: Ledger,
  workerId: string,
  completions: readonly C[],
  store?: Store<C>,
): Promise<Finished> {
  for (const { job, withErrors } of completions)
    if (withErrors !== undefined && !rulesOf(ledger, job.type).mayCompleteWithErrors) throw new PermanentError(ITEMS_FAILED, withErrors);
  const freed = await endLone(ledger, workerId, completions, store);
  if (freed === undefined) return completeAny(ledger, workerId, completions, store);
  return { changes: [...completions.map(({ job }) => changeOf(job, 'completed', workerId)), ...freed], lost: [] };
}

function completeAny<C extends Completion>(ledger: Ledger, workerId: string, completions: readonly C[], store?: Store<C>) {
  return ledger.db.transaction(async (tx) => {
    const { owned, lost } = await lockOwned(tx, workerId, completions);
    if (owned.length === 0) return { changes: [], lost };
    const mine = owned.map(({ of }) => of);
    await store?.(tx, mine);
    const changes = await transition(tx, ledger, owned, ({ of: { result, withErrors: reason } }) =>
      reason === undefined ? { state: 'completed', result } : { state: 'completed_with_errors', result, code: ITEMS_FAILED, reason },
    );
    return { changes, lost };
  });
}

/** Commits a part of a running job (some of its items and their rows), if this worker still owns it. Returns false when the lease is lost: nothing was written. */
export function commitPart(ledger: Ledger, workerId: string, job: Attempt, store: (tx: Transaction) => Promise<void>): Promise<boolean> {
  return ledger.db.transaction(async (tx) => {
    const held = await tx.rows(
      'SELECT 1 FROM running FORCE INDEX (PRIMARY) WHERE job_id = ? AND worker_id = ? AND attempt = ? FOR UPDATE',
      [idToBytes(job.id), workerId, job.attempt],
    );
    if (held.length === 0) return false;
    await store(tx);
    return true;
  });
}

/**
 * Ends attempts that threw. A `PermanentError` fails the job at once. Any other error is retried after the type's backoff with ±20 % jitter (or after the error's
 * `retryAfterMs`, when that is later) until the attempts are used up. `store` gets the failures whose jobs end with them and writes what these leave, in the same
 * transaction.
 */
export function fail(
  ledger: Ledger,
  workerId: string,
  failures: readonly Failure[],
  random: () => number = Math.random,
  store?: Store<Failure>,
): Promise<Finished> {
  return ledger.db.transaction(async (tx) => {
    const { owned, lost } = await lockOwned(tx, workerId, failures);
    const final = owned.map(({ of }) => of).filter(isLast);
    await store?.(tx, final);
    const changes = await transition(tx, ledger, owned, ({ of: failure }): Next => {
      const { job, error } = failure;
      const code = codeOf(error).slice(0, 64);
      const message = truncateReason(messageOf(error));
      if (isLast(failure)) {
        const reason = error instanceof PermanentError ? message : `${message} (attempt ${job.attempt} of ${job.maxAttempts})`;
        return { state: 'failed', code, reason, attempted: { outcome: 'failed', code, reason } };
      }
      // It frees its slot; its dependents still wait for it.
      const due_at = after(nowOf(ledger), backoff(ledger, job, error, random));
      const attempted = { outcome: 'retried', code, reason: message } as const;
      return { state: 'scheduled', due_at, reason: `${message}; retried at ${due_at.toISOString()}`, attempted };
    });
    return { changes, lost };
  });
}

function isLast({ job, error }: Failure): boolean {
  return error instanceof PermanentError || job.attempt >= job.maxAttempts;
}

/** Makes running jobs ready again at once, without using up an attempt: the worker shuts down. */
export function handBack(ledger: Ledger, workerId: string, jobs: readonly Attempt[], reason: string): Promise<Finished> {
  return continueLater(ledger, workerId, jobs, { code: 'worker.shutdown', reason, pauseSeconds: 0 });
}

/** The same for jobs that have done a part of their work and go on later. */
export function continueLater(
  ledger: Ledger,
  workerId: string,
  jobs: readonly Attempt[],
  { pauseSeconds, ...why }: { code: string; reason: string; pauseSeconds: number },
): Promise<Finished> {
  return ledger.db.transaction((tx) => giveBack(tx, ledger, workerId, jobs, { ...why, pauseOf: () => pauseSeconds }));
}

const HAND_BACKS_COUNTED_SECONDS = 300;
const LONGEST_HAND_BACK_SECONDS = 60;

/**
 * Gives back running jobs whose attempt ended for a reason that is not the job's, such as an outage of the database: no attempt is used up. The first time a job is
 * ready again at once. Further times within five minutes it waits 1, 2, 4, … 60 s (±20 %): without these pauses a database that answered every second statement
 * took one job through 140 attempts in a minute.
 */
export function postpone(
  ledger: Ledger,
  workerId: string,
  jobs: readonly Attempt[],
  why: { code: string; reason: string },
  random: () => number = Math.random,
): Promise<Finished> {
  return ledger.db.transaction(async (tx) => {
    const earlier = await tx.rows<{ job_id: Buffer; times: number }>(
      `SELECT job_id, COUNT(*) AS times FROM job_attempts FORCE INDEX (PRIMARY)
        WHERE job_id IN (?) AND outcome = 'handed_back' AND code = ? AND ended_at > ? GROUP BY job_id`,
      [sortedBytes(jobs.map(({ id }) => id)), why.code, after(nowOf(ledger), -HAND_BACKS_COUNTED_SECONDS)],
    );
    const timesOf = new Map(earlier.map(({ job_id, times }) => [idFromBytes(job_id), Number(times)]));
    const pauseOf = (id: string): number => growingPause((timesOf.get(id) ?? 0) + 1, LONGEST_HAND_BACK_SECONDS, random);
    return giveBack(tx, ledger, workerId, jobs, { ...why, pauseOf });
  });
}

/** Seconds to wait after something has happened so many times: 0, 1, 2, 4, … up to `longest`, with ±20 % jitter. */
export function growingPause(times: number, longest: number, random: () => number = Math.random): number {
  return times <= 1 ? 0 : Math.min(2 ** (times - 2), longest) * (0.8 + 0.4 * random());
}

interface Why {
  code: string;
  reason: string;
  /** Seconds for which a job waits before it is ready again. */
  pauseOf: (id: string) => number;
}

async function giveBack(tx: Transaction, ledger: Ledger, workerId: string, jobs: readonly Attempt[], { code, reason, pauseOf }: Why) {
  const given = jobs.map((job) => ({ job }));
  const { owned, lost } = await lockOwned(tx, workerId, given);
  const changes = await transition(tx, ledger, owned, ({ of: { job }, max_attempts }): Next => {
    const pause = pauseOf(job.id);
    // `attempt` is the fencing token and never goes down, so `max_attempts` goes up with it.
    const again = { max_attempts: max_attempts + 1, attempted: { outcome: 'handed_back', code, reason } } as const;
    if (pause === 0) return { ...again, state: 'ready', reason };
    const due_at = after(nowOf(ledger), pause);
    return { ...again, state: 'scheduled', due_at, reason: `${reason}; tried again at ${due_at.toISOString()}` };
  });
  return { changes, lost };
}

/** Hands back the running jobs of a worker that it does not know: the answer to their claim was lost. `known`: the ids of those that it knows. */
export async function handBackUnknown(ledger: Ledger, workerId: string, known: ReadonlySet<string>): Promise<readonly Change[]> {
  const select = 'SELECT job_id AS id, attempt FROM running WHERE worker_id = ?';
  const rows = await ledger.db.rows<{ id: Buffer; attempt: number }>(select, [workerId]);
  const unknown = rows.map(({ id, attempt }) => ({ id: idFromBytes(id), attempt })).filter(({ id }) => !known.has(id));
  if (unknown.length === 0) return [];
  const outage = { code: 'database.unavailable', reason: 'the answer to its claim was lost' };
  return (await postpone(ledger, workerId, unknown, outage)).changes;
}

/** An attempt whose job this worker runs, with what was given of it. */
type Owned<One> = Standing & { of: One };

/**
 * Locks the jobs that this worker runs, each with the given attempt: a worker may have lost a job and claimed it again, so its name alone does not prove that an attempt is the
 * current one. Their dependents are locked in the same statement, in the order of their ids, as an enqueuer locks the fetches and analyses of a login: with a statement each,
 * 1,000 transactions met 43 deadlocks.
 */
export async function lockOwned<One extends { job: Attempt }>(
  tx: Transaction,
  workerId: string,
  given: readonly One[],
): Promise<{ owned: Owned<One>[]; lost: Attempt[] }> {
  const ids = given.map(({ job }) => job.id);
  const needed = given.flatMap(({ job }) => (job.hasDependents ? [job.id] : []));
  const rows = await lockJobs(tx, [...ids, ...(await dependentIds(tx, needed))]);
  const rowOf = new Map(rows.map((row) => [idOf(row), row]));
  const owned: Owned<One>[] = [];
  const lost: Attempt[] = [];
  for (const of of given) {
    const row = rowOf.get(of.job.id);
    if (row?.state === 'running' && row.worker_id === workerId && row.attempt === of.job.attempt) owned.push({ ...row, of });
    else lost.push(of.job);
  }
  return { owned, lost };
}

async function dependentIds(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await tx.rows<{ job_id: Buffer }>('SELECT job_id FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?)', [
    sortedBytes(ids),
  ]);
  return rows.map(({ job_id }) => idFromBytes(job_id));
}

/** Seconds until the next attempt of a job that met `error`. */
export function backoff(
  ledger: Pick<Ledger, 'types'>,
  job: Pick<Failure['job'], 'type' | 'attempt' | 'maxAttempts'>,
  error: unknown,
  random: () => number,
): number {
  const { backoffSeconds: list, maxAttempts } = rulesOf(ledger, job.type);
  // Attempts that were handed back, or made before a redrive, raised both numbers, so the difference leaves them out.
  const failed = Math.max(job.attempt - Math.max(job.maxAttempts - maxAttempts, 0), 1);
  const seconds = list[Math.min(failed, list.length) - 1] ?? 0;
  const jittered = seconds * (0.8 + 0.4 * random());
  const retryAfter = error instanceof TransientError && error.retryAfterMs !== undefined ? error.retryAfterMs / 1000 : 0;
  return Math.max(jittered, retryAfter);
}

/** What became of a worker's own attempt. */
export function changeOf(job: Completion['job'], state: Change['state'], worker: string): Change {
  const { id, type, symbol, attempt, queue, level, userId = null } = job;
  const place = queue === undefined || level === undefined ? undefined : { queue, level, user: userId };
  return { id, type, symbol, state, attempt, worker, place };
}
