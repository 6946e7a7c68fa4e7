/** `idempotency_key`: the same key with the same body is the same job for a day, whatever became of it; with another body it is refused. */
import { createHash } from 'node:crypto';
import { idFromBytes, idToBytes } from '../../ledger/id.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';

const KEPT_MS = 86_400_000;

/** A key of a caller, and what was asked with it. */
export interface IdempotentRequest {
  name: string;
  /** Its row in `dedupe_windows`, and that of the body. */
  keyRow: string;
  bodyRow: string;
}

export function idempotentRequest(callerId: string, name: string, body: unknown): IdempotentRequest {
  const keyRow = `idempotency:${callerId}:${digest(name)}`;
  return { name, keyRow, bodyRow: `${keyRow}:${digest(JSON.stringify(body))}` };
}

/** The job that the key stands for; undefined for a new one. Errors: `InputError('request.idempotency_conflict')`. */
export async function jobOfKey(sql: Sql, { name, keyRow, bodyRow }: IdempotentRequest, now: Date): Promise<string | undefined> {
  const rows = await sql.rows<{ dedupe_key: string; job_id: Buffer }>(
    'SELECT w.dedupe_key, w.job_id FROM dedupe_windows w JOIN jobs j ON j.id = w.job_id WHERE w.dedupe_key IN (?, ?) AND w.until > ?',
    [keyRow, bodyRow, now],
  );
  if (rows.length === 0) return undefined;
  const same = rows.find(({ dedupe_key }) => dedupe_key === bodyRow);
  if (same === undefined) throw conflict(name);
  return idFromBytes(same.job_id);
}

/** Keeps the job of a key, in the transaction of the job. Errors: `InputError('request.idempotency_conflict')` when another request came first. */
export async function keepKey(tx: Transaction, { name, keyRow, bodyRow }: IdempotentRequest, jobId: string, now: Date): Promise<void> {
  const id = idToBytes(jobId);
  const until = new Date(now.getTime() + KEPT_MS);
  // Assignments run from left to right: `until` is the last.
  await tx.run(
    `INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES ?
     ON DUPLICATE KEY UPDATE job_id = IF(until <= ?, VALUES(job_id), job_id), until = IF(until <= ?, VALUES(until), until)`,
    [
      [
        [keyRow, id, until],
        [bodyRow, id, until],
      ],
      now,
      now,
    ],
  );
  const [kept] = await tx.rows<{ job_id: Buffer }>('SELECT job_id FROM dedupe_windows WHERE dedupe_key = ?', [keyRow]);
  if (kept === undefined || !kept.job_id.equals(id)) throw conflict(name);
}

function conflict(name: string): InputError {
  return new InputError(
    'request.idempotency_conflict',
    `idempotency_key ${JSON.stringify(name)} was sent with another request within the last day; take a new key for this one`,
  );
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');
