import { type Change, type Ledger, nowOf, ttlOf } from '../job.ts';
import { type Ended, resolveDependents } from '../run/dependents.ts';
import { enterEnded } from '../states/ended.ts';
import { idOf, leave, type Standing } from '../states/standing.ts';
import { changesTo, lockDue } from './due.ts';

/** Ends ready or blocked jobs that have waited longer than their queue's time to live, with the reason. */
export function expire(ledger: Ledger, state: 'ready' | 'blocked'): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    const rows = await lockDue(tx, state, now);
    if (rows.length === 0) return [];
    const limitOf = (row: Standing): string =>
      ledger.types[row.type]?.ttlSeconds === undefined
        ? `the limit of ${row.queue} is ${ttlOf(ledger, row)} s (queue.priority_queues.${row.queue}.ttl)`
        : `the limit of ${row.type} jobs is ${ttlOf(ledger, row)} s`;
    const reasonOf = (row: Standing): string =>
      `waited ${Math.round((now.getTime() - row.enqueued_at.getTime()) / 1000)} s; ${limitOf(row)}`;
    const code = 'queue.expired';
    leave(tx, rows);
    enterEnded(
      tx,
      now,
      rows.map((row) => ({ ...row, state: 'expired', code, reason: reasonOf(row) })),
    );
    const ended = rows.map(
      (row): Ended => ({
        id: idOf(row),
        type: row.type,
        symbol: row.symbol,
        reason: reasonOf(row),
        state: 'expired',
        hasDependents: row.has_dependents === 1,
        leavesSlot: state === 'ready' && row.blocked_on === 'slot',
      }),
    );
    return [...changesTo(rows, 'expired', { code, reasonOf }), ...(await resolveDependents(tx, ledger, ended, []))];
  });
}
