/** Webhooks in the database: committed with the request, due when the job has ended, tried again until they are delivered or given up. */
import type { EnqueueAnswer } from '../../ledger/enqueue/enqueue.ts';
import { idFromBytes, idToBytes, newJobId } from '../../ledger/id.ts';
import { after } from '../../ledger/job.ts';
import { type Database, fromJson, type Sql, type Transaction } from '../../platform/database/database.ts';
import { END_STATES } from '../../platform/job-states.ts';

export interface DueCallback {
  id: string;
  jobId: string;
  url: string;
  /** The number of this attempt, from 1. */
  attempt: number;
  /** The SHA-256 of the caller's key: it signs the delivery. */
  secret: Buffer;
  /** The scopes of that key, and the user that the request named. They say what may be sent. */
  scopes: string[];
  user: string | null;
}

/** Most rows of one look. */
export const MOST_DUE = 50;

/** Stores the address that is called when each job has ended, and for which user. The same job, key and address twice is stored once. */
export async function insertCallbacks(
  tx: Transaction,
  wanted: readonly { answer: EnqueueAnswer; url: string; user: string | undefined }[],
  keyId: string,
  now: Date,
): Promise<void> {
  const rows = wanted.flatMap(({ answer, url, user }) =>
    answer.outcome === 'refused' ? [] : [[idToBytes(newJobId(now.getTime())), idToBytes(answer.id), keyId, url, user ?? null, now, now]],
  );
  if (rows.length > 0) await tx.run('INSERT IGNORE INTO callbacks (id, job_id, key_id, url, user_id, due_at, created_at) VALUES ?', [rows]);
}

/** Takes due callbacks whose jobs have ended (or were deleted). No other gateway gets them within `leaseSeconds`. Walks ix_due. */
export async function takeDue(db: Database, now: Date, leaseSeconds: number): Promise<DueCallback[]> {
  // Found without locks, since a locking read would lock the jobs too; then locked by primary key.
  const found = await db.rows<{ id: Buffer }>(
    `SELECT c.id FROM callbacks c FORCE INDEX (ix_due) LEFT JOIN jobs j ON j.id = c.job_id
      WHERE c.state = 'pending' AND c.due_at <= ? AND (j.id IS NULL OR j.state IN (?))
      ORDER BY c.due_at, c.id LIMIT ${MOST_DUE}`,
    [now, END_STATES],
  );
  if (found.length === 0) return [];
  return db.transaction(async (tx) => {
    const rows = await tx.rows<{ id: Buffer; job_id: Buffer; url: string; user_id: string | null; attempts: number }>(
      `SELECT id, job_id, url, user_id, attempts FROM callbacks FORCE INDEX (PRIMARY) WHERE id IN (?) AND state = 'pending' AND due_at <= ? ORDER BY id FOR UPDATE SKIP LOCKED`,
      [found.map(({ id }) => id).sort(Buffer.compare), now],
    );
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    await tx.run('UPDATE callbacks FORCE INDEX (PRIMARY) SET attempts = attempts + 1, due_at = ? WHERE id IN (?)', [
      after(now, leaseSeconds),
      ids,
    ]);
    const keys = await tx.rows<{ id: Buffer; hash: Buffer; scopes: unknown }>(
      'SELECT c.id, k.hash, k.scopes FROM callbacks c JOIN api_keys k ON k.id = c.key_id WHERE c.id IN (?)',
      [ids],
    );
    const keyOf = new Map(keys.map((key) => [key.id.toString('hex'), key]));
    return rows.map(({ id, job_id, url, user_id, attempts }) => {
      const { hash, scopes } = keyOf.get(id.toString('hex')) as (typeof keys)[number];
      return {
        id: idFromBytes(id),
        jobId: idFromBytes(job_id),
        url,
        attempt: attempts + 1,
        secret: hash,
        scopes: fromJson(scopes) as string[],
        user: user_id,
      };
    });
  });
}

export interface CallbackResult {
  state: 'pending' | 'delivered' | 'failed';
  status: number | null;
  error: string | null;
  /** When it is tried again, or when it ended. */
  at: Date;
}

export async function writeResult(sql: Sql, id: string, { state, status, error, at }: CallbackResult): Promise<void> {
  await sql.run('UPDATE callbacks FORCE INDEX (PRIMARY) SET state = ?, last_status = ?, last_error = ?, due_at = ? WHERE id = ?', [
    state,
    status,
    error?.slice(0, 500) ?? null,
    at,
    idToBytes(id),
  ]);
}

/** Deletes ended callbacks that ended before `before`, some hundreds a call. */
export async function deleteOldCallbacks(sql: Sql, before: Date): Promise<void> {
  for (const state of ['delivered', 'failed'])
    await sql.run('DELETE FROM callbacks WHERE state = ? AND due_at < ? ORDER BY due_at, id LIMIT 500', [state, before]);
}

export interface CallbackState {
  url: string;
  state: CallbackResult['state'];
  attempts: number;
  due_at: Date;
  last_status: number | null;
  last_error: string | null;
}

/** The callbacks of one job, by ux_job. `of`: only those of this key or of these users, as `withdrawCallbacks` says. */
export function callbacksOf(sql: Sql, jobId: string, of?: CallbackOwner): Promise<CallbackState[]> {
  const [limits, params] = of === undefined ? ['', []] : [`AND ${OWN}`, [of.keyId, usersOf(of)]];
  return sql.rows(`SELECT url, state, attempts, due_at, last_status, last_error FROM callbacks WHERE job_id = ? ${limits} ORDER BY id`, [
    idToBytes(jobId),
    ...params,
  ]);
}

/** Whose callbacks are meant: those that the key asked for, and those that any key asked for in the name of these users. */
export interface CallbackOwner {
  keyId: string;
  users: readonly string[];
}

const OWN = '(key_id = ? OR user_id IN (?))';
/** An empty list is no SQL. */
const usersOf = ({ users }: CallbackOwner): readonly (string | null)[] => (users.length === 0 ? [null] : users);

/** Deletes the pending callbacks of an owner who does not want the job any more. */
export async function withdrawCallbacks(tx: Transaction, jobId: string, of: CallbackOwner): Promise<void> {
  await tx.run(`DELETE FROM callbacks WHERE job_id = ? AND state = 'pending' AND ${OWN}`, [idToBytes(jobId), of.keyId, usersOf(of)]);
}

/** Whether anybody else is to be called when the job has ended. */
export async function othersCalled(tx: Transaction, jobId: string, of: CallbackOwner): Promise<boolean> {
  const [other] = await tx.rows(
    "SELECT 1 FROM callbacks WHERE job_id = ? AND state = 'pending' AND key_id <> ? AND (user_id IS NULL OR user_id NOT IN (?)) LIMIT 1",
    [idToBytes(jobId), of.keyId, usersOf(of)],
  );
  return other !== undefined;
}
