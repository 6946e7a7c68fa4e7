import { idFromBytes } from '../id.ts';
import { type Change, expiryOf, type Ledger, nowOf } from '../job.ts';
import { withLiveNeeds } from '../run/dependents.ts';
import { changesTo, type Due, idsOf, selectDue } from './due.ts';

/** Makes scheduled jobs ready when their time has come, or blocked while a dependency is live. */
export function promote(ledger: Ledger): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    const rows = await selectDue(tx, 'scheduled', now);
    const waiting = new Set(
      await withLiveNeeds(
        tx,
        rows.map(({ id }) => idFromBytes(id)),
        'locked',
      ),
    );
    const states = Map.groupBy(rows, ({ id }) => (waiting.has(idFromBytes(id)) ? 'blocked' : 'ready'));
    for (const [state, some] of states)
      for (const group of Map.groupBy(some, ({ queue, type }) => `${queue} ${type}`).values())
        await tx.run('UPDATE jobs FORCE INDEX (PRIMARY) SET state = ?, blocked_on = ?, due_at = ? WHERE id IN (?)', [
          state,
          state === 'blocked' ? 'dependency' : null,
          expiryOf(ledger, group[0] as Due, now),
          idsOf(group),
        ]);
    return [...states].flatMap(([state, some]) => changesTo(some, state));
  });
}
