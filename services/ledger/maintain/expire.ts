import { type Change, type Ledger, nowOf, ttlOf } from '../job.ts';
import { transition } from '../run/dependents.ts';
import type { Standing } from '../states/standing.ts';
import { lockDue, lockDueOfReady, walkOfReady } from './due.ts';

/** Ends ready or blocked jobs that have waited longer than their queue's time to live, with the reason. `walk`: over the ready ones, for calls that go on where the one before ended. */
export function expire(ledger: Ledger, state: 'ready' | 'blocked', walk = walkOfReady()): Promise<Change[]> {
  const { from } = walk;
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    // A transaction that is run again begins where it began.
    walk.from = from;
    const rows = state === 'ready' ? await lockDueOfReady(tx, now, walk) : await lockDue(tx, state, now);
    const limitOf = (row: Standing): string =>
      ledger.types[row.type]?.ttlSeconds === undefined
        ? `the limit of ${row.queue} is ${ttlOf(ledger, row)} s (queue.priority_queues.${row.queue}.ttl)`
        : `the limit of ${row.type} jobs is ${ttlOf(ledger, row)} s`;
    const reasonOf = (row: Standing): string =>
      `waited ${Math.round((now.getTime() - row.enqueued_at.getTime()) / 1000)} s; ${limitOf(row)}`;
    return transition(tx, ledger, rows, (row) => ({ state: 'expired', code: 'queue.expired', reason: reasonOf(row) }));
  });
}
