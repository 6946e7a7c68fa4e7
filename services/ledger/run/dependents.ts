/** What a transition changes for other jobs, in its transaction: the slots of users become free, and the dependents of ended jobs become ready or end with them. */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes, sortedBytes } from '../id.ts';
import { type Change, isDone, isLive, type Ledger } from '../job.ts';
import { move, type Next } from '../states/move.ts';
import { idOf, lockJobs, readJobs, type Standing } from '../states/standing.ts';
import { offerFreeSlots, releaseSlots } from './slots.ts';
import { tellEnded } from './tell-ended.ts';

/** Moves locked jobs to other states, and other jobs because of them. Returns all changes, those of the rows first. */
export async function transition<Row extends Standing>(
  tx: Transaction,
  ledger: Ledger,
  rows: readonly Row[],
  nextOf: (row: Row) => Next,
): Promise<Change[]> {
  if (rows.length === 0) return [];
  const changes = await move(tx, ledger, rows, nextOf);
  const ended = changes.filter(({ state }) => !isLive(state));
  tellEnded(tx, ledger, ended);
  const stopped = rows.filter(({ has_user }) => has_user === 1);
  const freed = await releaseSlots(tx, ledger, stopped.map(idOf));
  const unused = rows.filter(({ state, blocked_on }) => state === 'ready' && blocked_on === 'slot');
  const offered = await offerFreeSlots(tx, ledger, unused.map(idOf), { claimed: false });
  const needed = new Set(rows.flatMap((row) => (row.has_dependents === 1 ? [idOf(row)] : [])));
  const nexts = await nextOfDependents(
    tx,
    ledger,
    ended.filter(({ id }) => needed.has(id)),
  );
  const others = await transition(tx, ledger, [...nexts.keys()], (row) => nexts.get(row) as Next);
  return [...changes, ...freed, ...offered, ...others];
}

/**
 * Where the dependents of ended jobs go. Those whose dependencies are all completed (or have ended, for parts and where their type allows that) become ready. Those with a
 * dependency that failed end. A scheduled one is checked when its time comes.
 */
async function nextOfDependents(tx: Transaction, ledger: Ledger, ended: readonly Change[]): Promise<Map<Standing, Next>> {
  if (ended.length === 0) return new Map();
  const needs = await tx.rows<{ job_id: Buffer; needs_id: Buffer; is_part: number }>(
    'SELECT job_id, needs_id, is_part FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?)',
    [sortedBytes(ended.map(({ id }) => id))],
  );
  // Locked: when two transactions each end one of a job's last two dependencies, the second must see the change of the first.
  const rows = await lockJobs(tx, new Set(needs.map(({ job_id }) => idFromBytes(job_id))));
  const rowOf = new Map(rows.map((row) => [idOf(row), row]));
  const endOf = new Map(ended.map((one) => [one.id, one]));
  const nexts = new Map<Standing, Next>();
  for (const { job_id, needs_id, is_part } of needs) {
    const row = rowOf.get(idFromBytes(job_id));
    const isBlocked = row?.state === 'blocked' && row.blocked_on === 'dependency';
    if (row === undefined || (row.state !== 'scheduled' && !isBlocked)) continue;
    const { id, state, reason } = endOf.get(idFromBytes(needs_id)) as Change;
    // A type of another deployment's newer version has no rules here.
    if (isDone(state) || is_part === 1 || ledger.types[row.type]?.needsMayFail === true) {
      if (isBlocked && !nexts.has(row)) nexts.set(row, { state: 'ready' });
    } else {
      const why = `needs job ${id}, which ended as ${state}${reason ? `: ${reason}` : ''}`;
      nexts.set(row, { state: state === 'cancelled' ? 'cancelled' : 'failed', code: 'job.dependency', reason: why });
    }
  }
  const met = [...nexts.keys()].filter((row) => nexts.get(row)?.state === 'ready');
  // Not locked: a transaction that ends another dependency now waits for the rows locked above, and checks again after this commit.
  const open = await withLiveNeeds(tx, met.map(idOf));
  for (const row of met) if (open.has(idOf(row))) nexts.delete(row);
  return nexts;
}

/**
 * The jobs among `ids` that depend on a live job, or on one of `live`; the transaction must have locked the rows of all `ids`. `locked`: waits for transactions that end a
 * dependency at this moment. A transaction that makes a job blocked needs it, because the other one may already have looked for dependents.
 */
export async function withLiveNeeds(
  tx: Transaction,
  ids: Iterable<string>,
  { locked = false, live = [] }: { locked?: boolean; live?: readonly string[] } = {},
): Promise<Set<string>> {
  const keys = sortedBytes(ids);
  if (keys.length === 0) return new Set();
  // The dependencies of a job change only under the lock of its own row.
  const needs = await tx.rows<{ job_id: Buffer; needs_id: Buffer }>('SELECT job_id, needs_id FROM job_dependencies WHERE job_id IN (?)', [
    keys,
  ]);
  const needed = needs.map(({ needs_id }) => idFromBytes(needs_id));
  const found = await (locked ? lockJobs(tx, needed) : readJobs(tx, needed));
  const alive = new Set([...live, ...found.flatMap((row) => (isLive(row.state) ? [idOf(row)] : []))]);
  return new Set(needs.flatMap(({ job_id, needs_id }) => (alive.has(idFromBytes(needs_id)) ? [idFromBytes(job_id)] : [])));
}
