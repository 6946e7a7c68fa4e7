/** What is asked of everybody who makes the symbols of many logins fresh: stockmesh, and what a user would build on a queue instead. */
import type { ContenderName } from '../contenders/contender.ts';
import type { Writes } from './writes.ts';

/** Jobs that one worker process runs at once. */
export const CONCURRENCY = 50;

export interface LoginsOrder {
  users: readonly string[];
  /** How long the logins are waited for. */
  waitMs: number;
  /** Called once so many symbols are fresh. */
  midway?: { symbols: number; call: () => void } | undefined;
}

export interface LoginsOutcome {
  /** Milliseconds from each login until its caller knows that the rows of all its symbols are committed; null: not within the wait. */
  times: (number | null)[];
  /** From the first login to the last symbol. */
  totalMs: number;
}

/** Processor milliseconds by who spent them. */
export interface Spent {
  workers: number;
  servers: number;
  /** What takes the logins, decides what is stale, enqueues and tells the caller. */
  logins: number;
}

export interface Contestant {
  name: ContenderName;
  /** Everything as it was before the logins. */
  restore(): Promise<void>;
  /** All logins at once. */
  login(order: LoginsOrder): Promise<LoginsOutcome>;
  /** Processor time so far. */
  spent(): Spent;
  /** SIGKILL of one of the worker processes, which is started again at once, as whatever supervises it would do. */
  killWorker(): Promise<void>;
  writes(): Promise<Writes>;
  /** Symbols that are not as fresh as they can be. */
  stale(): Promise<number>;
  stop(): Promise<void>;
}
