/** A running job belongs to its worker while the worker renews its lease. `maintain/rescue.ts` takes back jobs whose lease ended. */
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import { after, type Ledger, nowOf } from '../job.ts';
import type { Attempt } from './complete.ts';

/** Renews the leases of a worker in one statement. Returns the given attempts that the worker no longer owns: abort them. */
export async function heartbeat<A extends Attempt>(ledger: Ledger, workerId: string, running: readonly A[]): Promise<A[]> {
  if (running.length === 0) return [];
  const ids = sortedBytes(running.map(({ id }) => id));
  const mine = 'job_id IN (?) AND (job_id, attempt) IN (?) AND worker_id = ?';
  const params = [ids, running.map(({ id, attempt }) => [idToBytes(id), attempt]), workerId];
  // In a transaction, because only transactions are retried on a deadlock: a failed heartbeat costs a sixth of the lease.
  const { affectedRows } = await ledger.db.transaction((tx) =>
    tx.run(`UPDATE running FORCE INDEX (PRIMARY) SET due_at = ? WHERE ${mine}`, [after(nowOf(ledger), ledger.leaseSeconds), ...params]),
  );
  if (affectedRows === running.length) return [];
  const kept = await ledger.db.rows<{ id: Buffer; attempt: number }>(
    `SELECT job_id AS id, attempt FROM running FORCE INDEX (PRIMARY) WHERE ${mine}`,
    params,
  );
  const attemptOf = new Map(kept.map(({ id, attempt }) => [idFromBytes(id), attempt]));
  return running.filter(({ id, attempt }) => attemptOf.get(id) !== attempt);
}
