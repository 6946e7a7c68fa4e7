/**
 * Claims jobs whenever a slot may be free or work may be there. A message on `stock/…`, the end of a job and the poll interval all wake the same loop, so a lost
 * message costs at most one poll interval.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Change, Ledger } from '../../ledger/job.ts';
import { type ClaimedJob, claim } from '../../ledger/run/claim.ts';
import { handBackUnknown } from '../../ledger/run/complete.ts';
import { codeOf, isDatabaseAway, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { startSpan } from '../../platform/monitoring/traces.ts';
import { isBacklogFull, type RunningJobs } from '../running-jobs.ts';
import { MOST_AHEAD } from './claim-ahead.ts';

/**
 * A claim that met rows locked by another transaction is repeated after so many milliseconds, and after twice as many each time that it still finds nothing: a burst of logins may
 * hold the few jobs that are ready for half a second. Repeated every 5 ms by two workers, such claims were a fifth of the burst's statements.
 */
const UNDECIDED_MS = 5;
const MOST_UNDECIDED_MS = 40;
/** First pause after an error of the database; doubled up to the poll interval. */
const BACKOFF_MS = 100;

export interface ClaimLoopOptions {
  jobs: RunningJobs;
  ledger: Ledger;
  workerId: string;
  /** Job types that this worker has a handler for. A job of another type waits for another worker. */
  types: readonly string[];
  /** What it has of what jobs may need. */
  capabilities: readonly string[];
  /** The most jobs at once of types that are limited. */
  mostOf: ReadonlyMap<string, number>;
  pollMs: number;
  log: Logger;
  /** Gets the claimed jobs of each queue as soon as they are committed. */
  onClaimed: (jobs: readonly ClaimedJob[]) => void;
  /** Gets what became of jobs whose claim was committed though its answer was lost. */
  onHandedBack: (changes: readonly Change[]) => void;
}

export interface ClaimLoop {
  /** Claims now, or once more when a claim is under way. */
  wake(): void;
  /** The same for work that has just come and may be more urgent than what waits here: looks for it though enough jobs are claimed ahead. */
  ring(): void;
  /** Claims nothing more; resolves when the claim under way has ended. */
  stop(): Promise<void>;
}

interface LoopState {
  /** The claim under way. */
  claiming: Promise<void> | undefined;
  /** Somebody called `wake` during the claim under way, which may have missed the work. */
  claimAgain: boolean;
  /** Somebody called `ring` since the last claim began. */
  rung: boolean;
  /** Claims that failed in a row. */
  failures: number;
  /** The answer to a claim was lost: it may have been committed, and nobody would run its jobs before their leases end. */
  uncertain: boolean;
  /** Until when it claims as while jobs need a capability, in milliseconds of `performance.now()`; then it looks anew. */
  tiedUntil: number;
  /** The next poll. */
  poll: NodeJS.Timeout | undefined;
}

export function createClaimLoop(options: ClaimLoopOptions): ClaimLoop {
  const { jobs, pollMs } = options;
  const state: LoopState = {
    claiming: undefined,
    claimAgain: false,
    rung: false,
    failures: 0,
    uncertain: false,
    tiedUntil: 0,
    poll: undefined,
  };

  function wake(): void {
    if (jobs.draining) return;
    if (state.claiming !== undefined) {
      state.claimAgain = true;
      return;
    }
    clearTimeout(state.poll);
    state.claiming = claimUntilFull(options, state).finally(next);
  }

  function next(): void {
    state.claiming = undefined;
    if (jobs.draining) return;
    if (state.claimAgain && state.failures === 0) {
      state.claimAgain = false;
      wake();
      return;
    }
    // ±10 %: workers that start together should not poll together.
    const pause = state.failures === 0 ? pollMs * (0.9 + Math.random() * 0.2) : Math.min(BACKOFF_MS * 2 ** state.failures, pollMs);
    state.poll = setTimeout(wake, pause);
  }

  return {
    wake,
    ring() {
      state.rung = true;
      wake();
    },
    async stop() {
      clearTimeout(state.poll);
      await state.claiming;
    },
  };
}

