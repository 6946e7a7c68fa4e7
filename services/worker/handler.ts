/** What a handler is: a function of its payload and a context, and nothing else. What it wants stored it returns; the worker commits that together with the job's completion. */
import type { z } from 'zod';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import type { ItemCounts, ItemOutcome } from '../ledger/run/items.ts';
import type { SymbolReader } from '../market/bars/reader.ts';
import type { FailoverSource } from '../market/sources/failover-source.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Transaction } from '../platform/database/database.ts';
import { PermanentError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Draft } from '../platform/messages.ts';

/** Rows to write and what writes them. Rows of many jobs for the same `write` become one call. */
export interface Effect<Row = never> {
  write: (tx: Transaction, rows: readonly Row[]) => Promise<void>;
  rows: readonly Row[];
}

/** Bundles rows with their writer, hiding the row's type: the committer only concatenates rows of one writer. */
export function effect<Row>(write: Effect<Row>['write'], rows: readonly Row[]): Effect {
  return { write, rows } as unknown as Effect;
}

/** What a finished handler leaves behind. Effects are written in this order; `landed` is published after the commit. */
export interface Outcome {
  effects: readonly Effect[];
  /** Kept with the job, for people and scripts. */
  result: Record<string, unknown>;
  landed: readonly Draft<'data'>[];
  /** Why the job is `completed_with_errors`; its type must allow it. */
  withErrors?: string | undefined;
}

export interface JobContext {
  job: ClaimedJob;
  /** Aborts on time-out, cancel, a lost lease, and at the end of the grace period of a shutdown. */
  signal: AbortSignal;
  sources: FailoverSource;
  /** The same without made-up data, for a symbol of which real data is stored. */
  realSources: FailoverSource;
  reader: SymbolReader;
  clock: Clock;
  config: Config;
  log: Logger;
  /** Makes the job's item rows, and returns the keys still to do. */
  openItems(keys: readonly string[]): Promise<string[]>;
  /** What became of all items so far, in earlier attempts too. */
  countItems(): Promise<ItemCounts>;
  /** Commits what became of items with their effects, if the lease still holds, and publishes the progress. */
  commitItems(outcomes: readonly ItemOutcome[], effects: readonly Effect[], landed: readonly Draft<'data'>[]): Promise<void>;
}

export interface Handler {
  type: string;
  run(payload: unknown, context: JobContext): Promise<Outcome>;
}

/** A handler for one job type; its payload is checked by the schema, and a wrong one fails the job at once with what is wrong. */
export function handler<Schema extends z.ZodType>(
  type: string,
  schema: Schema,
  run: (payload: z.output<Schema>, context: JobContext) => Promise<Outcome>,
): Handler {
  return {
    type,
    run(payload, context) {
      const parsed = schema.safeParse(payload);
      if (parsed.success) return run(parsed.data, context);
      const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'payload'}: ${message}`).join('; ');
      throw new PermanentError('job.invalid_payload', `${type} job with payload ${JSON.stringify(payload)?.slice(0, 200)}: ${issues}`);
    },
  };
}
