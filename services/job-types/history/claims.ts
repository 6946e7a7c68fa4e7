/** Who downloads an object at this moment (`history_fetches`): one job at a time. A claim counts while its attempt of its job runs, so nothing must be given back when a worker dies. */
import { idFromBytes, idToBytes } from '../../ledger/id.ts';
import type { Attempt } from '../../ledger/run/complete.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';

export interface Claim {
  key: string;
  job: Attempt;
}

/** Claims an object; false when a running attempt of a job has it. */
export async function takeClaim(sql: Sql, { key, job }: Claim): Promise<boolean> {
  const mine = [idToBytes(job.id), job.attempt];
  const { affectedRows } = await sql.run('INSERT IGNORE INTO history_fetches (object_key, job_id, attempt) VALUES (?)', [[key, ...mine]]);
  if (affectedRows === 1) return true;
  const [holder] = await sql.rows<{ job_id: Buffer; attempt: number; counts: number }>(
    `SELECT f.job_id, f.attempt, COALESCE(n.attempt = f.attempt, 0) AS counts
       FROM history_fetches f LEFT JOIN running n ON n.job_id = f.job_id WHERE f.object_key = ?`,
    [key],
  );
  // It was given back in between: another try inserts it.
  if (holder === undefined) return takeClaim(sql, { key, job });
  if (holder.counts === 1) return false;
  // An attempt that has ended never runs again, so the row changes only if another job has taken it over meanwhile.
  const taken = await sql.run('UPDATE history_fetches SET job_id = ?, attempt = ? WHERE object_key = ? AND job_id = ? AND attempt = ?', [
    ...mine,
    key,
    holder.job_id,
    holder.attempt,
  ]);
  return taken.affectedRows === 1;
}

/** Gives claims back: of objects that are stored, in the transaction that stores them. */
export async function giveBack(sql: Pick<Sql | Transaction, 'run'>, claims: readonly Claim[]): Promise<void> {
  for (const ofAttempt of Map.groupBy(claims, ({ job }) => `${job.id} ${job.attempt}`).values()) {
    const { job } = ofAttempt[0] as Claim;
    const keys = ofAttempt.map(({ key }) => key).sort();
    await sql.run('DELETE FROM history_fetches WHERE object_key IN (?) AND job_id = ? AND attempt = ?', [
      keys,
      idToBytes(job.id),
      job.attempt,
    ]);
  }
}

/** Those of the objects that jobs download now: `job` itself is none of them. */
export async function heldNow(sql: Sql, keys: readonly string[], job?: Pick<Attempt, 'id'>): Promise<Set<string>> {
  const rows = await sql.rows<{ object_key: string }>(
    `SELECT f.object_key FROM history_fetches f JOIN running n ON n.job_id = f.job_id AND n.attempt = f.attempt
      WHERE f.object_key IN (?) ${job === undefined ? '' : 'AND f.job_id <> ?'}`,
    [keys, ...(job === undefined ? [] : [idToBytes(job.id)])],
  );
  return new Set(rows.map(({ object_key }) => object_key));
}

/** Gives back up to `most` claims of attempts that have ended without it, by a cancel or a death: the files of such objects are never pruned. Returns how many there were. */
export async function giveBackLeft(sql: Sql, most: number): Promise<number> {
  const left = await sql.rows<{ object_key: string; job_id: Buffer; attempt: number }>(
    `SELECT f.object_key, f.job_id, f.attempt FROM history_fetches f LEFT JOIN running n ON n.job_id = f.job_id AND n.attempt = f.attempt
      WHERE n.job_id IS NULL LIMIT ?`,
    [most],
  );
  // An attempt that has ended never runs again: a row that another job has taken over meanwhile names that job, and stays.
  await giveBack(
    sql,
    left.map(({ object_key, job_id, attempt }) => ({ key: object_key, job: { id: idFromBytes(job_id), attempt } })),
  );
  return left.length;
}
