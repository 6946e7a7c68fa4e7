import { type Change, type Ledger, nowOf } from '../job.ts';
import { withLiveNeeds } from '../run/dependents.ts';
import { move } from '../states/move.ts';
import { idOf } from '../states/standing.ts';
import { lockDue } from './due.ts';

/** Makes scheduled jobs ready when their time has come, or blocked while a dependency is live. */
export function promote(ledger: Ledger): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const rows = await lockDue(tx, 'scheduled', nowOf(ledger));
    const waiting = await withLiveNeeds(tx, rows.map(idOf), { locked: true });
    return move(tx, ledger, rows, (row) => (waiting.has(idOf(row)) ? { state: 'blocked', blocked_on: 'dependency' } : { state: 'ready' }));
  });
}
