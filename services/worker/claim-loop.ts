/**
 * Claims jobs whenever a slot may be free or work may be there. A message on `stock/…`, the end of a job and the poll interval all wake the same loop, so a lost
 * message costs at most one poll interval.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Change, Ledger } from '../ledger/job.ts';
import { type ClaimedJob, claim } from '../ledger/run/claim.ts';
import { handBackUnknown } from '../ledger/run/complete.ts';
import { codeOf, isDatabaseAway, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { isBacklogFull, type RunningJobs } from './running-jobs.ts';

/** A claim that met rows locked by another transaction is repeated after so many milliseconds. */
const UNDECIDED_MS = 5;
/** First pause after an error of the database; doubled up to the poll interval. */
const BACKOFF_MS = 100;

export interface ClaimLoopOptions {
  jobs: RunningJobs;
  ledger: Ledger;
  workerId: string;
  /** Job types that this worker has a handler for. A job of another type waits for another worker. */
  types: readonly string[];
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
  /** Claims at the end of this turn of the event loop: handlers that wait for one read end together, and one claim fills all their slots. */
  wakeSoon(): void;
  /** Claims nothing more; resolves when the claim under way has ended. */
  stop(): Promise<void>;
}

interface LoopState {
  /** The claim under way. */
  claiming: Promise<void> | undefined;
  /** Somebody called `wake` during the claim under way, which may have missed the work. */
  claimAgain: boolean;
  /** Claims that failed in a row. */
  failures: number;
  /** The answer to a claim was lost: it may have been committed, and nobody would run its jobs before their leases end. */
  uncertain: boolean;
  /** The next poll. */
  poll: NodeJS.Timeout | undefined;
  /** The claim at the end of this turn of the event loop. */
  soon: NodeJS.Immediate | undefined;
}

export function createClaimLoop(options: ClaimLoopOptions): ClaimLoop {
  const { jobs, pollMs } = options;
  const state: LoopState = { claiming: undefined, claimAgain: false, failures: 0, uncertain: false, poll: undefined, soon: undefined };

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
    wakeSoon() {
      state.soon ??= setImmediate(() => {
        state.soon = undefined;
        wake();
      });
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

/** Claims until all slots are taken, no work is left or too many commits are outstanding. Never rejects. */
async function claimUntilFull(options: ClaimLoopOptions, state: LoopState): Promise<void> {
  const { jobs, ledger, workerId, log, onClaimed, onHandedBack } = options;
  try {
    if (state.uncertain) onHandedBack(await handBackUnknown(ledger, workerId, new Set([...jobs.claimed].map(({ job }) => job.id))));
    state.uncertain = false;
    while (!jobs.draining && jobs.handling < jobs.capacity && !isBacklogFull(jobs)) {
      const free = jobs.capacity - jobs.handling;
      const { types, room } = openTypes(options);
      if (types.length === 0) return;
      const { jobs: claimed, blocked, undecided } = await claim(ledger, workerId, free, types, onClaimed, room);
      if (state.failures > 0) log.info('the ledger answers again');
      state.failures = 0;
      jobs.tally.claims[claimed.length > 0 ? 'found' : 'empty']++;
      if (blocked.length > 0) log.debug({ jobs: blocked }, 'blocked: their users have no free slot');
      if (undecided) await delay(UNDECIDED_MS);
      else if (claimed.length < free) return;
    }
  } catch (error) {
    state.uncertain ||= isDatabaseAway(error);
    jobs.tally.claims.failed++;
    if (state.failures++ === 0) log.warn({ code: codeOf(error) }, `could not claim jobs (${messageOf(error)}); retrying with back-off`);
  }
}
