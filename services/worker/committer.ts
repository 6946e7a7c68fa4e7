/**
 * Turns finished handlers into committed jobs, many at a time: completions that arrive within a few milliseconds, and their effects, are one transaction, and rows
 * of different jobs for the same table one statement. A batch that fails for what one of them wrote is halved until only that one fails.
 */

import { idFromBytes, sortedBytes } from '../ledger/id.ts';
import type { Change, Ledger } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { type Attempt, complete, type Finished } from '../ledger/run/complete.ts';
import type { Transaction } from '../platform/database/database.ts';
import { codeOf } from '../platform/errors.ts';
import type { Effect, Outcome } from './handler.ts';
import { untilWritten } from './persist.ts';

export interface Committer {
  /** Resolves when the job is committed as completed: true, or false when its lease was lost and nothing of it was kept. Rejects when its effects cannot be written. */
  commit(job: ClaimedJob, outcome: Outcome): Promise<boolean>;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

interface Waiting {
  job: ClaimedJob;
  outcome: Outcome;
  resolve: (owned: boolean) => void;
  reject: (error: unknown) => void;
}

export function createCommitter(options: {
  ledger: Ledger;
  workerId: string;
  /** Most completions of one transaction. */
  size: number;
  /** Milliseconds that a completion waits for others. */
  waitMs: number;
  /** Aborts when an unreachable database is no longer waited for. */
  signal: AbortSignal;
  committed: (finished: Finished, outcomes: readonly { job: ClaimedJob; outcome: Outcome }[]) => void;
}): Committer {
  const { ledger, workerId, size, waitMs, signal, committed } = options;
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;

  function schedule(): void {
    if (flushing !== undefined || waiting.length === 0) return;
    if (waiting.length >= size) start();
    else timer ??= setTimeout(start, waitMs);
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    if (flushing !== undefined) return;
    const batch = waiting.slice(0, size);
    waiting = waiting.slice(size);
    flushing = flush(batch).finally(() => {
      flushing = undefined;
      schedule();
    });
  }

  async function flush(batch: readonly Waiting[]): Promise<void> {
    let finished: Finished;
    try {
      finished = await untilWritten((again) => write(batch, again), signal);
    } catch (error) {
      if (batch.length === 1 || codeOf(error) === 'database.unavailable') {
        for (const { reject } of batch) reject(error);
      } else {
        const half = batch.length >> 1;
        await flush(batch.slice(0, half));
        await flush(batch.slice(half));
      }
      return;
    }
    const lost = new Set<Attempt>(finished.lost);
    committed(
      finished,
      batch.filter(({ job }) => !lost.has(job)),
    );
    for (const { job, resolve } of batch) resolve(!lost.has(job));
  }

  async function write(batch: readonly Waiting[], again: boolean): Promise<Finished> {
    const finished = await complete(
      ledger,
      workerId,
      batch.map(({ job, outcome }) => ({ job, result: outcome.result, withErrors: outcome.withErrors })),
      (tx, owned) =>
        writeEffects(
          tx,
          batch.filter(({ job }) => owned.has(job)).flatMap(({ outcome }) => outcome.effects),
        ),
    );
    return again && finished.lost.length > 0 ? recognise(batch, finished) : finished;
  }

  /** Refused attempts that an earlier try, whose answer was lost with the connection, had committed all the same. */
  async function recognise(batch: readonly Waiting[], { changes, lost }: Finished): Promise<Finished> {
    const rows = await ledger.db.rows<{ id: Buffer; attempt: number; state: 'completed' | 'completed_with_errors' }>(
      "SELECT id, attempt, state FROM jobs WHERE id IN (?) AND worker_id = ? AND state IN ('completed', 'completed_with_errors')",
      [sortedBytes(lost.map(({ id }) => id)), workerId],
    );
    const ended = new Map(rows.map((row) => [idFromBytes(row.id), row]));
    const kept = new Set<Attempt>(lost.filter(({ id, attempt }) => ended.get(id)?.attempt === attempt));
    const ours = batch.flatMap(({ job }): Change[] => {
      const row = kept.has(job) ? ended.get(job.id) : undefined;
      return row === undefined
        ? []
        : [{ id: job.id, type: job.type, symbol: job.symbol, attempt: job.attempt, state: row.state, worker: workerId }];
    });
    return { changes: [...changes, ...ours], lost: lost.filter((one) => !kept.has(one)) };
  }

  return {
    commit(job, outcome) {
      return new Promise((resolve, reject) => {
        waiting.push({ job, outcome, resolve, reject });
        schedule();
      });
    },
    async idle() {
      while (waiting.length > 0 || flushing !== undefined) {
        if (flushing === undefined) start();
        await flushing;
      }
    },
  };
}

/** Writes effects, rows of one writer together, writers in the order of their first appearance. */
export async function writeEffects(tx: Transaction, effects: readonly Effect[]): Promise<void> {
  for (const [write, group] of Map.groupBy(effects, (one) => one.write)) {
    const rows = group.flatMap((one) => one.rows);
    if (rows.length > 0) await write(tx, rows);
  }
}
