/** What the end of a job changes for other jobs, in the transaction that ends it: its user's slot becomes free, and its dependents become ready or end with it. */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import { type Change, type EndState, isDone, type Ledger, LIVE_STATES, nowOf, type State } from '../job.ts';
import { offerFreeSlots, releaseSlots } from './slots.ts';
import { tellEnded } from './tell-ended.ts';

export interface Ended {
  id: string;
  type: string;
  symbol: string | null;
  state: EndState;
  /** Why the job did not complete. */
  reason?: string | undefined;
  hasDependents: boolean;
  /** The job was made ready for a free slot, and ended without using it. */
  leavesSlot?: boolean | undefined;
}

const REASON_LIMIT = 2_000;

/** Cuts a reason to the column's length. */
export function truncateReason(reason: string): string {
  return reason.length <= REASON_LIMIT ? reason : `${reason.slice(0, REASON_LIMIT - 1)}…`;
}

/**
 * Makes the dependents of the ended jobs ready, or ends them when their dependency did not complete, and frees the slots of the `stopped` jobs: those that ran for
 * users and no longer run. Returns the changes of all these other jobs.
 */
export async function resolveDependents(
  tx: Transaction,
  ledger: Ledger,
  ended: readonly Ended[],
  stopped: readonly string[],
): Promise<Change[]> {
  const ready = await releaseSlots(tx, stopped);
  const left = ended.filter(({ leavesSlot }) => leavesSlot);
  ready.push(
    ...(await offerFreeSlots(
      tx,
      ledger,
      left.map(({ id }) => id),
      { claimed: false },
    )),
  );
  const changes: Change[] = [];
  tellEnded(tx, ledger, ended);
  let wave = ended.filter(({ hasDependents }) => hasDependents);
  while (wave.length > 0) {
    const { met, broken } = await dependentsOf(tx, ledger, wave);
    ready.push(...met);
    changes.push(...(await endBroken(tx, ledger, broken)));
    tellEnded(tx, ledger, broken);
    wave = broken.filter(({ hasDependents }) => hasDependents);
  }
  changes.push(...(await changesOf(tx, ready)));
  return changes;
}

interface Broken extends Ended {
  code: string;
  reason: string;
}

/** Splits the dependents of ended jobs into those whose dependencies are all completed (or have ended, for parts and where their type allows that), which become ready, and those with a dependency that failed. A scheduled one is checked when its time comes. */
async function dependentsOf(tx: Transaction, ledger: Ledger, ended: readonly Ended[]): Promise<{ met: string[]; broken: Broken[] }> {
  const rows = await tx.rows<{
    job_id: Buffer;
    needs_id: Buffer;
    is_part: number;
    type: string;
    symbol: string | null;
    state: State;
    has_dependents: number;
  }>(
    // Locked: when two transactions each end one of a job's last two dependencies, the second must see the change of the first.
    `SELECT STRAIGHT_JOIN d.job_id, d.needs_id, d.is_part, j.type, j.symbol, j.state, j.has_dependents FROM job_dependencies d FORCE INDEX (ix_needs) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = d.job_id
      WHERE d.needs_id IN (?) AND (j.state = 'scheduled' OR (j.state = 'blocked' AND j.blocked_on = 'dependency')) ORDER BY d.job_id FOR UPDATE`,
    [sortedBytes(ended.map(({ id }) => id))],
  );
  if (rows.length === 0) return { met: [], broken: [] };
  const byId = new Map(ended.map((job) => [job.id, job]));
  const broken = new Map<string, Broken>();
  const open = new Set<string>();
  for (const row of rows) {
    const id = idFromBytes(row.job_id);
    const need = byId.get(idFromBytes(row.needs_id)) as Ended;
    // A type of another deployment's newer version has no rules here.
    if (!isDone(need.state) && row.is_part === 0 && ledger.types[row.type]?.needsMayFail !== true) {
      const reason = `needs job ${need.id}, which ended as ${need.state}${need.reason ? `: ${need.reason}` : ''}`;
      broken.set(id, {
        id,
        type: row.type,
        symbol: row.symbol,
        state: need.state === 'cancelled' ? 'cancelled' : 'failed',
        code: 'job.dependency',
        reason,
        hasDependents: row.has_dependents === 1,
      });
    } else if (row.state === 'blocked') open.add(id);
  }
  for (const id of broken.keys()) open.delete(id);
  // Not locked: a transaction that ends another dependency now waits for the rows locked above, and checks again after this commit.
  for (const id of await withLiveNeeds(tx, open)) open.delete(id);
  if (open.size > 0)
    tx.later("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'ready', blocked_on = NULL WHERE id IN (?)", [sortedBytes(open)]);
  return { met: [...open], broken: [...broken.values()] };
}

