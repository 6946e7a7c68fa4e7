/**
 * How a worker gets work. One queue a statement; `ix_claim (queue, state, priority, id)` is an equality prefix and then the exact order, all ascending, so InnoDB
 * walks it and locks just the rows it returns. Anything that would sort (an IN over queues, a DESC, a comparison of times) makes the first worker lock the whole
 * table and the second one get nothing.
 */
import type { Transaction } from '../platform/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import { after, type Ledger, levelOf, nowOf, QUEUES, type Queue, scoreOf } from './job.ts';
import { takeSlots } from './slots.ts';

export interface ClaimedJob {
  id: string;
  type: string;
  symbol: string | null;
  queue: Queue;
  level: number;
  score: number;
  /** The fencing token: every later write names it. */
  attempt: number;
  maxAttempts: number;
  userId: string | null;
  payload: unknown;
  triggeredBy: string;
  enqueuedAt: Date;
  startedAt: Date;
}

export interface Claim {
  jobs: ClaimedJob[];
  /** Jobs that went from ready to blocked because their users have no free slot. */
  blocked: string[];
  /** True when rows were passed over because somebody held them for a moment: ask again soon. */
  undecided: boolean;
}

interface Candidate {
  id: Buffer;
  type: string;
  symbol: string | null;
  priority: number;
  attempt: number;
  max_attempts: number;
  user_id: string | null;
  payload: unknown;
  triggered_by: string;
  enqueued_at: Date;
}

// ix_claim, no filesort (a test EXPLAINs it). The details are read by primary key in the same walk.
const SELECT_READY = `
  SELECT STRAIGHT_JOIN j.id, j.type, j.symbol, j.priority, j.attempt, j.max_attempts, j.user_id, d.payload, d.triggered_by, j.enqueued_at
    FROM jobs j FORCE INDEX (ix_claim) JOIN job_details d ON d.job_id = j.id
   WHERE j.queue = ? AND j.state = 'ready'
   ORDER BY j.priority, j.id
   LIMIT ?
   FOR UPDATE SKIP LOCKED`;

// A worker that supports only some types passes over the others in the index: cheap while they are few at the head.
const SELECT_READY_OF_TYPES = SELECT_READY.replace("j.state = 'ready'", "j.state = 'ready' AND j.type IN (?)");

/**
 * Takes up to `limit` ready jobs, most urgent first, queue by queue, each queue in a transaction of its own. `types`: only these (undefined = all).
 * Errors: those of `Database.transaction`; jobs claimed before the error are lost to the caller and come back when their lease ends.
 */
export async function claim(ledger: Ledger, workerId: string, limit: number, types?: readonly string[]): Promise<Claim> {
  const result: Claim = { jobs: [], blocked: [], undecided: false };
  for (const queue of QUEUES) {
    let wanted = limit - result.jobs.length;
    while (wanted > 0) {
      const taken = await ledger.db.transaction((tx) => claimFrom(tx, ledger, workerId, queue, wanted, types));
      result.jobs.push(...taken.jobs);
      result.blocked.push(...taken.blocked);
      result.undecided ||= taken.undecided;
      wanted = limit - result.jobs.length;
      // Blocked jobs have left the head of the queue: look at those behind them.
      if (taken.blocked.length === 0) break;
    }
  }
  return result;
}

async function claimFrom(tx: Transaction, ledger: Ledger, workerId: string, queue: Queue, limit: number, types: readonly string[] | undefined): Promise<Claim> {
  const candidates =
    types === undefined ? await tx.rows<Candidate>(SELECT_READY, [queue, limit]) : await tx.rows<Candidate>(SELECT_READY_OF_TYPES, [queue, types, limit]);
  if (candidates.length === 0) return { jobs: [], blocked: [], undecided: false };

  const now = nowOf(ledger);
  const withId = candidates.map((row) => ({ ...row, id: idFromBytes(row.id), userId: row.user_id }));
  const { run, block } = await takeSlots(tx, ledger, withId);
  if (run.size > 0)
    await tx.run("UPDATE jobs SET state = 'running', attempt = attempt + 1, worker_id = ?, started_at = ?, due_at = ? WHERE id IN (?)", [
      workerId,
      now,
      after(now, ledger.leaseSeconds),
      sortedBytes(run),
    ]);
  if (block.size > 0) {
    await tx.run("UPDATE jobs SET state = 'blocked', blocked_on = 'slot' WHERE id IN (?)", [sortedBytes(block.keys())]);
    const priorityOfId = new Map(withId.map(({ id, priority }) => [id, priority]));
    await tx.run('INSERT INTO slot_waits (user_id, priority, job_id) VALUES ?', [
      [...block].flatMap(([id, users]) => users.map((user) => [user, priorityOfId.get(id), idToBytes(id)])),
    ]);
  }
  const jobs = withId
    .filter(({ id }) => run.has(id))
    .map((row) => ({
      id: row.id,
      type: row.type,
      symbol: row.symbol,
      queue,
      level: levelOf(row.priority),
      score: scoreOf(row.priority),
      attempt: row.attempt + 1,
      maxAttempts: row.max_attempts,
      userId: row.userId,
      payload: typeof row.payload === 'string' ? JSON.parse(row.payload) : row.payload,
      triggeredBy: row.triggered_by,
      enqueuedAt: row.enqueued_at,
      startedAt: now,
    }));
  return { jobs, blocked: [...block.keys()], undecided: run.size + block.size < candidates.length };
}
