/** What the end of a job changes for other jobs, in the transaction that ends it: its user's slot becomes free, and its dependents become ready or end with it. */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes, sortedBytes } from '../id.ts';
import { type Change, type EndState, isDone, isLive, type Ledger, nowOf, placeOf } from '../job.ts';
import { enterEnded } from '../states/ended.ts';
import { enterReady } from '../states/ready.ts';
import { idOf, leave, lockJobs, readJobs, type Standing } from '../states/standing.ts';
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
  row: Standing;
  reason: string;
}

/** Splits the dependents of ended jobs into those whose dependencies are all completed (or have ended, for parts and where their type allows that), which become ready, and those with a dependency that failed. A scheduled one is checked when its time comes. */
async function dependentsOf(tx: Transaction, ledger: Ledger, ended: readonly Ended[]): Promise<{ met: string[]; broken: Broken[] }> {
  const needs = await tx.rows<{ job_id: Buffer; needs_id: Buffer; is_part: number }>(
    'SELECT job_id, needs_id, is_part FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?)',
    [sortedBytes(ended.map(({ id }) => id))],
  );
  // Locked: when two transactions each end one of a job's last two dependencies, the second must see the change of the first.
  const rows = await lockJobs(tx, new Set(needs.map(({ job_id }) => idFromBytes(job_id))));
  const waiting = new Map(
    rows.flatMap((row) =>
      row.state === 'scheduled' || (row.state === 'blocked' && row.blocked_on === 'dependency') ? [[idOf(row), row]] : [],
    ),
  );
  const byId = new Map(ended.map((job) => [job.id, job]));
  const broken = new Map<string, Broken>();
  const open = new Map<string, Standing>();
  for (const { job_id, needs_id, is_part } of needs) {
    const id = idFromBytes(job_id);
    const row = waiting.get(id);
    if (row === undefined) continue;
    const need = byId.get(idFromBytes(needs_id)) as Ended;
    // A type of another deployment's newer version has no rules here.
    if (!isDone(need.state) && is_part === 0 && ledger.types[row.type]?.needsMayFail !== true) {
      const reason = `needs job ${need.id}, which ended as ${need.state}${need.reason ? `: ${need.reason}` : ''}`;
      broken.set(id, {
        row,
        id,
        type: row.type,
        symbol: row.symbol,
        state: need.state === 'cancelled' ? 'cancelled' : 'failed',
        reason,
        hasDependents: row.has_dependents === 1,
      });
    } else if (row.state === 'blocked') open.set(id, row);
  }
  for (const id of broken.keys()) open.delete(id);
  // Not locked: a transaction that ends another dependency now waits for the rows locked above, and checks again after this commit.
  for (const id of await withLiveNeeds(tx, open.keys())) open.delete(id);
  const met = [...open.values()];
  leave(tx, met);
  enterReady(
    tx,
    met.map((row) => ({ ...row, blocked_on: null })),
  );
  return { met: [...open.keys()], broken: [...broken.values()] };
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
  const needed = needs.map(({ needs_id }) => idFromBytes(needs_id));
  const found = await (locked === undefined ? readJobs(tx, needed) : lockJobs(tx, needed));
  const alive = new Set(found.flatMap((row) => (isLive(row.state) ? [idOf(row)] : [])));
  return [...new Set(needs.flatMap(({ job_id, needs_id }) => (alive.has(idFromBytes(needs_id)) ? [idFromBytes(job_id)] : [])))];
}

async function endBroken(tx: Transaction, ledger: Ledger, broken: readonly Broken[]): Promise<Change[]> {
  leave(
    tx,
    broken.map(({ row }) => row),
  );
  const ended = broken.map(({ row, state, reason }) => ({ ...row, state, code: 'job.dependency', reason }));
  enterEnded(tx, nowOf(ledger), ended);
  return ended.map((row) => ({ ...changeTo(row), reason: row.reason, code: row.code }));
}

/** The present state of jobs, as changes to announce. */
export async function changesOf(tx: Transaction, ids: Iterable<string>): Promise<Change[]> {
  return (await readJobs(tx, ids)).map(changeTo);
}

const changeTo = (row: Standing): Change => ({
  id: idOf(row),
  type: row.type,
  symbol: row.symbol,
  attempt: row.attempt,
  state: row.state,
  place: placeOf(row),
});
