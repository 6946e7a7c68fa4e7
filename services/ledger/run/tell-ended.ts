/** The outbox of the ledger: ended jobs that somebody wants to be told of, in the transaction that ends them. */
import type { Transaction } from '../../platform/database/database.ts';
import { type NotifyEvent, type Severity, tell } from '../../platform/outbox.ts';
import { type Change, type EndState, type Ledger, nowOf } from '../job.ts';

const SEVERITY: Record<EndState, Severity> = {
  completed: 'info',
  completed_with_errors: 'warning',
  failed: 'warning',
  cancelled: 'info',
  expired: 'warning',
};

/** Writes the events that a route of the configuration wants. Costs nothing where none does. */
export function tellEnded(tx: Transaction, ledger: Ledger, ended: readonly Change[]): void {
  const { tells } = ledger;
  if (tells === undefined) return;
  const at = nowOf(ledger);
  tell(
    tx,
    ended.flatMap(({ id, type, symbol, state, reason }): NotifyEvent[] => {
      const about = {
        severity: SEVERITY[state as EndState],
        subject: `job:${id}`,
        details: { job_id: id, type, symbol, state, reason: reason ?? null },
        at,
      };
      const own = tells.ended.get(type);
      return [
        ...(own === undefined ? [] : [{ name: own, ...about }]),
        ...(tells.failed && state === 'failed' ? [{ name: 'job.failed' as const, ...about }] : []),
      ];
    }),
  );
}
