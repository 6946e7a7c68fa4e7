/** What must be true of the tables of the states at every moment, whoever is at work. */
import { expect } from 'vitest';
import { idFromBytes } from '../../../services/ledger/id.ts';
import type { Sql } from '../../../services/platform/database/database.ts';

const LIVE = ['ready', 'scheduled', 'blocked', 'running'] as const;
const everyRow = (tables: readonly string[]): string =>
  tables.map((table) => `SELECT job_id AS id, '${table}' AS state, attempt FROM ${table}`).join(' UNION ALL ');

/** Each statement finds what breaks one rule. One statement sees one moment. */
const RULES: Record<string, string> = {
  'stands in one table': `SELECT j.id, GROUP_CONCAT(s.state) AS found FROM jobs j LEFT JOIN (${everyRow([...LIVE, 'ended'])}) s ON s.id = j.id
     GROUP BY j.id HAVING COUNT(s.id) <> 1`,
  'is a job that was asked for': `SELECT s.id, s.state AS found FROM (${everyRow([...LIVE, 'ended'])}) s LEFT JOIN jobs j ON j.id = s.id WHERE j.id IS NULL`,
  'waits where its row says': `SELECT j.id, CONCAT(r.queue, ' ', r.priority) AS found FROM ready r JOIN jobs j ON j.id = r.job_id
     WHERE r.queue <> j.queue OR r.priority <> j.priority OR r.type <> j.type OR r.capability <> COALESCE(j.capability, '')`,
  'holds its key while it lives, and no longer': `SELECT COALESCE(j.id, k.job_id) AS id, k.dedupe_key AS found
     FROM (SELECT j.id, j.dedupe_key FROM jobs j JOIN (${everyRow(LIVE)}) s ON s.id = j.id WHERE j.dedupe_key IS NOT NULL) j
     LEFT JOIN live_keys k ON k.dedupe_key = j.dedupe_key AND k.job_id = j.id WHERE k.job_id IS NULL
     UNION ALL SELECT k.job_id, k.dedupe_key FROM live_keys k LEFT JOIN (${everyRow(LIVE)}) s ON s.id = k.job_id WHERE s.id IS NULL`,
};

/** Fails when a job stands in two tables or in none, a row of a state belongs to no job, or a key stands for a job that has ended. */
export async function expectOneStanding(sql: Sql): Promise<void> {
  for (const [rule, statement] of Object.entries(RULES)) {
    const found = await sql.rows<{ id: Buffer; found: string | null }>(statement);
    expect(
      found.map(({ id, found: what }) => `${idFromBytes(id)}: ${what}`),
      `each job ${rule}`,
    ).toEqual([]);
  }
}

/** A watch over attempts: each call fails when the attempt of a job is lower than it was at the call before. */
export function attemptsThatOnlyRise(sql: Sql): () => Promise<void> {
  const highest = new Map<string, number>();
  return async () => {
    const rows = await sql.rows<{ id: Buffer; attempt: number }>(everyRow([...LIVE, 'ended']));
    const lower = rows.flatMap(({ id, attempt }) => {
      const key = idFromBytes(id);
      const before = highest.get(key) ?? 0;
      if (attempt >= before) highest.set(key, attempt);
      return attempt < before ? [`${key}: ${before}, then ${attempt}`] : [];
    });
    expect(lower, 'attempts only rise').toEqual([]);
  };
}
