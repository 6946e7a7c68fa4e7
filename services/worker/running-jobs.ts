/** The jobs of one worker. The claim loop, the job runner, the heartbeat and the shutdown share this one object. */
import { QUEUES } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { StockmeshError } from '../platform/errors.ts';
import { type ClaimAhead, createClaimAhead } from './claiming/claim-ahead.ts';
import { createTally, type Tally } from './tally.ts';

/** Stops a handler; its reason says why. */
export interface JobAbort extends AbortController {
  /** Called when it aborts. An event listener would cost each job as much as its database rows. */
  onAbort?: ((reason: unknown) => void) | undefined;
}

class Aborting extends AbortController implements JobAbort {
  onAbort?: (reason: unknown) => void;
  override abort(reason: unknown): void {
    super.abort(reason);
    this.onAbort?.(reason);
  }
}

export interface RunningJob {
  readonly job: ClaimedJob;
  readonly abort: JobAbort;
  /** When it was claimed, by `RunningJobs.now`. */
  readonly claimedAt: number;
  /** What it counts for among the outstanding commits (`commitWeight`). */
  weight: number;
  /** Resolves when the job is committed, failed or given up; never rejects. Of a job that waits for its turn: at once. */
  done: Promise<void>;
}

export interface RunningJobs {
  /** Jobs that are claimed and not yet committed. */
  readonly claimed: Set<RunningJob>;
  /** The same by id. Of two attempts at one job the later one: the earlier one was stopped when that one came. */
  readonly byId: Map<string, RunningJob>;
  /** Of these, the jobs that were claimed ahead and wait for their turn; the most urgent is the last one. */
  readonly waiting: RunningJob[];
  /** How many may be claimed ahead. */
  readonly ahead: ClaimAhead;
  /** The number whose handler runs. A slot is free as soon as its handler has returned. */
  handling: number;
  /** Most handlers at once. */
  readonly capacity: number;
  /** Weight of the jobs whose handler has returned and whose commit is outstanding. */
  uncommitted: number;
  /** The most of it. */
  readonly maxUncommitted: number;
  /** The log has said that the database is away, and no job has completed since. */
  outageTold: boolean;
  /** True from the start of the shutdown: nothing more is claimed, and what waits is not started. */
  draining: boolean;
  readonly tally: Tally;
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number;
  /** Aborts when the worker no longer waits for a database that cannot be reached. */
  readonly stopped: AbortController;
}

/** So many jobs that leave no rows are as much work for the database as one that does. */
const WITHOUT_ROWS = 5;

/** What a finished job counts for in a batch of commits; `batchWeight` is the most of one. */
export const commitWeight = (rows: readonly unknown[]): number => (rows.length === 0 ? 1 : WITHOUT_ROWS);

/** `size`: jobs with rows in one batch at most. */
export const batchWeight = (size: number): number => size * WITHOUT_ROWS;

export function createRunningJobs({
  capacity,
  batchSize,
  tally = createTally(),
  now = () => performance.now(),
}: {
  capacity: number;
  batchSize: number;
  tally?: Tally | undefined;
  now?: (() => number) | undefined;
}): RunningJobs {
  return {
    ...{ claimed: new Set(), byId: new Map(), waiting: [], ahead: createClaimAhead(capacity) },
    ...{ handling: 0, capacity, uncommitted: 0 },
    // One batch that is being committed and one that collects.
    maxUncommitted: 2 * batchWeight(batchSize),
    outageTold: false,
    draining: false,
    tally,
    now,
    stopped: new AbortController(),
  };
}

/** Whether so many commits are outstanding that nothing more may be claimed or started. */
export function isBacklogFull({ uncommitted, maxUncommitted }: RunningJobs): boolean {
  return uncommitted >= maxUncommitted;
}

/** Adds a job that was claimed. The same job may still run here as an earlier attempt, whose lease was lost: that one is stopped and must not be taken for this one. */
export function addClaimed(jobs: RunningJobs, job: ClaimedJob): RunningJob {
  stopJob(jobs, job.id, () => new Stopped('job.lease_lost', `the lease was lost: attempt ${job.attempt} runs here too`));
  const running: RunningJob = {
    ...{ job, abort: new Aborting(), claimedAt: jobs.now(), weight: WITHOUT_ROWS, done: Promise.resolve() },
  };
  jobs.claimed.add(running);
  jobs.byId.set(job.id, running);
  return running;
}

export function removeClaimed({ claimed, byId }: RunningJobs, running: RunningJob): void {
  claimed.delete(running);
  if (byId.get(running.job.id) === running) byId.delete(running.job.id);
}

/** Lets jobs wait for their turn. */
export function addWaiting({ waiting }: RunningJobs, some: readonly RunningJob[]): void {
  waiting.push(...some);
  waiting.sort(leastUrgentFirst);
}

/** In the reverse of the order in which they are claimed. */
function leastUrgentFirst({ job: a }: RunningJob, { job: b }: RunningJob): number {
  return QUEUES.indexOf(b.queue) - QUEUES.indexOf(a.queue) || b.level - a.level || a.score - b.score || (a.id < b.id ? 1 : -1);
}

/** Why a handler was stopped from outside. Whoever stops it also decides what becomes of its job, so the job runner writes nothing. */
export class Stopped extends StockmeshError {}

/** Stops a job if it is here; one that waits for its turn will not be started. The reason is made only then: an error with its stack for each job that starts was a tenth of a worker's time. */
export function stopJob({ byId }: RunningJobs, id: string, reason: () => Stopped): void {
  byId.get(id)?.abort.abort(reason());
}
