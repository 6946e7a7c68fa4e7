/**
 * Jobs that do the work of another job, which sums them up (`is_part` in `job_dependencies`). They are cancelled and started again with it, and their items count as
 * items of it. One that ends without completing does not end it. A job may be a part of several others.
 */
import type { Sql, Transaction } from '../platform/database/database.ts';
import { RETRYABLE_ITEM_STATES } from '../platform/job-states.ts';
import { idFromBytes, idToBytes } from './id.ts';
import { type Change, isLive, type State } from './job.ts';
import { idOf, lockJobs, readJobs, type Standing } from './states/standing.ts';

/** The ids of a job's parts, by the primary key. */
export async function partsOf(sql: Sql, id: string): Promise<string[]> {
  return (await selectParts(sql, [idToBytes(id)])).map(idOf);
}

function selectParts(sql: Sql, ids: readonly Buffer[]): Promise<{ id: Buffer }[]> {
  return sql.rows(
    'SELECT DISTINCT needs_id AS id FROM job_dependencies FORCE INDEX (PRIMARY) WHERE job_id IN (?) AND is_part = 1 ORDER BY needs_id',
    [ids],
  );
}

/** Locks and reads the parts of jobs. */
async function lockParts(tx: Transaction, parents: readonly Standing[]): Promise<Standing[]> {
  return lockJobs(tx, await selectParts(tx, parents.map(({ id }) => id).sort(Buffer.compare)));
}

/** Whether `j` is no part of another job. Counted and not `EXISTS`, for which the server reads the whole table of dependencies. */
export const IS_NO_PART =
  '(j.has_dependents = 0 OR (SELECT COUNT(*) FROM job_dependencies d FORCE INDEX (ix_needs) WHERE d.needs_id = j.id AND d.is_part = 1) = 0)';

/** Those of the jobs that are parts of another. Walks ix_needs. */
export async function partsAmong(sql: Sql, ids: readonly Buffer[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await sql.rows<{ needs_id: Buffer }>(
    'SELECT DISTINCT needs_id FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?) AND is_part = 1',
    [ids],
  );
  return new Set(rows.map(({ needs_id }) => idFromBytes(needs_id)));
}

/** A job that waits for its parts. */
export type Parent = Pick<Change, 'id' | 'type' | 'symbol' | 'attempt'>;

/** The jobs that wait for this one as a part of them. Walks ix_needs. */
export async function waitingParents(sql: Sql, id: string): Promise<Parent[]> {
  const rows = await sql.rows<Omit<Parent, 'id'> & { id: Buffer }>(
    `SELECT STRAIGHT_JOIN j.id, j.type, j.symbol, b.attempt
       FROM job_dependencies d FORCE INDEX (ix_needs) JOIN blocked b FORCE INDEX (PRIMARY) ON b.job_id = d.job_id JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = d.job_id
      WHERE d.needs_id = ? AND d.is_part = 1`,
    [idToBytes(id)],
  );
  return rows.map((row) => ({ ...row, id: idFromBytes(row.id) }));
}

/** What became of a part, and why if it did not complete. */
export interface PartState {
  id: string;
  state: State;
  reason: string | null;
}

/** The parts of a job in the order of their ids. */
export async function readParts(sql: Sql, id: string): Promise<PartState[]> {
  const rows = await sql.rows<Omit<PartState, 'id'> & { id: Buffer }>(
    `SELECT p.id, p.state, r.reason FROM job_dependencies d JOIN job_states p ON p.id = d.needs_id LEFT JOIN ended r ON r.job_id = p.id
      WHERE d.job_id = ? AND d.is_part = 1 ORDER BY p.id`,
    [idToBytes(id)],
  );
  return rows.map((row) => ({ ...row, id: idFromBytes(row.id) }));
}

/**
 * Locks and reads the live parts of `parents`, but for those that a live job needs which is not `cancelled` with them. A job that comes to need a part meanwhile waits for this
 * lock, and sees that the part has ended.
 */
export async function lockPartsToCancel(
  tx: Transaction,
  parents: readonly Standing[],
  cancelled: readonly Standing[],
): Promise<Standing[]> {
  const gone = new Set(cancelled.map(idOf));
  const parts = (await lockParts(tx, parents)).filter((row) => isLive(row.state) && !gone.has(idOf(row)));
  if (parts.length === 0) return [];
  const needs = await tx.rows<{ job_id: Buffer; needs_id: Buffer }>(
    'SELECT job_id, needs_id FROM job_dependencies FORCE INDEX (ix_needs) WHERE needs_id IN (?)',
    [parts.map(({ id }) => id)],
  );
  const needing = await readJobs(tx, new Set(needs.map(({ job_id }) => idFromBytes(job_id))));
  const alive = new Set(needing.flatMap((row) => (isLive(row.state) && !gone.has(idOf(row)) ? [idOf(row)] : [])));
  const wanted = new Set(needs.flatMap(({ job_id, needs_id }) => (alive.has(idFromBytes(job_id)) ? [idFromBytes(needs_id)] : [])));
  return parts.filter((row) => !wanted.has(idOf(row)));
}

/** Locks and reads the parts of jobs that have ended and have something left to do: they did not complete, or have items that a retry makes pending. */
export async function lockPartsToRestart(tx: Transaction, parents: readonly Standing[]): Promise<Standing[]> {
  const ended = (await lockParts(tx, parents)).filter(({ state }) => !isLive(state));
  const completed = ended.flatMap(({ id, state }) => (state === 'completed' ? [id] : []));
  if (completed.length === 0) return ended;
  // As a subquery of the statement above the server read the whole index of items.
  const rows = await tx.rows<{ job_id: Buffer }>(
    'SELECT DISTINCT job_id FROM job_items FORCE INDEX (ix_state) WHERE job_id IN (?) AND state IN (?)',
    [completed, RETRYABLE_ITEM_STATES],
  );
  const left = new Set(rows.map(({ job_id }) => idFromBytes(job_id)));
  return ended.filter((row) => row.state !== 'completed' || left.has(idOf(row)));
}
