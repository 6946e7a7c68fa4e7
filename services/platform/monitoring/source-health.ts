/** What each worker has seen of each market source. A circuit that is open stands in the memory of a worker; a row tells everybody. */
import type { Sql } from '../database/database.ts';

export interface SourceHealth {
  source: string;
  instance: string;
  /** Since the worker has started. */
  answers: number;
  errors: number;
  /** Not asked before, after repeated failures. */
  open_until: Date | null;
  last_ok_at: Date | null;
  last_error_at: Date | null;
  last_code: string | null;
  last_error: string | null;
}

const LONGEST_ERROR = 500;

/** Writes what an instance has seen. */
export async function writeHealth(sql: Sql, instance: string, rows: readonly Omit<SourceHealth, 'instance'>[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.run(
    'REPLACE INTO source_health (source, instance, answers, errors, open_until, last_ok_at, last_error_at, last_code, last_error) VALUES ?',
    [
      rows.map((row) => [
        ...[row.source, instance, row.answers, row.errors, row.open_until, row.last_ok_at, row.last_error_at],
        ...[row.last_code?.slice(0, 64) ?? null, row.last_error?.slice(0, LONGEST_ERROR) ?? null],
      ]),
    ],
  );
}

/** Of all workers. The table has a row for each worker and source. */
export function readHealth(sql: Sql): Promise<SourceHealth[]> {
  return sql.rows<SourceHealth>(
    'SELECT source, instance, answers, errors, open_until, last_ok_at, last_error_at, last_code, last_error FROM source_health ORDER BY source, instance',
  );
}

/** Deletes the rows of workers that have no heartbeat row any more. */
export async function deleteOrphans(sql: Sql): Promise<void> {
  await sql.run('DELETE h FROM source_health h LEFT JOIN instances i ON i.instance = h.instance WHERE i.instance IS NULL');
}
