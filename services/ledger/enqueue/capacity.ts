/** `max_jobs`: how many jobs may wait in each queue, and which queue a request goes to when its own is full. */
import type { Transaction } from '../../platform/database/database.ts';
import { type Ledger, QUEUES, type Queue } from '../job.ts';

/** With a smaller limit every enqueuer counts the queue exactly, one after the other: a walk of a few thousand index entries. */
const ALWAYS_EXACT_BELOW = 5_000;
/** From this share of `max_jobs` on, every enqueuer counts exactly, one after the other. */
const NEAR = 0.5;
/** Room for so many concurrent enqueuers, each with as many jobs as this one; the other half of the queue has room for as many again. */
const UNSEEN = 8;
/** More jobs than any number of enqueuers add in a millisecond: the error of a count grows with its age. */
const FASTEST_PER_MS = 50;
const OLDEST_COUNT_MS = 1_000;
/** A count may be so many times as old as it took: counting a million waiting jobs takes longer than enqueueing a thousand. */
const AGE_OF_COST = 50;

interface Count {
  waiting: number;
  /** `performance.now()`. */
  at: number;
  /** Milliseconds that counting took. */
  cost: number;
}
/** The waiting jobs of each ledger's queues: the last count plus the jobs that this process has added since. */
const counts = new WeakMap<Ledger['db'], Map<Queue, Count>>();

export type QueueChoice = { queue: Queue } | { reason: string };

/** Where a request may go. */
export interface Wanted {
  /** In the order of QUEUES. */
  queues: readonly Queue[];
  /** Logins have room of their own in foreground beyond `maxJobs` (`loginReserve`), which no other request takes. */
  isLogin: boolean;
}

/**
 * For each request the first of its queues that has room, or why there is none.
 * While a queue is far from its limit the count may be a moment old (a walk of the whole queue in every call would cost more than the insert); near the limit
 * enqueuers take turns on the queue's row until their commit, and the count is exact.
 */
export async function chooseQueues(tx: Transaction, ledger: Ledger, wanted: readonly Wanted[]): Promise<QueueChoice[]> {
  const choices = new Map<number, QueueChoice>();
  // From the top down, so that all take their turns on the queues' rows in the same order.
  for (const queue of QUEUES) {
    const here = wanted.flatMap(({ queues }, index) => (choices.has(index) || !queues.includes(queue) ? [] : [index]));
    if (here.length === 0) continue;
    const count = await countFor(tx, ledger, queue, here.length);
    for (const isLogin of [true, false]) {
      const alike = here.filter((index) => wanted[index]?.isLogin === isLogin);
      const fitting = alike.slice(0, Math.max(roomIn(ledger, queue, isLogin) - count.waiting, 0));
      for (const index of fitting) choices.set(index, { queue });
      count.waiting += fitting.length;
    }
  }
  return wanted.map((one, index) => choices.get(index) ?? { reason: refusal(ledger, one) });
}

/** The most jobs that may wait in a queue when this one comes. */
export function roomIn({ queues, loginReserve = 0 }: Pick<Ledger, 'queues' | 'loginReserve'>, queue: Queue, isLogin: boolean): number {
  const { maxJobs } = queues[queue];
  return isLogin && queue === 'foreground' ? maxJobs + Math.floor(maxJobs * loginReserve) : maxJobs;
}

async function countFor(tx: Transaction, ledger: Ledger, queue: Queue, adding: number): Promise<Count> {
  const known = counts.getOrInsertComputed(ledger.db, () => new Map());
  const { maxJobs } = ledger.queues[queue];
  const limit = roomIn(ledger, queue, true);
  const isSmall = maxJobs < ALWAYS_EXACT_BELOW;
  let count = known.get(queue);
  // Never so old that others could have filled the other half of the queue unseen.
  const oldest = Math.min(Math.max(OLDEST_COUNT_MS, (count?.cost ?? 0) * AGE_OF_COST), (maxJobs * NEAR) / FASTEST_PER_MS);
  if (!isSmall && (count === undefined || performance.now() - count.at >= oldest)) count = await countWaiting(tx, queue, limit);
  if (isSmall || count === undefined || count.waiting + UNSEEN * adding >= maxJobs * NEAR) {
    await tx.rows('SELECT queue FROM queues WHERE queue = ? FOR UPDATE', [queue]);
    count = await countWaiting(tx, queue, limit);
  }
  known.set(queue, count);
  return count;
}

/** Walks the entries of the queue in each waiting state, at most `limit` together. */
async function countWaiting(tx: Transaction, queue: Queue, limit: number): Promise<Count> {
  const started = performance.now();
  const [row] = await tx.rows<{ waiting: number }>(
    `SELECT LEAST(COUNT(*), ?) AS waiting FROM (
       (SELECT 1 FROM ready FORCE INDEX (PRIMARY) WHERE queue = ? LIMIT ?)
       UNION ALL (SELECT 1 FROM scheduled FORCE INDEX (ix_queue) WHERE queue = ? LIMIT ?)
       UNION ALL (SELECT 1 FROM blocked FORCE INDEX (ix_queue) WHERE queue = ? LIMIT ?)) w`,
    [limit, queue, limit, queue, limit, queue, limit],
  );
  const at = performance.now();
  return { waiting: row?.waiting ?? 0, at, cost: at - started };
}

function refusal(ledger: Ledger, { queues, isLogin }: Wanted): string {
  const full = queues.map((queue) => {
    const room = roomIn(ledger, queue, isLogin);
    const more = room === ledger.queues[queue].maxJobs ? '' : ' and queue.login_reserve';
    return `${queue} holds ${room} jobs (queue.priority_queues.${queue}.max_jobs${more})`;
  });
  return `the queue is full: ${full.join(', ')}; try again later, or raise the limit`;
}
