/** Which callbacks are due. One waits until its job has ended, and is then one of its lane: the due callbacks of a key to a receiver, in the order of their times. */
import { idFromBytes, sortedBytes } from '../../ledger/id.ts';
import { after } from '../../ledger/job.ts';
import { type Database, fromJson, type Sql } from '../../platform/database/database.ts';
import type { Lane } from './lanes.ts';
import { type Secrets, secretsOf } from './webhook-secrets.ts';

export interface DueCallback extends Lane {
  id: string;
  jobId: string;
  url: string;
  /** The number of this attempt, from 1. */
  attempt: number;
  /** They sign the delivery: the present one first. */
  secrets: Buffer[];
  /** The scopes of the key, and the user that the request named. They say what may be sent. */
  scopes: string[];
  user: string | null;
}

/** Most lanes of one look, and of one key in it. */
export const MOST_LANES = 100;
/** Waiting callbacks whose jobs are looked at in one go. */
export const MOST_SWEPT = 2_000;

/** Makes the callbacks of jobs due that have ended, as their messages say. By ux_job. */
export async function makeDue(sql: Sql, jobIds: readonly string[], now: Date): Promise<void> {
  const found = await sql.rows<{ id: Buffer }>("SELECT id FROM callbacks FORCE INDEX (ux_job) WHERE job_id IN (?) AND state = 'waiting'", [
    sortedBytes(jobIds),
  ]);
  await release(sql, found, now);
}

async function release(sql: Sql, rows: readonly { id: Buffer }[], now: Date): Promise<void> {
  if (rows.length === 0) return;
  const ids = rows.map(({ id }) => id).sort(Buffer.compare);
  await sql.run("UPDATE callbacks FORCE INDEX (PRIMARY) SET state = 'pending', due_at = ? WHERE id IN (?) AND state = 'waiting'", [
    now,
    ids,
  ]);
}

/** Where a sweep goes on. */
export interface Place {
  at: Date;
  id: Buffer;
}

/** The same for jobs whose message was lost, or that were deleted: looks at the next `MOST_SWEPT` waiting callbacks, in the order of ix_due. Undefined after the last one. */
export async function sweepWaiting(sql: Sql, from: Place | undefined, now: Date): Promise<Place | undefined> {
  const rows = await sql.rows<{ id: Buffer; due_at: Date; ended: number }>(
    `SELECT c.id, c.due_at, j.id IS NULL OR e.job_id IS NOT NULL AS ended
       FROM (SELECT id, job_id, due_at FROM callbacks FORCE INDEX (ix_due)
              WHERE state = 'waiting' AND due_at >= ? AND (due_at > ? OR id > ?) ORDER BY due_at, id LIMIT ${MOST_SWEPT}) c
       LEFT JOIN jobs j ON j.id = c.job_id LEFT JOIN ended e ON e.job_id = c.job_id ORDER BY c.due_at, c.id`,
    [...(from === undefined ? [new Date(0), new Date(0), Buffer.alloc(16)] : [from.at, from.at, from.id])],
  );
  await release(
    sql,
    rows.filter(({ ended }) => ended === 1),
    now,
  );
  const last = rows.at(-1);
  return rows.length < MOST_SWEPT || last === undefined ? undefined : { at: last.due_at, id: last.id };
}

/**
 * Lanes with due callbacks, but those of `full`: first the oldest of each key, then the second ones, so that a key with many receivers does not go before the others.
 * Walks the pending part of ix_lane, and no rows: some 0.5 ms for 1,000 callbacks.
 */
export async function dueLanes(sql: Sql, now: Date, full: { hosts: readonly string[]; keys: readonly string[] }): Promise<Lane[]> {
  const rows = await sql.rows<{ key_id: string; host: string }>(
    `SELECT key_id, host
       FROM (SELECT key_id, host, due_at, ROW_NUMBER() OVER (PARTITION BY key_id ORDER BY due_at) AS turn
               FROM (SELECT host, key_id, MIN(due_at) AS due_at FROM callbacks FORCE INDEX (ix_lane) WHERE state = 'pending' GROUP BY host, key_id) oldest
              WHERE due_at <= ? AND host NOT IN (?) AND key_id NOT IN (?)) lanes
      WHERE turn <= ${MOST_LANES} ORDER BY turn, due_at LIMIT ${MOST_LANES}`,
    [now, ['', ...full.hosts], ['', ...full.keys]],
  );
  return rows.map(({ key_id, host }) => ({ keyId: key_id, host }));
}

