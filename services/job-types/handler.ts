/** The contract between a job type and the worker: a handler computes rows and a result from a payload, the worker commits them together with the job's completion. */
import type { z } from 'zod';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import type { ItemCounts, ItemResult } from '../ledger/run/items.ts';
import type { SymbolReader } from '../market/bars/reader.ts';
import type { FailoverSource } from '../market/sources/failover-source.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Transaction } from '../platform/database/database.ts';
import { PermanentError, StockmeshError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Component } from '../platform/log/log-levels.ts';
import type { Draft } from '../platform/messages.ts';
import type { JobType } from './job-type.ts';

/** What a handler returns. `Row` is what the type's `store` writes. */
export interface JobOutput<Row> {
  rows: readonly Row[];
  /** Kept with the job, for people and scripts. */
  result: Record<string, unknown>;
  /** Published after the commit. */
  dataMessages: readonly Draft<'data'>[];
  /** Why the job ends as `completed_with_errors`; its type must allow it. */
  withErrors?: string | undefined;
}

/**
 * Thrown by a handler that has stopped between two parts of its work and goes on in another attempt, at once or after `pauseSeconds`. No attempt is used up, and
 * more urgent jobs come first.
 */
export class Continued extends StockmeshError {
  readonly pauseSeconds: number;
  constructor(message: string, pauseSeconds = 0) {
    super('job.continued', message);
    this.pauseSeconds = pauseSeconds;
  }
}

export interface JobContext<Row> {
  job: ClaimedJob;
  /** Seconds that this attempt may take, until its signal aborts. */
  timeLimitSeconds: number;
  /** Aborts on time-out, cancel, a lost lease, and at the end of the grace period of a shutdown. */
  signal: AbortSignal;
  sources: FailoverSource;
  /** The same without simulated data, for a symbol of which real data is stored. */
  realSources: FailoverSource;
  reader: SymbolReader;
  clock: Clock;
  config: Config;
  log: Logger;
  /** Inserts the job's item rows; returns the keys that are still pending. */
  openItems(keys: readonly string[]): Promise<string[]>;
  /** Counts of all items of the job and its parts, those of earlier attempts included. */
  countItems(): Promise<ItemCounts>;
  /** Commits items and their rows while the job runs, then publishes the messages and the progress. Rejects when the lease is lost. */
  commitItems(items: readonly ItemResult[], rows: readonly Row[], dataMessages: readonly Draft<'data'>[]): Promise<void>;
}

/** Methods and not function properties, so that handlers with different rows can stand in one list. The worker gives each `store` only rows of its own `run`. */
export interface Handler<Row = unknown> {
  readonly type: string;
  readonly logComponent: Component;
  run(payload: unknown, context: JobContext<Row>): Promise<JobOutput<Row>>;
  /** Writes the rows of many jobs of this type at once, in the transaction that completes these jobs. */
  store(tx: Transaction, rows: readonly Row[]): Promise<void>;
  /** The rows that a job leaves when it has failed for good. They are written in the transaction that fails it. */
  rowsOfFailure?(payload: unknown, error: unknown, context: Pick<JobContext<Row>, 'config' | 'clock'>): readonly Row[];
}

/**
 * The handler of a job type. Its payload is checked by the type's schema first: a payload that does not match fails the job at once with
 * `PermanentError('job.invalid_payload')`, which names the payload and the wrong fields.
 */
export function handler<Schema extends z.ZodType, Row>(
  { name: type, payload: schema, logComponent }: Pick<JobType, 'name' | 'logComponent'> & { payload: Schema },
  run: (payload: z.output<Schema>, context: JobContext<Row>) => Promise<JobOutput<Row>>,
  store: (tx: Transaction, rows: readonly Row[]) => Promise<void>,
  rowsOfFailure: (
    payload: z.output<Schema>,
    error: unknown,
    context: Pick<JobContext<Row>, 'config' | 'clock'>,
  ) => readonly Row[] = () => [],
): Handler<Row> {
  return {
    type,
    logComponent,
    store,
    rowsOfFailure(payload, error, context) {
      const parsed = schema.safeParse(payload);
      return parsed.success ? rowsOfFailure(parsed.data, error, context) : [];
    },
    run(payload, context) {
      const parsed = schema.safeParse(payload);
      if (parsed.success) return run(parsed.data, context);
      const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'payload'}: ${message}`).join('; ');
      throw new PermanentError('job.invalid_payload', `${type} job with payload ${JSON.stringify(payload)?.slice(0, 200)}: ${issues}`);
    },
  };
}
