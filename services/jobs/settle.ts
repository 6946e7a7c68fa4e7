/** What an ended job sets in motion, in the transaction that ends it: its user's slot is free, and jobs that waited for it go on or end with it. */
import type { Transaction } from '../platform/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import type { Change, EndState, Ledger, State } from './job.ts';
import { nowOf } from './job.ts';
import { releaseSlots } from './slots.ts';

export interface Ended {
  id: string;
  state: EndState;
  /** Why it did not complete. */
  reason?: string | undefined;
  hasDependents: boolean;
}

const REASON_LIMIT = 2_000;

/** Cuts a reason to the column's length. */
export function shortReason(reason: string): string {
  return reason.length <= REASON_LIMIT ? reason : `${reason.slice(0, REASON_LIMIT - 1)}…`;
}

/** Frees what the ended jobs held and moves their dependents on. Returns the changes of other jobs (made ready, or ended because what they need did not complete). */
export async function settle(tx: Transaction, ledger: Ledger, ended: readonly Ended[]): Promise<Change[]> {
  if (ended.length === 0) return [];
  const changes: Change[] = [];
  const ready = await releaseSlots(
    tx,
    ended.map(({ id }) => id),
  );
  let wave = ended.filter(({ hasDependents }) => hasDependents);
  while (wave.length > 0) {
    const { met, broken } = await dependentsOf(tx, wave);
    ready.push(...met);
    changes.push(...(await endBroken(tx, ledger, broken)));
    wave = broken.filter(({ hasDependents }) => hasDependents);
  }
  changes.push(...(await changesOf(tx, ready)));
  return changes;
}

interface Broken extends Ended {
  code: string;
}

/** Splits the dependents of ended jobs: all needs met, or a need that will never be. */
async function dependentsOf(tx: Transaction, ended: readonly Ended[]): Promise<{ met: string[]; broken: Broken[] }> {
  const met: string[] = [];
  const broken: Broken[] = [];
  const rows = await tx.rows<{ job_id: Buffer; needs_id: Buffer; has_dependents: number }>(
    // Locked: of two transactions that each end one of a job's last two needs, the second must see what the first has done.
    `SELECT d.job_id, d.needs_id, j.has_dependents FROM job_dependencies d FORCE INDEX (ix_needs) JOIN jobs j ON j.id = d.job_id
      WHERE d.needs_id IN (?) AND j.state = 'blocked' AND j.blocked_on = 'dependency' ORDER BY d.job_id FOR UPDATE`,
    [sortedBytes(ended.map(({ id }) => id))],
  );
  if (rows.length === 0) return { met, broken };
  const byId = new Map(ended.map((job) => [job.id, job]));
  const kept = new Set<string>();
  for (const row of rows) {
    const id = idFromBytes(row.job_id);
    const need = byId.get(idFromBytes(row.needs_id)) as Ended;
    if (need.state === 'completed' || need.state === 'completed_with_errors') kept.add(id);
    else {
      const state = need.state === 'cancelled' ? 'cancelled' : 'failed';
      broken.push({ id, state, code: 'job.dependency', reason: `needs job ${need.id}, which ended as ${need.state}${need.reason ? `: ${need.reason}` : ''}`, hasDependents: row.has_dependents === 1 });
    }
  }
  for (const { id } of broken) kept.delete(id);
  if (kept.size > 0) {
    const waiting = await tx.rows<{ job_id: Buffer }>(
      `SELECT DISTINCT d.job_id FROM job_dependencies d JOIN jobs n ON n.id = d.needs_id
        WHERE d.job_id IN (?) AND n.state IN ('scheduled', 'blocked', 'ready', 'running')`,
      [sortedBytes(kept)],
    );
    for (const { job_id } of waiting) kept.delete(idFromBytes(job_id));
    if (kept.size > 0) {
      await tx.run("UPDATE jobs SET state = 'ready', blocked_on = NULL WHERE id IN (?) AND state = 'blocked' AND blocked_on = 'dependency'", [sortedBytes(kept)]);
      met.push(...kept);
    }
  }
  return { met, broken };
}

async function endBroken(tx: Transaction, ledger: Ledger, broken: readonly Broken[]): Promise<Change[]> {
  if (broken.length === 0) return [];
  const now = nowOf(ledger);
  for (const state of ['failed', 'cancelled'] as const) {
    const ids = broken.filter((job) => job.state === state).map(({ id }) => id);
    if (ids.length > 0) await tx.run('UPDATE jobs SET state = ?, blocked_on = NULL, ended_at = ?, due_at = ? WHERE id IN (?)', [state, now, now, sortedBytes(ids)]);
  }
  await writeReasons(tx, broken);
  const rows = await changesOf(
    tx,
    broken.map(({ id }) => id),
  );
  const reasons = new Map(broken.map(({ id, reason }) => [id, reason]));
  return rows.map((change) => ({ ...change, reason: reasons.get(change.id) }));
}

/** Writes why jobs ended, beside whatever result they have. */
export async function writeReasons(tx: Transaction, rows: readonly { id: string; code: string; reason?: string | undefined }[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.run('INSERT INTO job_results (job_id, code, reason) VALUES ? ON DUPLICATE KEY UPDATE code = VALUES(code), reason = VALUES(reason)', [
    rows.map(({ id, code, reason }) => [idToBytes(id), code, shortReason(reason ?? code)]),
  ]);
}

/** The present state of jobs, as changes to announce. */
export async function changesOf(tx: Transaction, ids: readonly string[]): Promise<Change[]> {
  if (ids.length === 0) return [];
  const rows = await tx.rows<{ id: Buffer; type: string; symbol: string | null; state: State; attempt: number }>('SELECT id, type, symbol, state, attempt FROM jobs WHERE id IN (?)', [
    sortedBytes(ids),
  ]);
  return rows.map(({ id, ...row }) => ({ ...row, id: idFromBytes(id) }));
}