/** Takes the first due callbacks of each lane. No other gateway gets them within `leaseSeconds`. One whose job runs again waits for its next end. Walks each lane in order. */
export async function takeDue(
  db: Database,
  now: Date,
  leaseSeconds: number,
  lanes: readonly (Lane & { most: number })[],
): Promise<DueCallback[]> {
  if (lanes.length === 0) return [];
  const first =
    "(SELECT id, job_id FROM callbacks FORCE INDEX (ix_lane) WHERE state = 'pending' AND host = ? AND key_id = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?)";
  // Found without locks, since a locking read would lock the jobs too; then locked by primary key.
  const found = await db.rows<{ id: Buffer; ended: number }>(
    `SELECT c.id, j.id IS NULL OR e.job_id IS NOT NULL AS ended FROM (${lanes.map(() => first).join(' UNION ALL ')}) c LEFT JOIN jobs j ON j.id = c.job_id LEFT JOIN ended e ON e.job_id = c.job_id`,
    [...lanes.flatMap(({ keyId, host, most }) => [host, keyId, now, most])],
  );
  const [ended, live] = [1, 0].map((value) => found.filter((row) => row.ended === value).map(({ id }) => id));
  if (live !== undefined && live.length > 0)
    await db.run("UPDATE callbacks FORCE INDEX (PRIMARY) SET state = 'waiting' WHERE id IN (?) AND state = 'pending' AND due_at <= ?", [
      live.sort(Buffer.compare),
      now,
    ]);
  return ended === undefined || ended.length === 0 ? [] : lease(db, ended.sort(Buffer.compare), now, leaseSeconds);
}

interface Row {
  id: Buffer;
  job_id: Buffer;
  key_id: string;
  host: string;
  url: string;
  user_id: string | null;
  attempts: number;
}

function lease(db: Database, found: readonly Buffer[], now: Date, leaseSeconds: number): Promise<DueCallback[]> {
  return db.transaction(async (tx) => {
    const rows = await tx.rows<Row>(
      `SELECT id, job_id, key_id, host, url, user_id, attempts FROM callbacks FORCE INDEX (PRIMARY)
        WHERE id IN (?) AND state = 'pending' AND due_at <= ? ORDER BY due_at, id FOR UPDATE SKIP LOCKED`,
      [found, now],
    );
    if (rows.length === 0) return [];
    await tx.run('UPDATE callbacks FORCE INDEX (PRIMARY) SET attempts = attempts + 1, due_at = ? WHERE id IN (?)', [
      after(now, leaseSeconds),
      rows.map(({ id }) => id).sort(Buffer.compare),
    ]);
    const keyIds = [...new Set(rows.map(({ key_id }) => key_id))];
    const keys = await tx.rows<Secrets & { id: string; scopes: unknown }>(
      `SELECT k.id, k.scopes, k.hash, s.secret, s.old_secret, s.old_until
         FROM api_keys k LEFT JOIN webhook_secrets s ON s.key_id = k.id WHERE k.id IN (?)`,
      [keyIds],
    );
    const keyOf = new Map(keys.map((key) => [key.id, key]));
    return rows.map(({ id, job_id, key_id, host, url, user_id, attempts }) => {
      const key = keyOf.get(key_id) as (typeof keys)[number];
      return {
        ...{ id: idFromBytes(id), jobId: idFromBytes(job_id), keyId: key_id, host, url, attempt: attempts + 1 },
        ...{ secrets: secretsOf(key, now), scopes: fromJson(key.scopes) as string[], user: user_id },
      };
    });
  });
}

/**
 * Of receivers whose circuit is open: says with each callback why it waits, and gives up those that have waited for longer than all their tries would have taken, so
 * that none waits for ever. Some hundreds a call. Walks ix_lane.
 */
export async function explainWaiting(sql: Sql, hosts: readonly string[], now: Date, longestSeconds: number): Promise<void> {
  if (hosts.length === 0) return;
  await sql.run(
    `UPDATE callbacks FORCE INDEX (ix_lane) SET state = 'failed', due_at = ?, last_error = CONCAT('given up: ', host, ' did not answer for as long as all tries would have taken (callback.receiver_away)')
      WHERE state = 'pending' AND host IN (?) AND due_at < ? LIMIT 500`,
    [now, hosts, after(now, -longestSeconds)],
  );
  await sql.run(
    `UPDATE callbacks FORCE INDEX (ix_lane) SET last_error = CONCAT('waits: ', host, ' has failed several times in a row and is tried again from time to time (callback.receiver_away)')
      WHERE state = 'pending' AND host IN (?) AND due_at <= ? AND last_error IS NULL LIMIT 500`,
    [hosts, now],
  );
}
