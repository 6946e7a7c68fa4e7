/** Settings that people change while the mesh runs. */
import { fromJson, type Sql } from '../database/database.ts';

export interface AutoFetch {
  /** Whether schedules and pre-fetching start work. Logins and requests do in any case. */
  enabled: boolean;
  changed_by: string | null;
  changed_at: Date | null;
}

const AUTO_FETCH = 'auto_fetch';

/** Whether automatic fetching is on; it is on until a user switches it off. */
export async function readAutoFetch(sql: Sql): Promise<AutoFetch> {
  const [row] = await sql.rows<{ value: unknown; changed_by: string; changed_at: Date }>(
    'SELECT value, changed_by, changed_at FROM settings WHERE name = ?',
    [AUTO_FETCH],
  );
  if (row === undefined) return { enabled: true, changed_by: null, changed_at: null };
  return { enabled: fromJson(row.value) !== false, changed_by: row.changed_by, changed_at: row.changed_at };
}

export async function switchAutoFetch(sql: Sql, enabled: boolean, by: string, now: Date): Promise<void> {
  await sql.run(
    `INSERT INTO settings (name, value, changed_by, changed_at) VALUES (?)
     ON DUPLICATE KEY UPDATE value = VALUES(value), changed_by = VALUES(changed_by), changed_at = VALUES(changed_at)`,
    [[AUTO_FETCH, JSON.stringify(enabled), by, now]],
  );
}
