/**
 * Commits finished jobs in batches. Jobs that finish within a few milliseconds share one transaction, and the rows of jobs of one type share one `store`.
 */
import type { Handler, JobOutput } from '../job-types/handler.ts';
import { idFromBytes, sortedBytes } from '../ledger/id.ts';
import type { Change, Ledger } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { type Attempt, changeOf, complete, type Finished } from '../ledger/run/complete.ts';
import { createBatcher } from '../platform/batching/batcher.ts';
import type { Transaction } from '../platform/database/database.ts';
import { DONE_STATES } from '../platform/job-states.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';
import { batchWeight, commitWeight } from './running-jobs.ts';

/** A job whose handler has returned: what `complete` needs, with the rows and their handler. */
export interface FinishedJob extends JobOutput<unknown> {
  job: ClaimedJob;
  handler: Handler;
}

export interface Committer {
  /** Resolves with true when the job is committed as completed, with false when its lease was lost and nothing of it was kept. Rejects when its rows cannot be written. */
  commit(finished: FinishedJob): Promise<boolean>;
  /** Begins what waits at once: nothing more is to be expected soon. */
  flush(): void;
  /** Resolves when no job waits for its commit. */
  idle(): Promise<void>;
}

export interface CommitterOptions {
  ledger: Ledger;
  workerId: string;
  /** Most jobs with rows of one transaction; of jobs without rows there may be several times as many (`batchWeight`). */
  size: number;
  /** Milliseconds that a finished job waits for others. */
  waitMs: number;
  /** Aborts when the worker no longer waits for a database that cannot be reached. */
  signal: AbortSignal;
  /** Called after each commit with its changes and the jobs that it kept. */
  onCommitted: (changes: readonly Change[], jobs: readonly FinishedJob[]) => void;
}

export function createCommitter(options: CommitterOptions): Committer {
  const { size, waitMs } = options;
  const batcher = createBatcher({
    ...{ most: batchWeight(size), weigh: ({ rows }: FinishedJob) => commitWeight(rows), waitMs },
    run: (jobs: readonly FinishedJob[]) => commitBatch(options, jobs),
  });
  return { commit: batcher.add, flush: batcher.flush, idle: batcher.idle };
}

/** Commits the jobs in one transaction; for each whether it was kept. */
async function commitBatch(options: CommitterOptions, jobs: readonly FinishedJob[]): Promise<boolean[]> {
  const { changes, lost } = await retryWhileUnavailable((mayBeCommitted) => write(options, jobs, mayBeCommitted), options.signal);
  const refused = new Set<Attempt>(lost);
  const kept = jobs.map(({ job }) => !refused.has(job));
  options.onCommitted(
    changes,
    jobs.filter((_, index) => kept[index]),
  );
  return kept;
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
    'SELECT job_id AS id, attempt, state FROM ended FORCE INDEX (PRIMARY) WHERE job_id IN (?) AND worker_id = ? AND state IN (?)',
    [sortedBytes(lost.map(({ id }) => id)), workerId, DONE_STATES],
  );
  const ended = new Map(rows.map((row) => [idFromBytes(row.id), row]));
  const kept = new Set<Attempt>(lost.filter(({ id, attempt }) => ended.get(id)?.attempt === attempt));
  const ours = jobs.flatMap(({ job }): Change[] => {
    const row = kept.has(job) ? ended.get(job.id) : undefined;
    return row === undefined ? [] : [changeOf(job, row.state, workerId)];
  });
  return { changes: [...changes, ...ours], lost: lost.filter((one) => !kept.has(one)) };
}
