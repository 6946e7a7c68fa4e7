/** Webhooks in the database: committed with the request, due when the job has ended, tried again until they are delivered or given up. */
import type { EnqueueAnswer } from '../../ledger/enqueue/enqueue.ts';
import { idFromBytes, idToBytes, newJobId } from '../../ledger/id.ts';
import { after } from '../../ledger/job.ts';
import type { Database, Sql, Transaction } from '../../platform/database/database.ts';
import { END_STATES } from '../../platform/job-states.ts';

export interface DueCallback {
  id: string;
  jobId: string;
  url: string;
  /** The number of this attempt, from 1. */
  attempt: number;
  /** The SHA-256 of the caller's key: it signs the delivery. */
  secret: Buffer;
}

/** Most rows of one look. */
export const MOST_DUE = 50;

/** Stores the address that is called when each job has ended. The same job, key and address twice is stored once. */
export async function insertCallbacks(
  tx: Transaction,
  wanted: readonly { answer: EnqueueAnswer; url: string }[],
  keyId: string,
  now: Date,
): Promise<void> {
  const rows = wanted.flatMap(({ answer, url }) =>
    answer.outcome === 'refused' ? [] : [[idToBytes(newJobId(now.getTime())), idToBytes(answer.id), keyId, url, now, now]],
  );
  if (rows.length > 0) await tx.run('INSERT IGNORE INTO callbacks (id, job_id, key_id, url, due_at, created_at) VALUES ?', [rows]);
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
    const rows = await tx.rows<{ id: Buffer; job_id: Buffer; url: string; attempts: number }>(
      `SELECT id, job_id, url, attempts FROM callbacks FORCE INDEX (PRIMARY) WHERE id IN (?) AND state = 'pending' AND due_at <= ? ORDER BY id FOR UPDATE SKIP LOCKED`,
      [found.map(({ id }) => id).sort(Buffer.compare), now],
    );
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    await tx.run('UPDATE callbacks FORCE INDEX (PRIMARY) SET attempts = attempts + 1, due_at = ? WHERE id IN (?)', [
      after(now, leaseSeconds),
      ids,
    ]);
    const secrets = await tx.rows<{ id: Buffer; hash: Buffer }>(
      'SELECT c.id, k.hash FROM callbacks c JOIN api_keys k ON k.id = c.key_id WHERE c.id IN (?)',
      [ids],
    );
    const secretOf = new Map(secrets.map(({ id, hash }) => [id.toString('hex'), hash]));
    return rows.map(({ id, job_id, url, attempts }) => ({
      id: idFromBytes(id),
      jobId: idFromBytes(job_id),
      url,
      attempt: attempts + 1,
      secret: secretOf.get(id.toString('hex')) as Buffer,
    }));
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

/** The callbacks of one job, by ux_job. */
export function callbacksOf(sql: Sql, jobId: string): Promise<CallbackState[]> {
  return sql.rows('SELECT url, state, attempts, due_at, last_status, last_error FROM callbacks WHERE job_id = ? ORDER BY id', [
    idToBytes(jobId),
  ]);
}