/**
 * The jobs among `ids` that depend on a live job; the transaction must have locked the rows of all `ids`. `locked`: waits for transactions that end a dependency
 * at this moment. A transaction that makes a job blocked needs it, because the other one may already have looked for dependents.
 */
export async function withLiveNeeds(tx: Transaction, ids: Iterable<string>, locked?: 'locked'): Promise<string[]> {
  const keys = sortedBytes(ids);
  if (keys.length === 0) return [];
  // The dependencies of a job change only under the lock of its own row.
  const needs = await tx.rows<{ job_id: Buffer; needs_id: Buffer }>('SELECT job_id, needs_id FROM job_dependencies WHERE job_id IN (?)', [
    keys,
  ]);
  if (needs.length === 0) return [];
  const live = await tx.rows<{ id: Buffer }>(
    `SELECT id FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state IN (?) ORDER BY id ${locked === undefined ? '' : 'LOCK IN SHARE MODE'}`,
    [sortedBytes(needs.map(({ needs_id }) => idFromBytes(needs_id))), LIVE_STATES],
  );
  const alive = new Set(live.map(({ id }) => idFromBytes(id)));
  return [...new Set(needs.flatMap(({ job_id, needs_id }) => (alive.has(idFromBytes(needs_id)) ? [idFromBytes(job_id)] : [])))];
}

async function endBroken(tx: Transaction, ledger: Ledger, broken: readonly Broken[]): Promise<Change[]> {
  if (broken.length === 0) return [];
  const now = nowOf(ledger);
  for (const [state, group] of Map.groupBy(broken, (job) => job.state))
    tx.later('UPDATE jobs FORCE INDEX (PRIMARY) SET state = ?, blocked_on = NULL, ended_at = ?, due_at = ? WHERE id IN (?)', [
      state,
      now,
      now,
      sortedBytes(group.map(({ id }) => id)),
    ]);
  await writeReasons(tx, broken);
  const reasons = new Map(broken.map(({ id, reason }) => [id, reason]));
  return (await changesOf(tx, reasons.keys())).map((change) => ({ ...change, reason: reasons.get(change.id) }));
}

/** Writes why jobs ended; a result that they have stays. */
export async function writeReasons(
  tx: Transaction,
  rows: readonly { id: string; code: string; reason?: string | undefined }[],
): Promise<void> {
  if (rows.length === 0) return;
  tx.later('INSERT INTO job_results (job_id, code, reason) VALUES ? ON DUPLICATE KEY UPDATE code = VALUES(code), reason = VALUES(reason)', [
    rows.map(({ id, code, reason }) => [idToBytes(id), code, truncateReason(reason ?? code)]),
  ]);
}

/** The present state of jobs, as changes to announce. */
export async function changesOf(tx: Transaction, ids: Iterable<string>): Promise<Change[]> {
  const keys = sortedBytes(ids);
  if (keys.length === 0) return [];
  const rows = await tx.rows<{ id: Buffer; type: string; symbol: string | null; state: State; attempt: number }>(
    'SELECT id, type, symbol, state, attempt FROM jobs WHERE id IN (?)',
    [keys],
  );
  return rows.map(({ id, ...row }) => ({ ...row, id: idFromBytes(id) }));
}
