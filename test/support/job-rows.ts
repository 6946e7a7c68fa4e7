/** Puts jobs into states by hand, for tests of what cannot be brought about in another way. */
import type { Sql } from '../../services/platform/database/database.ts';

/** Columns of `job_states` that a test may set. */
export type JobColumns = Partial<Record<(typeof COLUMNS)[number], unknown>>;

const OF_JOB = [
  'queue',
  'priority',
  'max_attempts',
  'deaths',
  'crashes',
  'aged',
  'has_dependents',
  'type',
  'symbol',
  'user_id',
  'dedupe_key',
  'enqueued_at',
] as const;
const COLUMNS = [...OF_JOB, 'state', 'attempt', 'due_at', 'worker_id', 'blocked_on', 'started_at', 'ended_at'] as const;
const TABLES = ['ready', 'scheduled', 'blocked', 'running', 'ended'] as const;

interface Row extends Record<(typeof COLUMNS)[number], unknown> {
  id: Buffer;
  attempt: number;
  priority: number;
  enqueued_at: Date;
  state: string;
  due_at: Date;
}

/** Sets columns (or what a function makes of each row) of the jobs for which a condition over `job_states` is true; a changed state moves them to its table. Returns how many. */
export async function setJobs(
  sql: Sql,
  changes: JobColumns | ((row: Row) => JobColumns),
  where = '1 = 1',
  params: readonly unknown[] = [],
): Promise<number> {
  const rows = await sql.rows<Row>(
    `SELECT * FROM (SELECT s.*, j.dedupe_key FROM job_states s JOIN jobs j ON j.id = s.id) known WHERE ${where} ORDER BY id`,
    params,
  );
  for (const row of rows) await put(sql, row, { ...row, ...(typeof changes === 'function' ? changes(row) : changes) } as Row);
  return rows.length;
}

/** Deletes the jobs for which a condition over `job_states` is true, but not what stands of them in other tables than those of the states. */
export async function deleteJobs(sql: Sql, where = '1 = 1', params: readonly unknown[] = []): Promise<void> {
  const rows = await sql.rows<{ id: Buffer }>(`SELECT id FROM job_states WHERE ${where}`, params);
  if (rows.length === 0) return;
  const ids = rows.map(({ id }) => id);
  for (const table of [...TABLES, 'live_keys']) await sql.run(`DELETE FROM ${table} WHERE job_id IN (?)`, [ids]);
  await sql.run('DELETE FROM jobs WHERE id IN (?)', [ids]);
}

/** Inserts jobs as they would be after a life of their own. What is not given is that of a ready fetch without a key. */
export async function insertJobs(sql: Sql, jobs: readonly (JobColumns & { id: Buffer; payload?: string; why?: string })[]): Promise<void> {
  for (const job of jobs) {
    const row = { ...DEFAULTS, ...job } as Row & { payload: string; why: string };
    await sql.run(`INSERT INTO jobs (id, ${OF_JOB.join(', ')}, payload, why, triggered_by) VALUES (?)`, [
      [row.id, ...OF_JOB.map((column) => row[column]), row.payload, row.why, 'user_login'],
    ]);
    await enter(sql, row);
  }
}

const DEFAULTS = {
  ...{ queue: 'foreground', priority: 10_000, max_attempts: 4, deaths: 0, crashes: 0, aged: 0, has_dependents: 0, type: 'fetch' },
  ...{ symbol: null, user_id: null, dedupe_key: null, state: 'ready', attempt: 0, worker_id: null, blocked_on: null, started_at: null },
  ...{ enqueued_at: new Date(), due_at: new Date(Date.now() + 3_600_000), payload: '{}', why: '{"text":"a test"}' },
};

async function put(sql: Sql, before: Row, after: Row): Promise<void> {
  const [kept] = await sql.rows<{ code: string | null; reason: string | null; result: unknown }>(
    'SELECT code, reason, result FROM ended WHERE job_id = ?',
    [before.id],
  );
  for (const table of [...TABLES, 'live_keys']) await sql.run(`DELETE FROM ${table} WHERE job_id = ?`, [before.id]);
  await sql.run(`UPDATE jobs SET ${OF_JOB.map((column) => `${column} = ?`).join(', ')} WHERE id = ?`, [
    ...OF_JOB.map((column) => after[column]),
    before.id,
  ]);
  await enter(sql, after, kept);
}

async function enter(sql: Sql, row: Row, kept?: { code: string | null; reason: string | null; result: unknown }): Promise<void> {
  const { id, queue, priority, attempt, due_at, blocked_on, worker_id, started_at, dedupe_key } = row;
  const insert = (table: string, columns: Record<string, unknown>) =>
    sql.run(`INSERT INTO ${table} (${Object.keys(columns).join(', ')}) VALUES (?)`, [Object.values(columns)]);
  const waiting = { queue, priority, job_id: id, attempt, due_at };
  if (row.state === 'ready') await insert('ready', { ...waiting, type: row.type, blocked_on: blocked_on === 'slot' ? 'slot' : null });
  else if (row.state === 'scheduled') await insert('scheduled', waiting);
  else if (row.state === 'blocked') await insert('blocked', { ...waiting, blocked_on: blocked_on ?? 'dependency' });
  else if (row.state === 'running')
    await insert('running', {
      ...{ job_id: id, worker_id: worker_id ?? 'worker-1', attempt, started_at, due_at, dedupe_key },
      ...{ has_dependents: row.has_dependents, has_user: row.user_id === null ? 0 : 1 },
    });
  else
    await insert('ended', {
      ...{ job_id: id, state: row.state, attempt, worker_id, started_at, ended_at: row.ended_at ?? due_at },
      ...{ code: kept?.code ?? null, reason: kept?.reason ?? null },
      ...{ result: kept?.result == null ? null : typeof kept.result === 'string' ? kept.result : JSON.stringify(kept.result) },
    });
  if (['ready', 'scheduled', 'blocked', 'running'].includes(row.state) && dedupe_key !== null)
    await insert('live_keys', { dedupe_key, job_id: id });
}

/** What `jobs` says of a job stands in these tables too. */
export const STATE_TABLES = [...TABLES, 'live_keys'] as const;
