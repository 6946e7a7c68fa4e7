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
/** What `jobs` says of a job stands in these tables too. */
export const STATE_TABLES = ['ready', 'scheduled', 'blocked', 'running', 'ended', 'live_keys'] as const;

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
  const after = rows.map((row) => ({ ...row, ...(typeof changes === 'function' ? changes(row) : changes) }) as Row);
  if (rows.length > 0) await put(sql, rows, after);
  return rows.length;
}

/** Deletes the jobs for which a condition over `job_states` is true, but not what stands of them in other tables than those of the states. */
export async function deleteJobs(sql: Sql, where = '1 = 1', params: readonly unknown[] = []): Promise<void> {
  const rows = await sql.rows<{ id: Buffer }>(`SELECT id FROM job_states WHERE ${where}`, params);
  if (rows.length === 0) return;
  const ids = rows.map(({ id }) => id);
  for (const table of STATE_TABLES) await sql.run(`DELETE FROM ${table} WHERE job_id IN (?)`, [ids]);
  await sql.run('DELETE FROM jobs WHERE id IN (?)', [ids]);
}

/** Inserts jobs as they would be after a life of their own. What is not given is that of a ready fetch without a key. */
export async function insertJobs(sql: Sql, jobs: readonly (JobColumns & { id: Buffer; payload?: string; why?: string })[]): Promise<void> {
  const rows = jobs.map((job) => ({ ...DEFAULTS, ...job }) as Row & { payload: string; why: string });
  await sql.run(`INSERT INTO jobs (id, ${OF_JOB.join(', ')}, payload, why, triggered_by) VALUES ?`, [
    rows.map((row) => [row.id, ...OF_JOB.map((column) => row[column]), row.payload, row.why, 'user_login']),
  ]);
  await enter(sql, rows);
}

const DEFAULTS = {
  ...{ queue: 'foreground', priority: 10_000, max_attempts: 4, deaths: 0, crashes: 0, aged: 0, has_dependents: 0, type: 'fetch' },
  ...{ symbol: null, user_id: null, dedupe_key: null, state: 'ready', attempt: 0, worker_id: null, blocked_on: null, started_at: null },
  ...{ enqueued_at: new Date(), due_at: new Date(Date.now() + 3_600_000), payload: '{}', why: '{"text":"a test"}' },
};

interface Kept {
  id: Buffer;
  code: string | null;
  reason: string | null;
  result: unknown;
}

async function put(sql: Sql, before: readonly Row[], after: readonly Row[]): Promise<void> {
  const ids = before.map(({ id }) => id);
  const kept = await sql.rows<Kept>('SELECT job_id AS id, code, reason, result FROM ended WHERE job_id IN (?)', [ids]);
  for (const table of STATE_TABLES) await sql.run(`DELETE FROM ${table} WHERE job_id IN (?)`, [ids]);
  for (const [index, row] of after.entries()) {
    const changed = OF_JOB.filter((column) => row[column] !== before[index]?.[column]);
    if (changed.length > 0)
      await sql.run(`UPDATE jobs SET ${changed.map((column) => `${column} = ?`).join(', ')} WHERE id = ?`, [
        ...changed.map((column) => row[column]),
        row.id,
      ]);
  }
  await enter(sql, after, new Map(kept.map((one) => [one.id.toString('hex'), one])));
}

async function enter(sql: Sql, rows: readonly Row[], kept: ReadonlyMap<string, Kept> = new Map()): Promise<void> {
  const inserts = new Map<string, Record<string, unknown>[]>();
  const insert = (table: string, columns: Record<string, unknown>): void => {
    inserts.set(table, [...(inserts.get(table) ?? []), columns]);
  };
  for (const row of rows) {
    insert(...standingOf(row, kept.get(row.id.toString('hex'))));
    if (row.dedupe_key !== null && ['ready', 'scheduled', 'blocked', 'running'].includes(row.state))
      insert('live_keys', { dedupe_key: row.dedupe_key, job_id: row.id });
  }
  for (const [table, all] of inserts)
    await sql.run(`INSERT INTO ${table} (${Object.keys(all[0] as object).join(', ')}) VALUES ?`, [all.map((one) => Object.values(one))]);
}

/** The table in which a job of this state stands, and its row there. */
function standingOf(row: Row, kept: Kept | undefined): [string, Record<string, unknown>] {
  const { id, queue, priority, attempt, due_at, blocked_on, worker_id, started_at, dedupe_key } = row;
  const waiting = { queue, priority, job_id: id, attempt, due_at };
  if (row.state === 'ready') return ['ready', { ...waiting, type: row.type, blocked_on: blocked_on === 'slot' ? 'slot' : null }];
  if (row.state === 'scheduled') return ['scheduled', waiting];
  if (row.state === 'blocked') return ['blocked', { ...waiting, blocked_on: blocked_on ?? 'dependency' }];
  if (row.state === 'running')
    return [
      'running',
      {
        ...{ job_id: id, worker_id: worker_id ?? 'worker-1', attempt, started_at, due_at, dedupe_key },
        ...{ has_dependents: row.has_dependents, has_user: row.user_id === null ? 0 : 1 },
      },
    ];
  const result = kept?.result == null || typeof kept.result === 'string' ? (kept?.result ?? null) : JSON.stringify(kept.result);
  return [
    'ended',
    {
      ...{ job_id: id, state: row.state, attempt, worker_id, started_at, ended_at: row.ended_at ?? due_at },
      ...{ code: kept?.code ?? null, reason: kept?.reason ?? null, result },
    },
  ];
}

/** A table `s` of the whole numbers from `from` to `to`, as `seq`, on both servers (MariaDB's sequence tables are its own). */
export const numbers = (from: number, to: number): string =>
  `(SELECT ord + ${from - 1} AS seq FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', ${to - from}), ']'), '$[*]' COLUMNS (ord FOR ORDINALITY)) o) s`;