/** The types of which another job may run here, and how many of each that is limited. */
function openTypes({ jobs, types, mostOf }: ClaimLoopOptions): { types: readonly string[]; room: ReadonlyMap<string, number> } {
  if (mostOf.size === 0) return { types, room: mostOf };
  const room = new Map(mostOf);
  for (const { job } of jobs.claimed) if (room.has(job.type)) room.set(job.type, (room.get(job.type) as number) - 1);
  const open = types.filter((type) => (room.get(type) ?? 1) > 0);
  return { types: open, room };
}

/** How many jobs to claim: as many as may be claimed ahead when half of them have begun, so that claims are large. Of these `free` have a free slot. */
function wanted({ handling, capacity, waiting, ahead }: RunningJobs, rung: boolean): { free: number; limit: number } {
  const free = Math.max(capacity - handling - waiting.length, 0);
  const limit = capacity - handling + ahead.most - waiting.length;
  if (free > 0 || waiting.length <= ahead.most / 2) return { free, limit: Math.max(limit, 0) };
  return { free, limit: rung && waiting.length < 2 * MOST_AHEAD ? capacity : 0 };
}

/** The job within the span of its claim, which began with the statements of that claim. */
function withClaimSpan(job: ClaimedJob, startTime: number): ClaimedJob {
  const span = startSpan('job.claim', job.trace, {
    startTime,
    attributes: {
      ...{ 'job.id': job.id, 'job.attempt': job.attempt, 'job.waited_ms': job.startedAt.getTime() - job.enqueuedAt.getTime() },
    },
  });
  span?.end();
  return { ...job, trace: span?.traceparent ?? null };
}

/** Claims until all slots are taken, no work is left or too many commits are outstanding. Never rejects. */
async function claimUntilFull(options: ClaimLoopOptions, state: LoopState): Promise<void> {
  const { jobs, ledger, workerId, log, capabilities, pollMs, onClaimed, onHandedBack } = options;
  const answered = (): void => {
    if (state.failures > 0) log.info('the ledger answers again');
    state.failures = 0;
  };
  let began = 0;
  let pause = UNDECIDED_MS;
  const started = (claimed: readonly ClaimedJob[]): void => {
    answered();
    onClaimed(claimed.map((job) => (typeof job.trace === 'string' ? withClaimSpan(job, began) : job)));
  };
  try {
    if (state.uncertain) onHandedBack(await handBackUnknown(ledger, workerId, new Set([...jobs.claimed].map(({ job }) => job.id))));
    state.uncertain = false;
    while (!jobs.draining && !isBacklogFull(jobs)) {
      const { free, limit } = wanted(jobs, state.rung);
      if (limit === 0) return;
      state.rung = false;
      const { types, room } = openTypes(options);
      if (types.length === 0) return;
      began = performance.now();
      const {
        jobs: claimed,
        blocked,
        undecided,
        tied,
      } = await claim(ledger, workerId, limit, types, started, {
        ...{ room, free, mayWait: jobs.ahead.mayWait, capabilities, tied: began < state.tiedUntil },
      });
      if (!tied) state.tiedUntil = 0;
      else if (began >= state.tiedUntil) state.tiedUntil = began + pollMs;
      answered();
      jobs.tally.claims[claimed.length > 0 ? 'found' : 'empty']++;
      jobs.ahead.claimed(claimed, claimed.length >= limit);
      if (blocked.length > 0) log.debug({ jobs: blocked }, 'blocked: their users have no free slot');
      if (claimed.length > 0) pause = UNDECIDED_MS;
      if (claimed.length >= limit) continue;
      if (!undecided) return;
      await delay(pause);
      pause = Math.min(2 * pause, MOST_UNDECIDED_MS);
    }
  } catch (error) {
    state.uncertain ||= isDatabaseAway(error);
    jobs.tally.claims.failed++;
    if (state.failures++ === 0) log.warn({ code: codeOf(error) }, `could not claim jobs (${messageOf(error)}); retrying with back-off`);
  }
}
