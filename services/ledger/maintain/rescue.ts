/** Jobs whose lease ended, or whose worker is gone, go back to the queue, or end as failed when their attempts are used up. */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes, sortedBytes } from '../id.ts';
import { type Change, expiryOf, type Ledger, nowOf, type Queue } from '../job.ts';
import { recordAttempts } from '../run/complete.ts';
import { type Ended, resolveDependents, writeReasons } from '../run/dependents.ts';
import { BATCH } from './due.ts';

interface Expired {
  id: Buffer;
  type: string;
  symbol: string | null;
  queue: Queue;
  attempt: number;
  max_attempts: number;
  worker_id: string;
  started_at: Date;
  user_id: string | null;
  has_dependents: number;
}

const EXPIRED_COLUMNS = 'id, type, symbol, queue, attempt, max_attempts, worker_id, started_at, user_id, has_dependents';

/** Takes back jobs whose lease has expired (ix_due), at most 500 a call: ready again, or failed with the reason when the attempts are used up. */
export function reap(ledger: Ledger): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const rows = await tx.rows<Expired>(
      `SELECT ${EXPIRED_COLUMNS} FROM jobs FORCE INDEX (ix_due) WHERE state = 'running' AND due_at < ? ORDER BY due_at, id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
      [nowOf(ledger)],
    );
    return takeBack(tx, ledger, rows, (row) => `worker ${row.worker_id} did not renew its lease`);
  });
}

export interface Rescued {
  changes: Change[];
  /** Attempts that are still to be taken back: another transaction has locked their rows. Ask again. */
  left: number;
}

/**
 * Ends the leases of a worker that is known to be gone (its last will, or a new process under its name). Fencing makes a false alarm harmless. Takes back only
 * attempts that began until `until`, since a later one belongs to a process that lives. A row that another transaction has locked is skipped and counted in `left`:
 * the dead worker's own transaction may still hold it until the server notices that the connection is gone.
 */
export async function rescue(ledger: Ledger, workerId: string, reason: string, until = nowOf(ledger)): Promise<Rescued> {
  const running = await attemptsOf(ledger, workerId, until);
  if (running.length === 0) return { changes: [], left: 0 };
  const changes: Change[] = [];
  for (let start = 0; start < running.length; start += BATCH) {
    const ids = running.slice(start, start + BATCH).sort(Buffer.compare);
    changes.push(
      ...(await ledger.db.transaction(async (tx) => {
        const rows = await tx.rows<Expired>(
          `SELECT ${EXPIRED_COLUMNS} FROM jobs FORCE INDEX (PRIMARY)
            WHERE id IN (?) AND state = 'running' AND worker_id = ? AND COALESCE(started_at, enqueued_at) <= ? ORDER BY id FOR UPDATE SKIP LOCKED`,
          [ids, workerId, until],
        );
        return takeBack(tx, ledger, rows, () => reason);
      })),
    );
  }
  return { changes, left: (await attemptsOf(ledger, workerId, until)).length };
}

/** Running jobs of the worker whose attempt began until `until`. A plain read: a locking one would hold the rows of every other worker for a moment. */
async function attemptsOf(ledger: Ledger, workerId: string, until: Date): Promise<Buffer[]> {
  const rows = await ledger.db.rows<{ id: Buffer }>(
    "SELECT id FROM jobs FORCE INDEX (ix_due) WHERE state = 'running' AND worker_id = ? AND COALESCE(started_at, enqueued_at) <= ? ORDER BY due_at, id",
    [workerId, until],
  );
  return rows.map(({ id }) => id);
}

async function takeBack(tx: Transaction, ledger: Ledger, rows: readonly Expired[], reasonOf: (row: Expired) => string): Promise<Change[]> {
  if (rows.length === 0) return [];
  const now = nowOf(ledger);
  const changes: Change[] = [];
  const ended: Ended[] = [];
  const final: { id: string; code: string; reason: string }[] = [];
  for (const row of rows) {
    const id = idFromBytes(row.id);
    const usedUp = row.attempt >= row.max_attempts;
    const reason = usedUp ? `${reasonOf(row)} (attempt ${row.attempt} of ${row.max_attempts})` : reasonOf(row);
    changes.push({
      id,
      type: row.type,
      symbol: row.symbol,
      state: usedUp ? 'failed' : 'ready',
      attempt: row.attempt,
      worker: row.worker_id,
      reason,
    });
    if (!usedUp) continue;
    ended.push({ id, state: 'failed', reason, hasDependents: row.has_dependents === 1 });
    final.push({ id, code: 'job.lease_lost', reason });
  }
  const failed = new Set(final.map(({ id }) => id));
  const back = rows.filter(({ id }) => !failed.has(idFromBytes(id)));
  for (const [queue, group] of Map.groupBy(back, (row) => row.queue))
    tx.later("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'ready', worker_id = NULL, due_at = ? WHERE id IN (?)", [
      expiryOf(ledger, queue, now),
      group.map(({ id }) => id).sort(Buffer.compare),
    ]);
  if (final.length > 0)
    tx.later("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'failed', ended_at = ?, due_at = ? WHERE id IN (?)", [
      now,
      now,
      sortedBytes(failed),
    ]);
  await writeReasons(tx, final);
  await recordAttempts(
    tx,
    rows.map((row) => [row.id, row.attempt, row.worker_id, row.started_at, now, 'lease_lost', 'job.lease_lost', reasonOf(row)]),
  );
  changes.push(
    ...(await resolveDependents(
      tx,
      ledger,
      ended,
      rows.flatMap(({ id, user_id }) => (user_id === null ? [] : [idFromBytes(id)])),
    )),
  );
  return changes;
}
