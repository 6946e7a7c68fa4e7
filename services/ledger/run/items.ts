/** The item ledger: a job of many items has one row an item. So progress is a count of rows, a crash resumes where it was, and "retry the failed ones" is one call. */
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { idToBytes, sortedBytes } from '../id.ts';
import { type Ledger, nowOf } from '../job.ts';
import { partsOf } from '../parts.ts';
import { truncateReason } from '../states/ended.ts';

export const ITEM_STATES = ['pending', 'done', 'skipped', 'no_data', 'failed', 'not_entitled', 'not_yet'] as const;
export type ItemState = (typeof ITEM_STATES)[number];

export interface ItemResult {
  key: string;
  state: Exclude<ItemState, 'pending'>;
  rows?: number | undefined;
  bytes?: number | undefined;
  reason?: string | undefined;
}

export interface Item {
  key: string;
  state: ItemState;
  attempts: number;
  rows: number | null;
  bytes: number | null;
  reason: string | null;
}

/** Counts by state, and `total`. */
export type ItemCounts = Record<ItemState | 'total', number>;

/** Inserts the rows of a job's items; existing rows (of an earlier attempt) stay as they are. Returns the keys that are still pending. */
export async function openItems(ledger: Ledger, jobId: string, keys: readonly string[]): Promise<string[]> {
  const id = idToBytes(jobId);
  const now = nowOf(ledger);
  if (keys.length > 0)
    await ledger.db.run('INSERT IGNORE INTO job_items (job_id, item_key, updated_at) VALUES ?', [keys.map((key) => [id, key, now])]);
  const rows = await ledger.db.rows<{ item_key: string }>(
    "SELECT item_key FROM job_items WHERE job_id = ? AND state = 'pending' ORDER BY item_key",
    [id],
  );
  return rows.map(({ item_key }) => item_key);
}

// Assignments run from left to right: `state` is the last.
const UNLESS_DONE = ['row_count', 'byte_count', 'reason', 'updated_at'] as const;

/** Records the results of items in the transaction that writes their rows. An item that is done is never changed again. */
export async function recordItems(tx: Transaction, ledger: Ledger, jobId: string, items: readonly ItemResult[]): Promise<void> {
  if (items.length === 0) return;
  const id = idToBytes(jobId);
  const now = nowOf(ledger);
  await tx.run(
    `INSERT INTO job_items (job_id, item_key, state, attempts, row_count, byte_count, reason, updated_at) VALUES ?
     ON DUPLICATE KEY UPDATE ${UNLESS_DONE.map((column) => `${column} = IF(state = 'done', ${column}, VALUES(${column}))`).join(', ')},
       attempts = attempts + IF(state = 'done', 0, 1), state = IF(state = 'done', state, VALUES(state))`,
    [
      items.map(({ key, state, rows = null, bytes = null, reason = null }) => [
        id,
        key,
        state,
        1,
        rows,
        bytes,
        truncateReason(reason),
        now,
      ]),
    ],
  );
}

/** Counts of the items of one job, or of several together: those of a job and its parts (`partsOf`). */
export async function countItems(sql: Sql, ...jobIds: readonly string[]): Promise<ItemCounts> {
  const rows = await sql.rows<{ state: ItemState; items: number }>(
    'SELECT state, COUNT(*) AS items FROM job_items FORCE INDEX (ix_state) WHERE job_id IN (?) GROUP BY state',
    [sortedBytes(jobIds)],
  );
  const counts: ItemCounts = { pending: 0, done: 0, skipped: 0, no_data: 0, failed: 0, not_entitled: 0, not_yet: 0, total: 0 };
  for (const { state, items } of rows) {
    counts[state] = items;
    counts.total += items;
  }
  return counts;
}

/** When one of the items of jobs last changed; null without any. Walks the primary key of these jobs. */
export async function itemsChangedAt(sql: Sql, ...jobIds: readonly string[]): Promise<Date | null> {
  const [row] = await sql.rows<{ changed: Date | null }>(
    'SELECT MAX(updated_at) AS changed FROM job_items FORCE INDEX (PRIMARY) WHERE job_id IN (?)',
    [sortedBytes(jobIds)],
  );
  return row?.changed ?? null;
}

/** What the finished items of jobs hold together. */
export async function sumItems(sql: Sql, ...jobIds: readonly string[]): Promise<{ rows: number; bytes: number }> {
  const [sum] = await sql.rows<{ row_sum: string | number | null; byte_sum: string | number | null }>(
    'SELECT SUM(row_count) AS row_sum, SUM(byte_count) AS byte_sum FROM job_items FORCE INDEX (PRIMARY) WHERE job_id IN (?)',
    [sortedBytes(jobIds)],
  );
  return { rows: Number(sum?.row_sum ?? 0), bytes: Number(sum?.byte_sum ?? 0) };
}

/** A page of the items of a job and its parts in the order of their keys, `after` a key. Walks the primary key, or `ix_state`, of each of these jobs. */
export async function listItems(
  sql: Sql,
  jobId: string,
  { state, after = '', limit }: { state?: ItemState | undefined; after?: string | undefined; limit: number },
): Promise<Item[]> {
  const select = `(SELECT item_key AS \`key\`, state, attempts, row_count AS \`rows\`, byte_count AS bytes, reason FROM job_items
      WHERE job_id = ? AND item_key > ? ${state === undefined ? '' : 'AND state = ?'} ORDER BY item_key LIMIT ?)`;
  const ids = [jobId, ...(await partsOf(sql, jobId))];
  const params = ids.flatMap((id) => [idToBytes(id), after, ...(state === undefined ? [] : [state]), limit]);
  if (ids.length === 1) return sql.rows<Item>(select, params);
  return sql.rows<Item>(`${ids.map(() => select).join(' UNION ALL ')} ORDER BY \`key\` LIMIT ?`, [...params, limit]);
}
