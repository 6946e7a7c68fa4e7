/** The outbox of the ledger: ended jobs that somebody wants to be told of, in the transaction that ends them. */
import type { Transaction } from '../../platform/database/database.ts';
import { type EventName, type NotifyEvent, type Severity, tell } from '../../platform/outbox.ts';
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
  const events = ended.flatMap(({ id, type, symbol, state, reason = null }): NotifyEvent[] => {
    const own = tells.ended.get(type);
    const names: EventName[] = [
      ...(own === undefined ? [] : [own]),
      ...(tells.failed && state === 'failed' ? ['job.failed' as const] : []),
    ];
    const details = { job_id: id, type, symbol, state, reason };
    return names.map((name) => ({ name, severity: SEVERITY[state as EndState], subject: `job:${id}`, details, at }));
  });
  tell(tx, events);
}
