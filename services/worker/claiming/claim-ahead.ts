/**
 * How many jobs a worker claims beyond its free places. Where handlers take next to no time the worker would wait for its transactions most of the time: jobs that wait here
 * for their turn fill these gaps, and make the transactions large. But a job that waits here cannot run on another worker. So only jobs of types whose handlers have proved
 * short are claimed ahead, only while claims find as many jobs as they ask for, and only as many as begin within some milliseconds.
 */
import type { ClaimedJob } from '../../ledger/run/claim.ts';
import { ALONE_FROM } from '../../ledger/run/deaths.ts';

/** Most jobs that are claimed ahead. A job of a claim of 500 costs the database half of one of a claim of 50, and of larger ones hardly less. */
export const MOST_AHEAD = 500;
/** A type is short as long as its handlers take less, in milliseconds. */
const SHORT_MS = 20;
/** What is assumed of a type at first: the handlers of some 20 jobs must have been short before one is claimed ahead. */
const UNKNOWN_MS = 250;
/** Share of the difference by which the duration of a type falls with each shorter job. It rises at once. */
const FALL = 1 / 8;
/** Jobs that were claimed ahead should begin within so many milliseconds. */
const WAIT_MS = 50;
/** What has waited so long is handed back. */
export const LONGEST_WAIT_MS = 250;

export interface ClaimAhead {
  /** How many jobs the next claim may take beyond the free places. */
  readonly most: number;
  /** Whether a job may wait here for its turn. */
  mayWait(job: Pick<ClaimedJob, 'type' | 'deaths'>): boolean;
  /** A claim was answered. `full`: it found as many jobs as it asked for. */
  claimed(jobs: readonly Pick<ClaimedJob, 'type' | 'deaths'>[], full: boolean): void;
  /** The handler of a job of this type has taken so long, in milliseconds. */
  ran(type: string, ms: number): void;
  /** A job has waited here for so long, in milliseconds, before it began. */
  waited(ms: number): void;
}

/** `capacity`: handlers at once. */
export function createClaimAhead(capacity: number): ClaimAhead {
  const durations = new Map<string, number>();
  let most = 0;
  /** Jobs that claims have found since the last one that found fewer than it asked for. */
  let found = 0;
  /** Of the jobs that began since the last claim. */
  let longest = 0;
  const mayWait: ClaimAhead['mayWait'] = ({ type, deaths }) => deaths < ALONE_FROM && (durations.get(type) ?? UNKNOWN_MS) < SHORT_MS;
  return {
    get most() {
      return most;
    },
    mayWait,
    claimed(jobs, full) {
      found = full ? found + jobs.length : 0;
      // Where so few jobs are ready another worker may have places for all of them. Where the last jobs must not wait the next ones hardly may: a claim that ends at the first of
      // them would be in vain.
      if (found < 2 * capacity || !jobs.every(mayWait)) most = 0;
      else if (longest > WAIT_MS) most = Math.floor(most / 2);
      else if (longest <= WAIT_MS / 2) most = Math.min(Math.max(2 * most, capacity), MOST_AHEAD);
      longest = 0;
    },
    ran(type, ms) {
      const before = durations.get(type) ?? UNKNOWN_MS;
      durations.set(type, ms > before ? ms : before + (ms - before) * FALL);
    },
    waited(ms) {
      if (ms > longest) longest = ms;
    },
  };
}
