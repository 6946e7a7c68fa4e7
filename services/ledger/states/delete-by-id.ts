import type { Transaction } from '../../platform/database/database.ts';

/**
 * Deletes the rows of jobs by key look-ups, whatever the statistics say. With `job_id IN (…)` the server reads a small table as a whole, in spite of a hint, and waits for the rows
 * that other transactions have locked.
 */
export function deleteById(tx: Transaction, table: 'scheduled' | 'blocked' | 'running' | 'ended', rows: readonly { id: Buffer }[]): void {
  if (rows.length > 0)
    tx.later(
      `DELETE t FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) CHARACTER SET ascii PATH '$')) k
        STRAIGHT_JOIN ${table} t FORCE INDEX (PRIMARY) ON t.job_id = UNHEX(k.id)`,
      [JSON.stringify(rows.map(({ id }) => id.toString('hex')).sort())],
    );
}
