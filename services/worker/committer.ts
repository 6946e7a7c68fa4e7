/**
 * Commits finished jobs in batches. Jobs that finish within a few milliseconds share one transaction, and the rows of jobs of one type share one `store`. A batch
 * that cannot be written is halved until only the job that causes the error fails.
 */
import type { Handler, JobOutput } from '../job-types/handler.ts';
import { idFromBytes, sortedBytes } from '../ledger/id.ts';
import type { Change, Ledger } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { type Attempt, complete, type Finished } from '../ledger/run/complete.ts';
import type { Transaction } from '../platform/database/database.ts';
import { codeOf } from '../platform/errors.ts';
import { DONE_STATES } from '../platform/job-states.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';

/** A job whose handler has returned: what `complete` needs, with the rows and their handler. */
export interface FinishedJob extends JobOutput<unknown> {
  job: ClaimedJob;
  handler: Handler;
}

export interface Committer {
  /** Resolves with true when the job is committed as completed, with false when its lease was lost and nothing of it was kept. Rejects when its rows cannot be written. */
  commit(finished: FinishedJob): Promise<boolean>;
  /** Resolves when no job waits for its commit. */
  idle(): Promise<void>;
}

export interface CommitterOptions {
  ledger: Ledger;
  workerId: string;
  /** Most jobs of one transaction. */
  size: number;
  /** Milliseconds that a finished job waits for others. */
  waitMs: number;
  /** Aborts when the worker no longer waits for a database that cannot be reached. */
  signal: AbortSignal;
  /** Called after each commit with its changes and the jobs that it kept. */
  onCommitted: (changes: readonly Change[], jobs: readonly FinishedJob[]) => void;
}

interface Waiting {
  finished: FinishedJob;
  resolve: (kept: boolean) => void;
  reject: (error: unknown) => void;
}

export function createCommitter(options: CommitterOptions): Committer {
  const { size, waitMs } = options;
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;
  let committing: Promise<void> | undefined;

  function schedule(): void {
    if (committing !== undefined || waiting.length === 0) return;
    if (waiting.length >= size) start();
    else timer ??= setTimeout(start, waitMs);
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    if (committing !== undefined) return;
    const batch = waiting.slice(0, size);
    waiting = waiting.slice(size);
    committing = commitBatch(options, batch).finally(() => {
      committing = undefined;
      schedule();
    });
  }

  return {
    commit(finished) {
      return new Promise((resolve, reject) => {
        waiting.push({ finished, resolve, reject });
        schedule();
      });
    },
    async idle() {
      while (waiting.length > 0 || committing !== undefined) {
        if (committing === undefined) start();
        await committing;
      }
    },
  };
}

async function commitBatch(options: CommitterOptions, batch: readonly Waiting[]): Promise<void> {
  const jobs = batch.map(({ finished }) => finished);
  let written: Finished;
  try {
    written = await retryWhileUnavailable((mayBeCommitted) => write(options, jobs, mayBeCommitted), options.signal);
  } catch (error) {
    if (batch.length === 1 || codeOf(error) === 'database.unavailable') {
      for (const { reject } of batch) reject(error);
    } else {
      const half = batch.length >> 1;
      await commitBatch(options, batch.slice(0, half));
      await commitBatch(options, batch.slice(half));
    }
    return;
  }
  const lost = new Set<Attempt>(written.lost);
  options.onCommitted(
    written.changes,
    jobs.filter(({ job }) => !lost.has(job)),
  );
  for (const { finished, resolve } of batch) resolve(!lost.has(finished.job));
}

async function write(options: CommitterOptions, jobs: readonly FinishedJob[], mayBeCommitted: boolean): Promise<Finished> {
  const written = await complete(options.ledger, options.workerId, jobs, storeRows);
  return mayBeCommitted && written.lost.length > 0 ? withEarlierCommit(options, jobs, written) : written;
}

/** Writes the rows of the jobs, each type's rows at once. */
async function storeRows(tx: Transaction, jobs: readonly FinishedJob[]): Promise<void> {
  for (const [handler, ofType] of Map.groupBy(jobs, (one) => one.handler)) {
    const rows = ofType.flatMap((one) => one.rows);
    if (rows.length > 0) await handler.store(tx, rows);
  }
}

/** Moves refused attempts to the kept ones when an earlier try, whose answer was lost with the connection, has committed them. */
async function withEarlierCommit(
  { ledger, workerId }: CommitterOptions,
  jobs: readonly FinishedJob[],
  { changes, lost }: Finished,
): Promise<Finished> {
  const rows = await ledger.db.rows<{ id: Buffer; attempt: number; state: (typeof DONE_STATES)[number] }>(
    'SELECT id, attempt, state FROM jobs WHERE id IN (?) AND worker_id = ? AND state IN (?)',
    [sortedBytes(lost.map(({ id }) => id)), workerId, DONE_STATES],
  );
  const ended = new Map(rows.map((row) => [idFromBytes(row.id), row]));
  const kept = new Set<Attempt>(lost.filter(({ id, attempt }) => ended.get(id)?.attempt === attempt));
  const ours = jobs.flatMap(({ job }): Change[] => {
    const row = kept.has(job) ? ended.get(job.id) : undefined;
    return row === undefined
      ? []
      : [{ id: job.id, type: job.type, symbol: job.symbol, attempt: job.attempt, state: row.state, worker: workerId }];
  });
  return { changes: [...changes, ...ours], lost: lost.filter((one) => !kept.has(one)) };
}
