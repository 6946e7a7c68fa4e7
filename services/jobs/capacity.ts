/** `max_jobs`: how many jobs may wait in each queue, and where a request goes when there is no room. */
import type { Transaction } from '../platform/database.ts';
import { bandStart, type Ledger, QUEUES, type Queue } from './job.ts';

/** Below this share of `max_jobs` a count may be this many milliseconds old; above it every call counts, one at a time. */
const NEAR = 0.5;
const COUNT_AGE_MS = 1_000;

interface Count {
  waiting: number;
  at: number;
}
/** What this process knows of each ledger's queues: the last count plus what it has added since. */
const counts = new WeakMap<object, Map<Queue, Count>>();

export type Place = { queue: Queue; level: number } | { reason: string };

/**
 * A queue with room for each request, in order; `next_queue` walks down, `refuse` stays. `level` is the first of the band when the queue is a lower one.
 * While a queue is far from its limit the count is at most a second old (an index walk of `max_jobs` entries in every call would cost more than the insert);
 * near the limit enqueuers take turns on the queue's row and the count is exact.
 */
export async function chooseQueues(tx: Transaction, ledger: Ledger, wanted: readonly { queue: Queue; whenFull: 'next_queue' | 'refuse' }[]): Promise<Place[]> {
  const room = new Map<Queue, number>();
  const known = counts.get(ledger.db) ?? new Map<Queue, Count>();
  counts.set(ledger.db, known);
  const places: Place[] = [];
  for (const { queue, whenFull } of wanted) {
    const tried = whenFull === 'next_queue' ? QUEUES.slice(QUEUES.indexOf(queue)) : [queue];
    let place: Place | undefined;
    for (const candidate of tried) {
      if (!room.has(candidate)) room.set(candidate, await roomIn(tx, ledger, known, candidate, wanted.length));
      const left = room.get(candidate) as number;
      if (left <= 0) continue;
      room.set(candidate, left - 1);
      const count = known.get(candidate);
      if (count !== undefined) count.waiting++;
      place = { queue: candidate, level: bandStart(candidate) };
      break;
    }
    places.push(place ?? { reason: refusal(ledger, tried) });
  }
  return places;
}

async function roomIn(tx: Transaction, ledger: Ledger, known: Map<Queue, Count>, queue: Queue, adding: number): Promise<number> {
  const { maxJobs } = ledger.queues[queue];
  const last = known.get(queue);
  const age = last === undefined ? Number.POSITIVE_INFINITY : performance.now() - last.at;
  if (last !== undefined && age < COUNT_AGE_MS && last.waiting + adding < maxJobs * NEAR) return maxJobs - last.waiting;
  let waiting = await countWaiting(tx, queue, maxJobs);
  if (waiting + adding >= maxJobs * NEAR) {
    await tx.rows('SELECT queue FROM queues WHERE queue = ? FOR UPDATE', [queue]);
    waiting = await countWaiting(tx, queue, maxJobs);
  }
  known.set(queue, { waiting, at: performance.now() });
  return maxJobs - waiting;
}

/** Walks ix_claim's prefix (queue, state) for each waiting state, at most `limit` entries together. */
async function countWaiting(tx: Transaction, queue: Queue, limit: number): Promise<number> {
  const [row] = await tx.rows<{ waiting: number }>(
    "SELECT COUNT(*) AS waiting FROM (SELECT 1 FROM jobs FORCE INDEX (ix_claim) WHERE queue = ? AND state IN ('scheduled', 'blocked', 'ready') LIMIT ?) w",
    [queue, limit],
  );
  return row?.waiting ?? 0;
}

function refusal(ledger: Ledger, tried: readonly Queue[]): string {
  const full = tried.map((queue) => `${queue} holds ${ledger.queues[queue].maxJobs} (queue.priority_queues.${queue}.max_jobs)`).join(', ');
  return `no room: ${full}; try again when the queue is shorter, or raise the limit`;
}
