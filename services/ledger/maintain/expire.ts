import { idFromBytes } from '../id.ts';
import { type Change, type Ledger, nowOf, ttlOf } from '../job.ts';
import { type Ended, resolveDependents, writeReasons } from '../run/dependents.ts';
import { stopWaiting } from '../run/slots.ts';
import { changesTo, type Due, idsOf, selectDue } from './due.ts';

/** Ends ready or blocked jobs that have waited longer than their queue's time to live, with the reason. */
export function expire(ledger: Ledger, state: 'ready' | 'blocked'): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    const rows = await selectDue(tx, state, now);
    if (rows.length === 0) return [];
    const limitOf = (row: Due): string =>
      ledger.types[row.type]?.ttlSeconds === undefined
        ? `the limit of ${row.queue} is ${ttlOf(ledger, row)} s (queue.priority_queues.${row.queue}.ttl)`
        : `the limit of ${row.type} jobs is ${ttlOf(ledger, row)} s`;
    const reasonOf = (row: Due): string => `waited ${Math.round((now.getTime() - row.enqueued_at.getTime()) / 1000)} s; ${limitOf(row)}`;
    await tx.run("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'expired', blocked_on = NULL, ended_at = ?, due_at = ? WHERE id IN (?)", [
      now,
      now,
      idsOf(rows),
    ]);
    if (state === 'blocked') await stopWaiting(tx, idsOf(rows));
    const ended = rows.map((row): Ended & { code: string } => ({
      id: idFromBytes(row.id),
      type: row.type,
      symbol: row.symbol,
      code: 'queue.expired',
      reason: reasonOf(row),
      state: 'expired',
      hasDependents: row.has_dependents === 1,
      leavesSlot: state === 'ready' && row.blocked_on === 'slot',
    }));
    await writeReasons(tx, ended);
    return [...changesTo(rows, 'expired', reasonOf), ...(await resolveDependents(tx, ledger, ended, []))];
  });
}
