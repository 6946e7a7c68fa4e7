/**
 * How an attempt ends. Every write names (id, worker, attempt) of a running job. An attempt that does not match has lost its lease, and nothing that it made is
 * kept. Many attempts end in one transaction, together with the rows that they made.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { codeOf, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import { after, type Change, expiryOf, type Ledger, nowOf, rulesOf } from '../job.ts';
import { type EndedRow, enterEnded, truncateReason } from '../states/ended.ts';
import { enterReady } from '../states/ready.ts';
import { leaveRunning } from '../states/running.ts';
import { enterScheduled } from '../states/scheduled.ts';
import { idOf, lockJobs, type Standing } from '../states/standing.ts';
import type { ClaimedJob } from './claim.ts';
import { type Ended, resolveDependents } from './dependents.ts';

/** One attempt at a job. A worker must still own it to write for the job. */
export type Attempt = Pick<ClaimedJob, 'id' | 'attempt'> & Partial<Pick<ClaimedJob, 'hasDependents' | 'queue' | 'level' | 'userId'>>;

export interface Completion {
  job: Attempt & Pick<ClaimedJob, 'type' | 'symbol'>;
  result?: unknown;
  /** Set when items failed; the job's type must allow it. */
  withErrors?: string | undefined;
}

export interface Failure {
  job: Attempt & Pick<ClaimedJob, 'type' | 'symbol' | 'maxAttempts' | 'queue' | 'startedAt'>;
  error: unknown;
}

export interface Finished {
  changes: Change[];
  /** Those of the given attempts whose lease was lost: nothing of them was written. */
  lost: Attempt[];
}

const ITEMS_FAILED = 'job.items_failed';

/**
 * Completes jobs and stores what they made, all in one transaction. `store` gets the completions whose jobs this worker still owns and writes their rows; when it
 * throws, nothing of the call is committed. Errors: `PermanentError('job.items_failed')` for errors that the job's type does not allow, and those of the
 * transaction and of `store`.
 */
export async function complete<C extends Completion>(
  ledger: Ledger,
  workerId: string,
  completions: readonly C[],
  store?: (tx: Transaction, owned: readonly C[]) => Promise<void>,
): Promise<Finished> {
  for (const { job, withErrors } of completions)
    if (withErrors !== undefined && !rulesOf(ledger, job.type).mayCompleteWithErrors) throw new PermanentError(ITEMS_FAILED, withErrors);
  return ledger.db.transaction(async (tx) => {
    const { owned, lost } = await lockToComplete(
      tx,
      workerId,
      completions.map(({ job }) => job),
    );
    const mine = completions.filter(({ job }) => owned.has(job));
    if (mine.length === 0) return { changes: [], lost };
    await store?.(tx, mine);
    const ended = mine.map(({ job, result, withErrors }): EndedRow & Holding => ({
      ...(owned.get(job) as Holding),
      ...(withErrors === undefined
        ? { state: 'completed', result }
        : { state: 'completed_with_errors', code: ITEMS_FAILED, reason: withErrors, result }),
    }));
    leaveRunning(tx, ended);
    enterEnded(tx, nowOf(ledger), ended);
    const changes = mine.map(({ job, withErrors }, index): Change => {
      const { state } = ended[index] as EndedRow;
      return { ...changeOf(job, state, workerId), ...(withErrors === undefined ? {} : { reason: withErrors, code: ITEMS_FAILED }) };
    });
    const others = await resolveDependents(
      tx,
      ledger,
      mine.map(({ job: { id, type, symbol }, withErrors }, index): Ended => {
        const { state, has_dependents } = ended[index] as EndedRow & Holding;
        return { id, type, symbol, state, reason: withErrors, hasDependents: has_dependents === 1 };
      }),
      holdingSlots(ended),
    );
    return { changes: [...changes, ...others], lost };
  });
}

