/**
 * Jobs that do the work of another job, which sums them up (`is_part` in `job_dependencies`). They are cancelled and started again with it, and their items count as
 * items of it. One that ends without completing does not end it. A job may be a part of several others.
 */
import type { Sql, Transaction } from '../platform/database/database.ts';
import { END_STATES, RETRYABLE_ITEM_STATES } from '../platform/job-states.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import { LIVE_STATES, type State } from './job.ts';

/** The ids of a job's parts, by the primary key. */
export async function partsOf(sql: Sql, id: string): Promise<string[]> {
  return (await partKeys(sql, [idToBytes(id)])).map(idFromBytes);
}

async function partKeys(sql: Sql, ids: readonly Buffer[]): Promise<Buffer[]> {
  const rows = await sql.rows<{ needs_id: Buffer }>(
    'SELECT DISTINCT needs_id FROM job_dependencies FORCE INDEX (PRIMARY) WHERE job_id IN (?) AND is_part = 1 ORDER BY needs_id',
    [ids],
  );
  return rows.map(({ needs_id }) => needs_id);
}

/** A job that waits for its parts. */
export interface Parent {
  id: string;
  type: string;
  symbol: string | null;
  attempt: number;
}

/** The jobs that wait for this one as a part of them. Walks ix_needs. */
export async function waitingParents(sql: Sql, id: string): Promise<Parent[]> {
  const rows = await sql.rows<Omit<Parent, 'id'> & { id: Buffer }>(
    `SELECT STRAIGHT_JOIN j.id, j.type, j.symbol, j.attempt FROM job_dependencies d FORCE INDEX (ix_needs) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = d.job_id
      WHERE d.needs_id = ? AND d.is_part = 1 AND j.state = 'blocked'`,
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
    `SELECT p.id, p.state, r.reason FROM job_dependencies d JOIN jobs p ON p.id = d.needs_id LEFT JOIN job_results r ON r.job_id = p.id
      WHERE d.job_id = ? AND d.is_part = 1 ORDER BY p.id`,
    [idToBytes(id)],
  );
  return rows.map((row) => ({ ...row, id: idFromBytes(row.id) }));
}

/**
 * Locks and reads the live parts of jobs that have been cancelled, but for those that another live job needs. Errors: those of the transaction. A job that comes to need a
 * part meanwhile waits for this lock, and sees that the part has ended.
 */
export async function lockPartsToCancel<Row extends { id: Buffer }>(
  tx: Transaction,
  parents: readonly Buffer[],
  columns: string,
): Promise<Row[]> {
  const parts = await partKeys(tx, parents);
  if (parts.length === 0) return [];
  const live = await tx.rows<Row>(
    `SELECT ${columns} FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state IN (?) ORDER BY id FOR UPDATE`,
    [parts, LIVE_STATES],
  );
  if (live.length === 0) return [];
  const needed = await tx.rows<{ needs_id: Buffer }>(
    `SELECT DISTINCT d.needs_id FROM job_dependencies d FORCE INDEX (ix_needs) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = d.job_id
      WHERE d.needs_id IN (?) AND j.state IN (?)`,
    [live.map(({ id }) => id), LIVE_STATES],
  );
  const wanted = new Set(needed.map(({ needs_id }) => idFromBytes(needs_id)));
  return live.filter(({ id }) => !wanted.has(idFromBytes(id)));
}

/** Locks and reads the parts of jobs that have ended and have something left to do: they did not complete, or have items that a retry makes pending. */
export async function lockPartsToRestart<Row extends { id: Buffer }>(
  tx: Transaction,
  parents: readonly string[],
  columns: string,
): Promise<Row[]> {
  const parts = await partKeys(tx, sortedBytes(parents));
  if (parts.length === 0) return [];
  return tx.rows<Row>(
    `SELECT ${columns} FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state IN (?)
        AND (state <> 'completed' OR EXISTS (SELECT 1 FROM job_items i FORCE INDEX (ix_state) WHERE i.job_id = jobs.id AND i.state IN (?)))
      ORDER BY id FOR UPDATE`,
    [parts, END_STATES, RETRYABLE_ITEM_STATES],
  );
}
