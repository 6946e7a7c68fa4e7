/** Reads the ledger: one job with its reasons and attempts, lists of jobs, and the metrics of the whole ledger. */
import { fromJson, type Sql } from '../../platform/database/database.ts';
import { END_STATES, LIVE_STATES } from '../../platform/job-states.ts';
import { idFromBytes, idToBytes } from '../id.ts';
import { levelOf, QUEUES, type Queue, type State, scoreOf } from '../job.ts';
import { countItems, type ItemCounts } from '../run/items.ts';

export interface JobSummary {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  /** 1-10. */
  priority: number;
  score: number;
  attempt: number;
  max_attempts: number;
  user: string | null;
  worker: string | null;
  blocked_on: 'slot' | 'dependency' | null;
  /** When a scheduled job starts. */
  run_at: Date | null;
  enqueued_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  /** Why it did not complete, or why it waits for its next attempt. */
  reason: string | null;
}

export interface JobDetail extends JobSummary {
  payload: unknown;
  why: Record<string, unknown>;
  triggered_by: string;
  code: string | null;
  result: unknown;
  attempts: {
    attempt: number;
    worker: string | null;
    started_at: Date | null;
    ended_at: Date;
    outcome: string;
    code: string | null;
    reason: string | null;
  }[];
  subscribers: string[];
  /** `is_part`: a part of this job, whose items are counted here. */
  needs: { id: string; state: State; is_part: boolean }[];
  items: ItemCounts;
}

interface Row {
  id: Buffer;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  priority: number;
  attempt: number;
  max_attempts: number;
  user_id: string | null;
  worker_id: string | null;
  blocked_on: 'slot' | 'dependency' | null;
  due_at: Date;
  enqueued_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
  reason: string | null;
}

const SUMMARY = `j.id, j.type, j.symbol, j.state, j.queue, j.priority, j.attempt, j.max_attempts, j.user_id, j.worker_id, IF(j.state = 'blocked', j.blocked_on, NULL) AS blocked_on, j.due_at, j.enqueued_at,
  j.started_at, j.ended_at, COALESCE(r.reason, (SELECT a.reason FROM job_attempts a WHERE a.job_id = j.id AND j.state IN ('scheduled', 'ready') ORDER BY a.attempt DESC LIMIT 1)) AS reason`;

function summary(row: Row): JobSummary {
  const { id, priority, user_id, worker_id, due_at, ...rest } = row;
  return {
    ...rest,
    id: idFromBytes(id),
    priority: levelOf(priority),
    score: Number(scoreOf(priority).toFixed(4)),
    user: user_id,
    worker: worker_id,
    run_at: row.state === 'scheduled' ? due_at : null,
  };
}

/** One job with all its data, or undefined. */
export async function readJob(sql: Sql, id: string): Promise<JobDetail | undefined> {
  const key = idToBytes(id);
  const [row] = await sql.rows<Row & { payload: unknown; why: unknown; triggered_by: string; code: string | null; result: unknown }>(
    `SELECT ${SUMMARY}, d.payload, d.why, d.triggered_by, r.code, r.result
       FROM jobs j JOIN job_details d ON d.job_id = j.id LEFT JOIN job_results r ON r.job_id = j.id WHERE j.id = ?`,
    [key],
  );
  if (row === undefined) return undefined;
  const { payload, why, triggered_by, code, result, ...base } = row;
  const needing = sql.rows<{ id: Buffer; state: State; is_part: number }>(
    'SELECT n.id, n.state, d.is_part FROM job_dependencies d JOIN jobs n ON n.id = d.needs_id WHERE d.job_id = ? ORDER BY n.id',
    [key],
  );
  const partIds = needing.then((needs) => needs.flatMap((need) => (need.is_part === 1 ? [idFromBytes(need.id)] : [])));
  const [attempts, subscribers, needs, items] = await Promise.all([
    sql.rows<JobDetail['attempts'][number]>(
      'SELECT attempt, worker_id AS worker, started_at, ended_at, outcome, code, reason FROM job_attempts WHERE job_id = ? ORDER BY attempt',
      [key],
    ),
    sql.rows<{ user_id: string }>('SELECT user_id FROM job_subscribers WHERE job_id = ? ORDER BY user_id', [key]),
    needing,
    partIds.then((parts) => countItems(sql, id, ...parts)),
  ]);
  return {
    ...summary(base),
    payload: fromJson(payload),
    why: fromJson(why) as Record<string, unknown>,
    triggered_by,
    code,
    result: fromJson(result),
    attempts,
    subscribers: subscribers.map(({ user_id }) => user_id),
    needs: needs.map((need) => ({ id: idFromBytes(need.id), state: need.state, is_part: need.is_part === 1 })),
    items,
  };
}

/** The newest job of a symbol with a dedupe key, live or ended; undefined when none is kept. Walks ix_symbol from its end. */
export async function readNewestOf(sql: Sql, symbol: string, dedupeKey: string): Promise<JobSummary | undefined> {
  const [row] = await sql.rows<Row>(
    `SELECT ${SUMMARY} FROM jobs j FORCE INDEX (ix_symbol) LEFT JOIN job_results r ON r.job_id = j.id
      WHERE j.symbol = ? AND (j.dedupe_key = ? OR LEFT(j.dedupe_key, ?) = ?) ORDER BY j.id DESC LIMIT 1`,
    [symbol, dedupeKey, dedupeKey.length + 1, `${dedupeKey}:`],
  );
  return row === undefined ? undefined : summary(row);
}

