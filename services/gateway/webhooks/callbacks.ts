/** Webhooks in the database: committed with the request, due when the job has ended, tried again until they are delivered or given up. */
import type { EnqueueAnswer } from '../../ledger/enqueue/enqueue.ts';
import { idFromBytes, idToBytes, newJobId, sortedBytes } from '../../ledger/id.ts';
import { isLive } from '../../ledger/job.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { RefusedError } from '../http/problems.ts';

/** The job may have ended by then, so that the next request is for another one. */
const FULL_RETRY_SECONDS = 10;

/** The key that asks, and how many callbacks of one job it may ask for. */
export interface CallbackAsker {
  keyId: string;
  most: number;
}

/**
 * Stores the address that is called when each job has ended, and for which user. The same job, key and address twice is stored once. Errors:
 * `RefusedError('quota.callbacks')`.
 */
export async function insertCallbacks(
  tx: Transaction,
  wanted: readonly { answer: EnqueueAnswer; url: string; user: string | undefined }[],
  { keyId, most }: CallbackAsker,
  now: Date,
): Promise<void> {
  await refuseTooMany(tx, wanted, { keyId, most });
  const rows = wanted.flatMap(({ answer, url, user }) => {
    if (answer.outcome === 'refused') return [];
    // One that joined a completed job is due at once.
    const state = isLive(answer.state) ? 'waiting' : 'pending';
    return [[idToBytes(newJobId(now.getTime())), idToBytes(answer.id), keyId, url, user ?? null, state, now, now]];
  });
  if (rows.length > 0)
    await tx.run('INSERT IGNORE INTO callbacks (id, job_id, key_id, url, user_id, state, due_at, created_at) VALUES ?', [rows]);
}

async function refuseTooMany(
  tx: Transaction,
  wanted: readonly { answer: EnqueueAnswer; url: string }[],
  { keyId, most }: CallbackAsker,
): Promise<void> {
  const urls = new Map<string, Set<string>>();
  const joined = new Set<string>();
  for (const { answer, url } of wanted) {
    if (answer.outcome === 'refused') continue;
    urls.getOrInsertComputed(answer.id, () => new Set()).add(url);
    if (answer.outcome === 'joined') joined.add(answer.id);
  }
  // A new job has none yet.
  if (joined.size > 0) {
    const rows = await tx.rows<{ job_id: Buffer; url: string }>(
      'SELECT job_id, url FROM callbacks FORCE INDEX (ux_job) WHERE job_id IN (?) AND key_id = ?',
      [sortedBytes(joined), keyId],
    );
    for (const { job_id, url } of rows) urls.get(idFromBytes(job_id))?.add(url);
  }
  const [full] = [...urls].find(([, known]) => known.size > most) ?? [];
  if (full === undefined) return;
  const quota = 'gateway.quotas.callbacks_per_job';
  throw new RefusedError(
    429,
    'quota.callbacks',
    `job ${full} has ${most} callbacks of this key already (${quota}); none of this request was taken`,
    {
      retryAfterSeconds: FULL_RETRY_SECONDS,
      quota,
    },
  );
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
  return sql.rows(
    `SELECT url, IF(state = 'waiting', 'pending', state) AS state, attempts, due_at, last_status, last_error FROM callbacks WHERE job_id = ? ${limits} ORDER BY id`,
    [idToBytes(jobId), ...params],
  );
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
  await tx.run(`DELETE FROM callbacks WHERE job_id = ? AND state IN ('waiting', 'pending') AND ${OWN}`, [
    idToBytes(jobId),
    of.keyId,
    usersOf(of),
  ]);
}

/** Whether anybody else is to be called when one of the jobs has ended. By ux_job. */
export async function othersCalled(tx: Transaction, jobIds: readonly Buffer[], of: CallbackOwner): Promise<boolean> {
  const [other] = await tx.rows(
    "SELECT 1 FROM callbacks WHERE job_id IN (?) AND state IN ('waiting', 'pending') AND key_id <> ? AND (user_id IS NULL OR user_id NOT IN (?)) LIMIT 1",
    [jobIds, of.keyId, usersOf(of)],
  );
  return other !== undefined;
}
