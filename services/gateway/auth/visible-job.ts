/**
 * What a caller may see of jobs. Users who ask for the same work share a job. A key of a user sees of it only what would be there had that user alone asked: never who
 * else waits for it, why it is as urgent as it is if another user is the reason, or what its result says of others.
 */
import { JOB_TYPES } from '../../job-types/index.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../../ledger/id.ts';
import { priorityOf } from '../../ledger/job.ts';
import type { JobToEstimate } from '../../ledger/read/estimate.ts';
import { type JobDetail, type JobSummary, readJob } from '../../ledger/read/jobs.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { type Caller, usersFor } from './access.ts';

/** The users whose keys the caller has; undefined for a caller who sees everything. */
export type Viewers = readonly string[] | undefined;

/** A job in a list. `score` is null where the priority is another user's. */
export type SeenSummary = Omit<JobSummary, 'score'> & { score: number | null };

/** One job with its details. What is null belongs to other users. */
export type SeenJob = Omit<JobDetail, 'score' | 'why' | 'triggered_by'> & {
  score: number | null;
  why: JobDetail['why'] | null;
  triggered_by: string | null;
};

const SHARED_RESULTS = new Map(JOB_TYPES.map(({ name, sharedResult }) => [name, sharedResult]));

/**
 * The job as this caller may see it. A key of a user sees the jobs that this user waits for. Errors: `RefusedError`, `InputError('job.unknown')`, also for a job that exists but that
 * the caller may not see. `toEstimate`: the place of a job is no secret, although its score may be.
 */
export async function visibleJob(db: Sql, caller: Caller, id: string): Promise<{ job: SeenJob; toEstimate: JobToEstimate }> {
  const viewers = usersFor(caller, 'read');
  const job = await readJob(db, id);
  if (job === undefined || !(viewers === undefined || job.subscribers.some((user) => viewers.includes(user)))) throw unknownJob(id);
  const { type, state, queue, priority, score } = job;
  return { job: await jobAsSeen(db, job, viewers), toEstimate: { id, type, state, queue, priority: priorityOf(priority, score) } };
}

export function unknownJob(id: string): InputError {
  return new InputError('job.unknown', `there is no job ${id}; ended jobs are deleted after jobs.cleanup_after_days`);
}

/** Whether any of these users waits for the job. */
export async function isWaitedForBy(db: Sql, id: string, users: readonly string[]): Promise<boolean> {
  return (await subscribersAmong(db, [idToBytes(id)], users)).size > 0;
}

/** The job as these users may see it, whether or not they wait for it. */
export async function jobAsSeen(db: Sql, job: JobDetail, viewers: Viewers): Promise<SeenJob> {
  if (viewers === undefined) return job;
  const own = job.subscribers.filter((user) => viewers.includes(user));
  const isOwnReason = typeof job.why.user === 'string' && viewers.includes(job.why.user);
  const waitedFor = await waitedForBy(
    db,
    [...job.needs, ...job.dependents].map(({ id }) => id),
    viewers,
  );
  return {
    ...job,
    ...(isOwnReason ? {} : { score: null, why: null, triggered_by: null }),
    user: userAsSeen(job.user, own, viewers),
    result: resultAsSeen(job, own.length === job.subscribers.length && isOf(job.user, viewers)),
    subscribers: own,
    needs: job.needs.filter(({ id }) => waitedFor.has(id)),
    dependents: job.dependents.filter(({ id }) => waitedFor.has(id)),
  };
}

/** The same for jobs of a list, with one more read for all of them. */
export async function summariesAsSeen(db: Sql, jobs: readonly JobSummary[], viewers: Viewers): Promise<SeenSummary[]> {
  if (viewers === undefined || jobs.length === 0) return [...jobs];
  const ids = sortedBytes(jobs.map(({ id }) => id));
  const [reasons, waiting] = await Promise.all([
    db.rows<{ job_id: Buffer; user: string | null }>(
      "SELECT id AS job_id, JSON_UNQUOTE(JSON_EXTRACT(why, '$.user')) AS user FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?)",
      [ids],
    ),
    subscribersAmong(db, ids, viewers),
  ]);
  const reasonOf = new Map(reasons.map(({ job_id, user }) => [idFromBytes(job_id), user]));
  return jobs.map((job) => ({
    ...job,
    score: isOf(reasonOf.get(job.id) ?? null, viewers) ? job.score : null,
    user: userAsSeen(job.user, waiting.get(job.id) ?? [], viewers),
  }));
}

/** Whether the job is what it would be for this request alone; otherwise its score is that of another user's request. */
export function scoreAsSeen(
  answer: { level: number; score: number },
  request: { level: number; score: number },
  viewers: Viewers,
): number | null {
  const isOwn = viewers === undefined || (answer.level === request.level && answer.score === request.score);
  return isOwn ? Number(answer.score.toFixed(4)) : null;
}

function isOf(user: string | null, viewers: readonly string[]): boolean {
  return user !== null && viewers.includes(user);
}

/** Had they alone asked, the first of them would be the one. */
function userAsSeen(user: string | null, own: readonly string[], viewers: readonly string[]): string | null {
  return isOf(user, viewers) ? user : (own[0] ?? null);
}

function resultAsSeen({ type, result }: JobDetail, isAlone: boolean): unknown {
  const shared = SHARED_RESULTS.get(type);
  if (shared !== undefined && typeof result === 'object' && result !== null) return shared(result as Record<string, unknown>);
  return isAlone ? result : null;
}

async function waitedForBy(db: Sql, ids: readonly string[], viewers: readonly string[]): Promise<ReadonlySet<string>> {
  return ids.length === 0 ? new Set() : new Set((await subscribersAmong(db, sortedBytes(ids), viewers)).keys());
}

/** By job, which of these users wait for it. By the primary key. */
async function subscribersAmong(db: Sql, ids: readonly Buffer[], users: readonly string[]): Promise<Map<string, string[]>> {
  if (users.length === 0) return new Map();
  const rows = await db.rows<{ job_id: Buffer; user_id: string }>(
    'SELECT job_id, user_id FROM job_subscribers WHERE job_id IN (?) AND user_id IN (?) ORDER BY job_id, user_id',
    [ids, users],
  );
  return new Map(
    [...Map.groupBy(rows, ({ job_id }) => idFromBytes(job_id))].map(([id, group]) => [id, group.map(({ user_id }) => user_id)]),
  );
}