export interface JobFilter {
  state?: State | undefined;
  queue?: Queue | undefined;
  type?: string | undefined;
  symbol?: string | undefined;
  user?: string | undefined;
  ids?: readonly string[] | undefined;
  /** Only jobs older than this one: the cursor of the next page. */
  before?: string | undefined;
  limit: number;
}

/** Jobs, newest first. */
export async function listJobs(sql: Sql, filter: JobFilter): Promise<JobSummary[]> {
  const where: string[] = [];
  const params: unknown[] = [];
  const add = (condition: string, value: unknown): void => {
    where.push(condition);
    params.push(value);
  };
  if (filter.user !== undefined) add('s.user_id = ?', filter.user);
  if (filter.ids !== undefined) add('j.id IN (?)', filter.ids.length === 0 ? [null] : filter.ids.map(idToBytes));
  if (filter.state !== undefined) add('j.state = ?', filter.state);
  if (filter.queue !== undefined) add('j.queue = ?', filter.queue);
  if (filter.type !== undefined) add('j.type = ?', filter.type);
  if (filter.symbol !== undefined) add('j.symbol = ?', filter.symbol);
  if (filter.before !== undefined) add(filter.user === undefined ? 'j.id < ?' : 's.job_id < ?', idToBytes(filter.before));
  const from = filter.user === undefined ? 'jobs j' : 'job_subscribers s JOIN jobs j ON j.id = s.job_id';
  const order = filter.user === undefined ? 'j.id' : 's.job_id';
  const rows = await sql.rows<Row>(
    `SELECT ${SUMMARY} FROM ${from} LEFT JOIN job_results r ON r.job_id = j.id ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY ${order} DESC LIMIT ?`,
    [...params, filter.limit],
  );
  return rows.map(summary);
}

export interface QueueStats {
  queue: Queue;
  ready: number;
  running: number;
  scheduled: number;
  blocked: number;
  /** Seconds that the oldest ready job has waited; null when none waits. */
  oldest_s: number | null;
}

export interface LedgerStats {
  /** Waiting (ready and blocked) jobs by level, '1' to '10'. */
  depth: Record<string, number>;
  queues: QueueStats[];
  /** Live jobs and those that ended within the last minute, by state. */
  states: Partial<Record<State, number>>;
  completed_last_minute: number;
  failed_last_minute: number;
  enqueued_last_minute: number;
  /** Failed jobs, which wait for a redrive. */
  failed: number;
}

/** Metrics of the whole ledger at `now`. Walks ix_claim for the live jobs and ix_due for those that ended in the last minute. */
export async function readStats(sql: Sql, now: Date): Promise<LedgerStats> {
  const minuteAgo = new Date(now.getTime() - 60_000);
  const [live, ended, dead, enqueued] = await Promise.all([
    sql.rows<{ queue: Queue; state: State; level: number; jobs: number; first: Buffer }>(
      `SELECT queue, state, priority DIV 10000 AS level, COUNT(*) AS jobs, MIN(id) AS first FROM jobs FORCE INDEX (ix_claim)
        WHERE queue IN (?) AND state IN (?) GROUP BY queue, state, level`,
      [QUEUES, LIVE_STATES],
    ),
    sql.rows<{ state: State; jobs: number }>(
      `SELECT state, COUNT(*) AS jobs FROM jobs FORCE INDEX (ix_due)
        WHERE state IN (?) AND due_at > ? GROUP BY state`,
      [END_STATES, minuteAgo],
    ),
    sql.rows<{ jobs: number }>("SELECT COUNT(*) AS jobs FROM jobs FORCE INDEX (ix_due) WHERE state = 'failed'"),
    sql.rows<{ jobs: number }>('SELECT COUNT(*) AS jobs FROM jobs FORCE INDEX (PRIMARY) WHERE id > ?', [firstIdAt(minuteAgo)]),
  ]);
  const depth: Record<string, number> = {};
  const states: Partial<Record<State, number>> = {};
  const queues = new Map(
    QUEUES.map((queue) => [queue, { queue, ready: 0, running: 0, scheduled: 0, blocked: 0, oldest_s: null as number | null }]),
  );
  for (const { queue, state, level, jobs, first } of live) {
    const stats = queues.get(queue) as QueueStats;
    stats[state as 'ready'] += jobs;
    states[state] = (states[state] ?? 0) + jobs;
    if (state !== 'ready' && state !== 'blocked') continue;
    depth[level] = (depth[level] ?? 0) + jobs;
    if (state === 'ready') stats.oldest_s = Math.max(stats.oldest_s ?? 0, (now.getTime() - first.readUIntBE(0, 6)) / 1000);
  }
  for (const { state, jobs } of ended) states[state] = jobs;
  return {
    depth,
    queues: [...queues.values()],
    states,
    completed_last_minute: (states.completed ?? 0) + (states.completed_with_errors ?? 0),
    failed_last_minute: states.failed ?? 0,
    enqueued_last_minute: enqueued[0]?.jobs ?? 0,
    failed: dead[0]?.jobs ?? 0,
  };
}

/** The smallest id of a moment: UUIDv7 begins with the time. */
function firstIdAt(at: Date): Buffer {
  const id = Buffer.alloc(16);
  id.writeUIntBE(at.getTime(), 0, 6);
  return id;
}
