/** The jobs of one worker. The claim loop, the job runner, the heartbeat and the shutdown share this one object. */
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { StockmeshError } from '../platform/errors.ts';
import { createTally, type Tally } from './tally.ts';

export interface RunningJob {
  readonly job: ClaimedJob;
  /** Stops the handler; its reason says why. */
  readonly abort: AbortController;
  /** Resolves when the job is committed, failed or given up; never rejects. */
  done: Promise<void>;
}

export interface RunningJobs {
  /** Jobs that are claimed and not yet committed. */
  readonly claimed: Set<RunningJob>;
  /** Of these, the number whose handler still runs. A slot is free as soon as its handler has returned. */
  handling: number;
  /** Most handlers at once. */
  readonly capacity: number;
  /** Most jobs whose handler has returned and whose commit is outstanding. */
  readonly maxUncommitted: number;
  /** The log has said that the database is away, and no job has completed since. */
  outageTold: boolean;
  /** True from the start of the shutdown: nothing more is claimed. */
  draining: boolean;
  readonly tally: Tally;
  /** Aborts when the worker no longer waits for a database that cannot be reached. */
  readonly stopped: AbortController;
}

export function createRunningJobs({
  capacity,
  batchSize,
  tally = createTally(),
}: {
  capacity: number;
  batchSize: number;
  tally?: Tally | undefined;
}): RunningJobs {
  return {
    claimed: new Set(),
    handling: 0,
    capacity,
    // One batch that is being committed and one that collects.
    maxUncommitted: 2 * batchSize,
    outageTold: false,
    draining: false,
    tally,
    stopped: new AbortController(),
  };
}

/** Whether so many commits are outstanding that nothing more may be claimed. */
export function isBacklogFull({ claimed, handling, maxUncommitted }: RunningJobs): boolean {
  return claimed.size - handling >= maxUncommitted;
}

/** Why a handler was stopped from outside. Whoever stops it also decides what becomes of its job, so the job runner writes nothing. */
export class Stopped extends StockmeshError {}

/** Stops a job if it runs here; of two attempts at one job it stops both. The reason is made only then: an error with its stack for each job that starts was a tenth of a worker's time. */
export function stopJob({ claimed }: RunningJobs, id: string, reason: () => Stopped): void {
  for (const { job, abort } of claimed) if (job.id === id) abort.abort(reason());
}
