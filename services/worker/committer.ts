/**
 * Turns finished handlers into committed jobs, many at a time: completions that arrive within a few milliseconds, and their effects, are one transaction, and rows
 * of different jobs for the same table one statement. When a batch fails for what one of them wrote, each is committed alone, so that only that one fails.
 */
import type { ClaimedJob } from '../jobs/claim.ts';
import { complete, type Finished } from '../jobs/finish.ts';
import type { Ledger } from '../jobs/job.ts';
import type { Transaction } from '../platform/database.ts';
import { TransientError } from '../platform/errors.ts';
import type { Effect, Outcome } from './handler.ts';

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

/** Pauses between tries while the database is away, in milliseconds; the lease is the limit, since after it the fence refuses. */
const RETRY_MS = [50, 100, 250, 500, 1_000, 2_000];

export function createCommitter(options: {
  ledger: Ledger;
  workerId: string;
  /** Most completions of one transaction. */
  size: number;
  /** Milliseconds that a completion waits for others. */
  waitMs: number;
  committed: (finished: Finished, outcomes: readonly { job: ClaimedJob; outcome: Outcome }[]) => void;
}): Committer {
  const { ledger, workerId, size, waitMs, committed } = options;
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
    const batch = waiting.splice(0, size);
    flushing = flush(batch).finally(() => {
      flushing = undefined;
      schedule();
    });
  }

  async function flush(batch: Waiting[]): Promise<void> {
    try {
      settle(batch, await write(batch));
    } catch (error) {
      if (batch.length === 1) batch[0]?.reject(error);
      else for (const one of batch) await flush([one]);
    }
  }

  async function write(batch: readonly Waiting[]): Promise<Finished> {
    for (let tries = 0; ; tries++) {
      try {
        return await complete(
          ledger,
          workerId,
          batch.map(({ job, outcome }) => ({ job, result: outcome.result, withErrors: outcome.withErrors })),
          (tx, owned) =>
            writeEffects(
              tx,
              batch.filter(({ job }) => owned.has(job.id)).flatMap(({ outcome }) => outcome.effects),
            ),
        );
      } catch (error) {
        if (!(error instanceof TransientError) || tries === RETRY_MS.length) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS[tries]));
      }
    }
  }

  function settle(batch: readonly Waiting[], finished: Finished): void {
    const lost = new Set(finished.lost);
    committed(
      finished,
      batch.filter(({ job }) => !lost.has(job.id)),
    );
    for (const { job, resolve } of batch) resolve(!lost.has(job.id));
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
