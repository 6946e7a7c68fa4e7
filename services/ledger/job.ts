import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import { DONE_STATES, type END_STATES, JOB_STATES, LIVE_STATES } from '../platform/job-states.ts';
import type { EventName } from '../platform/outbox.ts';

export const QUEUES = ['foreground', 'background_fetch', 'background_analysis'] as const;
export type Queue = (typeof QUEUES)[number];

export const STATES = JOB_STATES;
export type State = (typeof STATES)[number];
export type EndState = (typeof END_STATES)[number];
export { LIVE_STATES };

/** Whether a job has ended with its work done, so that its dependents may run. */
export function isDone(state: State): boolean {
  return (DONE_STATES as readonly State[]).includes(state);
}

export function isLive(state: State): boolean {
  return (LIVE_STATES as readonly State[]).includes(state);
}

/** First level of each queue's band; a queue ends where the next begins. */
const BANDS: Record<Queue, number> = { foreground: 1, background_fetch: 4, background_analysis: 7 };
export const LOWEST_LEVEL = 10;

/** The queue whose band holds a level: 1-3 foreground, 4-6 background fetch, 7-10 background analysis. */
export function queueOfLevel(level: number): Queue {
  return level >= BANDS.background_analysis ? 'background_analysis' : level >= BANDS.background_fetch ? 'background_fetch' : 'foreground';
}

export function bandStart(queue: Queue): number {
  return BANDS[queue];
}

/** The largest score in ten-thousandths: 1, which shares its place with 0.9999. */
const MOST_SCORE = 9_999;

/** Level (1-10) and score (0-1, by four decimals) as the one number that the claim's index sorts: the smallest is the most urgent. */
export function priorityOf(level: number, score: number): number {
  return level * 10_000 + MOST_SCORE - Math.min(Math.round(Math.max(score, 0) * 10_000), MOST_SCORE);
}

export function levelOf(priority: number): number {
  return Math.floor(priority / 10_000);
}

/** The four decimals that are shown everywhere: 0.5 comes back as 0.5. */
export function scoreOf(priority: number): number {
  const score = MOST_SCORE - (priority % 10_000);
  return score === MOST_SCORE ? 1 : score / 10_000;
}

/** How a job type behaves, from the configuration. */
export interface TypeRules {
  /** First try and retries together. */
  maxAttempts: number;
  /** Seconds to wait after the 1st, 2nd, … failed attempt; the last one repeats. */
  backoffSeconds: readonly number[];
  /** Seconds a handler may take before its signal aborts. */
  timeoutSeconds: number;
  /** Seconds that its jobs may wait in a queue, in place of the `ttlSeconds` of the queue. */
  ttlSeconds?: number | undefined;
  /** Whether failed items may leave the job `completed_with_errors` instead of `failed`. */
  mayCompleteWithErrors: boolean;
  /** Whether its jobs run without a slot of their users. */
  takesNoSlot?: true | undefined;
  /** The capability that the worker of a job with this payload must have; undefined: any worker may run it. */
  capabilityOf?: ((payload: Record<string, unknown>) => string | undefined) | undefined;
  /** Most of its jobs that one worker runs at once; as many as it has places without it. */
  mostPerWorker?: number | undefined;
  /** Whether it also runs when a job that it waited for failed. */
  needsMayFail?: true | undefined;
  /** Whether the `source` and `ms` of a result are the time in which a market source answered. */
  measuresSource?: true | undefined;
}

export interface QueueLimits {
  /** Most jobs that may wait in the queue. */
  maxJobs: number;
  /** Seconds a job may wait before it ends as `expired`. */
  ttlSeconds: number;
}

/** What every ledger function needs: the database, the time, and the rules of this deployment. */
export interface Ledger {
  db: Database;
  clock: Clock;
  queues: Record<Queue, QueueLimits>;
  /** Room of the foreground queue that only jobs of logins may fill, beyond its `maxJobs` and as a share of it. None if not given. */
  loginReserve?: number | undefined;
  types: Record<string, TypeRules>;
  slotsPerUser: number;
  /** Called as the commit of ready jobs begins (`callWorkers`). */
  coming?: (() => void) | undefined;
  /** Which ends are written to the outbox (`run/tell-ended.ts`); none if not given. */
  tells?: { failed: boolean; ended: ReadonlyMap<string, EventName> } | undefined;
  /** Seconds a claim holds without a heartbeat: 2 x `heartbeat_interval`. */
  leaseSeconds: number;
}

/** A committed change of a job, which the ledger's caller publishes. */
export interface Change {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  attempt: number;
  reason?: string | undefined;
  worker?: string | undefined;
  /** Why it ended other than completed, for programs. */
  code?: string | undefined;
  /** Where a list shows it, where that is known without another read. */
  place?: Place | undefined;
}

/** Of a job in its queue: what a message tells beside its state. */
export interface Place {
  queue: Queue;
  /** 1-10. */
  level: number;
  /** Who asked first. */
  user: string | null;
}

export function placeOf({ queue, priority, user_id }: { queue: Queue; priority: number; user_id: string | null }): Place {
  return { queue, level: levelOf(priority), user: user_id };
}

/** The clock's time as the driver takes it. */
export function nowOf(ledger: Pick<Ledger, 'clock'>): Date {
  return new Date(ledger.clock.now().epochMilliseconds);
}

export function after(now: Date, seconds: number): Date {
  return new Date(now.getTime() + seconds * 1000);
}

/** Seconds that a job of a type may wait in a queue. */
export function ttlOf({ types, queues }: Pick<Ledger, 'queues' | 'types'>, { type, queue }: { type: string; queue: Queue }): number {
  // A type of another deployment's newer version has no rules here.
  return types[type]?.ttlSeconds ?? queues[queue].ttlSeconds;
}

/** When a job that becomes ready (or blocked) now has waited too long in its queue. */
export function expiryOf(ledger: Pick<Ledger, 'queues' | 'types'>, job: { type: string; queue: Queue }, now: Date): Date {
  return after(now, ttlOf(ledger, job));
}

/** The rules of a type. An unknown type is a defect of the caller. */
export function rulesOf(ledger: Pick<Ledger, 'types'>, type: string): TypeRules {
  const rules = ledger.types[type];
  if (rules === undefined) throw new Error(`no rules for job type "${type}"; known: ${Object.keys(ledger.types).join(', ')}`);
  return rules;
}
