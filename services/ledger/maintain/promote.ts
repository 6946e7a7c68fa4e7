import { type Change, expiryOf, type Ledger, nowOf } from '../job.ts';
import { withLiveNeeds } from '../run/dependents.ts';
import { enterBlocked } from '../states/blocked.ts';
import { enterReady } from '../states/ready.ts';
import { leaveScheduled } from '../states/scheduled.ts';
import { idOf } from '../states/standing.ts';
import { changesTo, lockDue } from './due.ts';

/** Makes scheduled jobs ready when their time has come, or blocked while a dependency is live. */
export function promote(ledger: Ledger): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    const rows = await lockDue(tx, 'scheduled', now);
    const waiting = new Set(await withLiveNeeds(tx, rows.map(idOf), 'locked'));
    const promoted = rows.map((row) => ({ ...row, due_at: expiryOf(ledger, row, now) }));
    const blocked = promoted.filter((row) => waiting.has(idOf(row)));
    const ready = promoted.filter((row) => !waiting.has(idOf(row)));
    leaveScheduled(tx, rows);
    enterBlocked(
      tx,
      blocked.map((row) => ({ ...row, blocked_on: 'dependency' })),
    );
    enterReady(
      tx,
      ready.map((row) => ({ ...row, blocked_on: null })),
    );
    return [...changesTo(blocked, 'blocked'), ...changesTo(ready, 'ready')];
  });
}