/** Commits a part of a running job (some of its items and their rows), if this worker still owns it. Returns false when the lease is lost: nothing was written. */
export function commitPart(ledger: Ledger, workerId: string, job: Attempt, store: (tx: Transaction) => Promise<void>): Promise<boolean> {
  return ledger.db.transaction(async (tx) => {
    const { owned } = await lockRunning(tx, workerId, [job]);
    if (!owned.has(job)) return false;
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
  store?: (tx: Transaction, final: readonly Failure[]) => Promise<void>,
): Promise<Finished> {
  return ledger.db.transaction(async (tx) => {
    const { owned, lost } = await lockOwned(
      tx,
      workerId,
      failures.map(({ job }) => job),
    );
    await store?.(
      tx,
      failures.filter(({ job, error }) => owned.has(job) && isLast(job, error)),
    );
    const now = nowOf(ledger);
    const changes: Change[] = [];
    const ended: Ended[] = [];
    const retries: Standing[] = [];
    const attempts: unknown[][] = [];
    const final: EndedRow[] = [];
    for (const { job, error } of failures) {
      const row = owned.get(job);
      if (row === undefined) continue;
      const code = codeOf(error).slice(0, 64);
      const last = isLast(job, error);
      const reason = truncateReason(
        last && !(error instanceof PermanentError)
          ? `${messageOf(error)} (attempt ${job.attempt} of ${job.maxAttempts})`
          : messageOf(error),
      );
      attempts.push([row.id, job.attempt, workerId, job.startedAt, now, last ? 'failed' : 'retried', code, reason]);
      if (last) {
        final.push({ ...row, state: 'failed', code, reason });
        ended.push({ id: job.id, type: job.type, symbol: job.symbol, state: 'failed', reason, hasDependents: row.has_dependents === 1 });
        changes.push({ ...changeOf(job, 'failed', workerId), reason, code });
      } else {
        const dueAt = after(now, backoff(ledger, job, error, random));
        retries.push({ ...row, due_at: dueAt });
        changes.push({ ...changeOf(job, 'scheduled', workerId), reason: `${reason}; retried at ${dueAt.toISOString()}` });
      }
    }
    leaveRunning(tx, [...owned.values()]);
    enterScheduled(tx, retries);
    enterEnded(tx, now, final);
    await recordAttempts(tx, attempts);
    // A job that waits for its retry frees its slot; its dependents still wait for it.
    changes.push(...(await resolveDependents(tx, ledger, ended, holdingSlots([...owned.values()]))));
    return { changes, lost };
  });
}

function isLast(job: Failure['job'], error: unknown): boolean {
  return error instanceof PermanentError || job.attempt >= job.maxAttempts;
}

/** Makes running jobs ready again at once, without using up an attempt: the worker shuts down. */
export function handBack(ledger: Ledger, workerId: string, jobs: readonly Failure['job'][], reason: string): Promise<Finished> {
  return ledger.db.transaction((tx) => giveBack(tx, ledger, workerId, jobs, { reason, code: 'worker.shutdown', pauseOf: () => 0 }));
}

/** The same for jobs that have done a part of their work and go on later. */
export function continueLater(
  ledger: Ledger,
  workerId: string,
  jobs: readonly Failure['job'][],
  { code, reason, pauseSeconds }: { code: string; reason: string; pauseSeconds: number },
): Promise<Finished> {
  return ledger.db.transaction((tx) => giveBack(tx, ledger, workerId, jobs, { reason, code, pauseOf: () => pauseSeconds }));
}

/** Hand-backs are counted for so many seconds. */
const HAND_BACKS_COUNTED_SECONDS = 300;
/** The longest pause after a hand-back, in seconds. */
const LONGEST_HAND_BACK_SECONDS = 60;

/**
 * Gives back running jobs whose attempt ended for a reason that is not the job's, such as an outage of the database: no attempt is used up. The first time a job is
 * ready again at once. Further times within five minutes it waits 1, 2, 4, … 60 s (±20 %): without these pauses a database that answered every second statement
 * took one job through 140 attempts in a minute.
 */
export function postpone(
  ledger: Ledger,
  workerId: string,
  jobs: readonly Failure['job'][],
  { code, reason }: { code: string; reason: string },
  random: () => number = Math.random,
): Promise<Finished> {
  return ledger.db.transaction(async (tx) => {
    const earlier = await tx.rows<{ job_id: Buffer; times: number }>(
      `SELECT job_id, COUNT(*) AS times FROM job_attempts FORCE INDEX (PRIMARY)
        WHERE job_id IN (?) AND outcome = 'handed_back' AND code = ? AND ended_at > ? GROUP BY job_id`,
      [sortedBytes(jobs.map(({ id }) => id)), code, after(nowOf(ledger), -HAND_BACKS_COUNTED_SECONDS)],
    );
    const timesOf = new Map(earlier.map(({ job_id, times }) => [idFromBytes(job_id), Number(times)]));
    const pauseOf = (id: string): number => growingPause((timesOf.get(id) ?? 0) + 1, LONGEST_HAND_BACK_SECONDS, random);
    return giveBack(tx, ledger, workerId, jobs, { reason, code, pauseOf });
  });
}

/** Seconds to wait after something has happened so many times: 0, 1, 2, 4, … up to `longest`, with ±20 % jitter. */
export function growingPause(times: number, longest: number, random: () => number = Math.random): number {
  return times <= 1 ? 0 : Math.min(2 ** (times - 2), longest) * (0.8 + 0.4 * random());
}

/** `pauseOf`: seconds for which a job waits before it is ready again. */
async function giveBack(
  tx: Transaction,
  ledger: Ledger,
  workerId: string,
  jobs: readonly Failure['job'][],
  { reason, code, pauseOf }: { reason: string; code: string; pauseOf: (id: string) => number },
): Promise<Finished> {
  const { owned, lost } = await lockOwned(tx, workerId, jobs);
  const mine = jobs.filter((job) => owned.has(job));
  if (mine.length === 0) return { changes: [], lost };
  const now = nowOf(ledger);
  const pauses = new Map(mine.map(({ id }) => [id, pauseOf(id)]));
  const [atOnce, later] = [mine.filter(({ id }) => pauses.get(id) === 0), mine.filter(({ id }) => pauses.get(id) !== 0)];
  const dueOf = ({ id }: { id: string }): Date => after(now, pauses.get(id) as number);
  const rowOf = (job: Failure['job']): Standing => owned.get(job) as Standing;
  // `attempt` is the fencing token and never goes down, so `max_attempts` goes up with it.
  tx.later('UPDATE jobs FORCE INDEX (PRIMARY) SET max_attempts = max_attempts + 1 WHERE id IN (?)', [mine.map((job) => rowOf(job).id)]);
  leaveRunning(tx, mine.map(rowOf));
  enterReady(
    tx,
    atOnce.map((job) => ({ ...rowOf(job), blocked_on: null, due_at: expiryOf(ledger, rowOf(job), now) })),
  );
  enterScheduled(
    tx,
    later.map((job) => ({ ...rowOf(job), due_at: dueOf(job) })),
  );
  await recordAttempts(
    tx,
    mine.map((job) => [idToBytes(job.id), job.attempt, workerId, job.startedAt, now, 'handed_back', code, truncateReason(reason)]),
  );
  const freed = await resolveDependents(tx, ledger, [], holdingSlots([...owned.values()]));
  const changes = [
    ...atOnce.map((job) => ({ ...changeOf(job, 'ready', workerId), reason })),
    ...later.map((job) => ({ ...changeOf(job, 'scheduled', workerId), reason: `${reason}; tried again at ${dueOf(job).toISOString()}` })),
  ];
  return { changes: [...changes, ...freed], lost };
}

/** Hands back the running jobs of a worker that it does not know: the answer to their claim was lost. `known`: the ids of those that it knows. */
export async function handBackUnknown(ledger: Ledger, workerId: string, known: ReadonlySet<string>): Promise<readonly Change[]> {
  const rows = await ledger.db.rows<Omit<Failure['job'], 'id'> & { id: Buffer }>(
    `SELECT STRAIGHT_JOIN j.id, j.type, j.symbol, j.queue, n.attempt, j.max_attempts AS maxAttempts, n.started_at AS startedAt
       FROM running n JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = n.job_id WHERE n.worker_id = ?`,
    [workerId],
  );
  const unknown = rows.map((row) => ({ ...row, id: idFromBytes(row.id) })).filter(({ id }) => !known.has(id));
  if (unknown.length === 0) return [];
  const outage = { code: 'database.unavailable', reason: 'the answer to its claim was lost' };
  return (await postpone(ledger, workerId, unknown, outage)).changes;
}

/** What the end of a job needs of its row in `running`. */
type Holding = Pick<Standing, 'id' | 'attempt' | 'worker_id' | 'started_at' | 'has_dependents' | 'user_id' | 'dedupe_key'>;

interface Owned<Row> {
  owned: Map<Attempt, Row>;
  lost: Attempt[];
}

/** A worker may have lost a job and claimed it again, so its name alone does not prove that this attempt is the current one. */
function ownedOf<Row extends Pick<Standing, 'id' | 'attempt' | 'worker_id'>>(
  workerId: string,
  attempts: readonly Attempt[],
  rows: readonly Row[],
): Owned<Row> {
  const rowOf = new Map(rows.map((row) => [idOf(row), row]));
  const owned = new Map<Attempt, Row>();
  const lost: Attempt[] = [];
  for (const one of attempts) {
    const row = rowOf.get(one.id);
    if (row?.worker_id === workerId && row.attempt === one.attempt) owned.set(one, row);
    else lost.push(one);
  }
  return { owned, lost };
}

/** Locks the rows in `running` alone: all that a completion needs stands there. */
async function lockRunning(tx: Transaction, workerId: string, attempts: readonly Attempt[]): Promise<Owned<Holding>> {
  if (attempts.length === 0) return { owned: new Map(), lost: [] };
  const rows = await tx.rows<Holding>(
    `SELECT job_id AS id, attempt, worker_id, started_at, has_dependents, IF(has_user = 1, '', NULL) AS user_id, dedupe_key FROM running FORCE INDEX (PRIMARY)
      WHERE job_id IN (?) ORDER BY job_id FOR UPDATE`,
    [sortedBytes(attempts.map(({ id }) => id))],
  );
  return ownedOf(workerId, attempts, rows);
}

/** Jobs with dependents are locked together with these, in the order of their ids, as an enqueuer locks them. */
function lockToComplete(tx: Transaction, workerId: string, attempts: readonly Attempt[]): Promise<Owned<Holding>> {
  return attempts.some(({ hasDependents }) => hasDependents) ? lockOwned(tx, workerId, attempts) : lockRunning(tx, workerId, attempts);
}

/**
 * Locks the jobs that this worker runs, each with the given attempt. Their dependents are locked in the same statement, in the order of their ids, as an enqueuer
 * locks the fetches and analyses of a login: with a statement each, 1,000 transactions met 43 deadlocks.
 */
export async function lockOwned(tx: Transaction, workerId: string, attempts: readonly Attempt[]): Promise<Owned<Standing>> {
  const rows = await lockJobs(tx, [...attempts.map(({ id }) => id), ...(await dependentIds(tx, attempts))]);
  return ownedOf(
    workerId,
    attempts,
    rows.filter(({ state }) => state === 'running'),
  );
}

/** Ids of the jobs that hold a slot. */
function holdingSlots(rows: readonly Pick<Holding, 'id' | 'user_id'>[]): string[] {
  return rows.flatMap((row) => (row.user_id === null ? [] : [idOf(row)]));
}

async function dependentIds(tx: Transaction, attempts: readonly Attempt[]): Promise<string[]> {
  const needed = attempts.flatMap(({ id, hasDependents }) => (hasDependents ? [id] : []));
  if (needed.length === 0) return [];
  const rows = await tx.rows<{ job_id: Buffer }>('SELECT job_id FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?)', [
    sortedBytes(needed),
  ]);
  return rows.map(({ job_id }) => idFromBytes(job_id));
}

export async function recordAttempts(tx: Transaction, rows: readonly (readonly unknown[])[]): Promise<void> {
  if (rows.length > 0)
    tx.later('INSERT IGNORE INTO job_attempts (job_id, attempt, worker_id, started_at, ended_at, outcome, code, reason) VALUES ?', [rows]);
}

function backoff(ledger: Ledger, job: Failure['job'], error: unknown, random: () => number): number {
  const { backoffSeconds: list, maxAttempts } = rulesOf(ledger, job.type);
  // Attempts that were handed back, or made before a redrive, raised both numbers, so the difference leaves them out.
  const failed = Math.max(job.attempt - Math.max(job.maxAttempts - maxAttempts, 0), 1);
  const seconds = list[Math.min(failed, list.length) - 1] ?? 0;
  const jittered = seconds * (0.8 + 0.4 * random());
  const retryAfter = error instanceof TransientError && error.retryAfterMs !== undefined ? error.retryAfterMs / 1000 : 0;
  return Math.max(jittered, retryAfter);
}

/** What became of a worker's own attempt. */
export function changeOf(
  { id, type, symbol, attempt, queue, level, userId }: Attempt & Pick<ClaimedJob, 'type' | 'symbol'>,
  state: Change['state'],
  worker: string,
): Change {
  const place = queue === undefined || level === undefined ? undefined : { queue, level, user: userId ?? null };
  return { ...{ id, type, symbol, state, attempt, worker }, ...(place === undefined ? {} : { place }) };
}
