/** Reads the ledger: one job with its reasons and attempts, lists of jobs, and the metrics of the whole ledger. */
import { fromJson, type Sql } from '../../platform/database/database.ts';
import { END_STATES } from '../../platform/job-states.ts';
import { idFromBytes, idToBytes } from '../id.ts';
import { isDone, levelOf, QUEUES, type Queue, type State, scoreOf } from '../job.ts';
import { IS_NO_PART, partsAmong } from '../parts.ts';
import { countItems, type ItemCounts, itemsChangedAt } from '../run/items.ts';

export interface JobSummary {
  id: string;
  type: string;
  symbol: string | null;
  /** What its worker must have (`worker.capabilities`); null: any worker may run it. */
  capability: string | null;
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
  /** Why it did not complete, or why it waits for its next attempt or for some workers alone. */
  reason: string | null;
  /** Why it ended other than completed, for programs. */
  code: string | null;
}

/** The columns of a list as CSV. */
export const JOB_COLUMNS = [
  ...(['id', 'type', 'symbol', 'state', 'queue', 'priority', 'score', 'attempt', 'max_attempts', 'user', 'worker'] as const),
  ...(['blocked_on', 'run_at', 'enqueued_at', 'started_at', 'ended_at', 'code', 'reason', 'capability'] as const),
];

/** The `state` of a job that waits for its parts is theirs here: `running` while one runs. It has started with the first of them. */
export interface JobDetail extends JobSummary {
  /** When its state or one of its items last changed. */
  updated_at: Date;
  payload: unknown;
  why: Record<string, unknown>;
  triggered_by: string;
  result: unknown;
  /** All that have ended; the one that completed is the last. */
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
  needs: JobLink[];
  /** Jobs that wait for this one, or waited for it; of very many the first. */
  dependents: JobLink[];
  items: ItemCounts;
}

/** `is_part`: one is a part of the other, and its items are counted there. */
export interface JobLink {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  is_part: boolean;
}

type LinkRow = Omit<JobLink, 'id' | 'is_part'> & { id: Buffer; is_part: number };

const linkOf = ({ id, type, symbol, state, is_part }: LinkRow): JobLink => ({
  ...{ id: idFromBytes(id), type, symbol, state, is_part: is_part === 1 },
});

/** A daily rank of a watchlist may wait for one fetch; a picture of more than this is no help. */
const MOST_DEPENDENTS = 500;

/** `priority`: as it is stored. */
type Row = Omit<JobSummary, 'id' | 'score'> & { id: Buffer };

/** Of a job that waits for its next attempt: why the last one ended. */
export const LAST_REASON = `(SELECT a.reason FROM job_attempts a WHERE a.job_id = j.id AND j.state IN ('scheduled', 'ready') ORDER BY a.attempt DESC LIMIT 1)`;
const SUMMARY = `j.id, j.type, j.symbol, j.capability, j.state, j.queue, j.priority, j.attempt, j.max_attempts, j.user_id AS user, j.worker_id AS worker,
  IF(j.state = 'blocked', j.blocked_on, NULL) AS blocked_on, IF(j.state = 'scheduled', j.due_at, NULL) AS run_at, j.enqueued_at, j.started_at, j.ended_at,
  COALESCE(r.reason, ${LAST_REASON}) AS reason, r.code`;

function summary({ id, priority, reason, ...rest }: Row): JobSummary {
  return {
    ...rest,
    id: idFromBytes(id),
    priority: levelOf(priority),
    score: Number(scoreOf(priority).toFixed(4)),
    reason: rest.state === 'ready' && rest.capability !== null ? waitsFor(rest.capability, reason) : reason,
  };
}

/** Why a ready job is not taken by every worker, before why its last attempt ended. */
const waitsFor = (capability: string, reason: string | null): string =>
  `waits for a worker with ${capability} (worker.capabilities)${reason === null ? '' : `; its last attempt: ${reason}`}`;

/** One job with all its data, or undefined. */
export async function readJob(sql: Sql, id: string): Promise<JobDetail | undefined> {
  const key = idToBytes(id);
  const [row] = await sql.rows<Row & { payload: unknown; why: unknown; triggered_by: string; result: unknown }>(
    `SELECT ${SUMMARY}, d.payload, d.why, d.triggered_by, r.result
       FROM job_states j JOIN jobs d ON d.id = j.id LEFT JOIN ended r ON r.job_id = j.id WHERE j.id = ?`,
    [key],
  );
  if (row === undefined) return undefined;
  const { payload, why, triggered_by, result, ...base } = row;
  const needs = await sql.rows<Need>(
    'SELECT n.id, n.type, n.symbol, n.state, n.started_at, n.ended_at, d.is_part FROM job_dependencies d JOIN job_states n ON n.id = d.needs_id WHERE d.job_id = ? ORDER BY n.id',
    [key],
  );
  const parts = needs.filter(({ is_part }) => is_part === 1);
  const whole = [id, ...parts.map((part) => idFromBytes(part.id))];
  const [attempts, subscribers, dependents, items, itemsChanged] = await Promise.all([
    sql.rows<JobDetail['attempts'][number]>(
      'SELECT attempt, worker_id AS worker, started_at, ended_at, outcome, code, reason FROM job_attempts WHERE job_id = ? ORDER BY attempt',
      [key],
    ),
    sql.rows<{ user_id: string }>('SELECT user_id FROM job_subscribers WHERE job_id = ? ORDER BY user_id', [key]),
    // ix_needs
    sql.rows<LinkRow>(
      'SELECT n.id, n.type, n.symbol, n.state, d.is_part FROM job_dependencies d JOIN job_states n ON n.id = d.job_id WHERE d.needs_id = ? ORDER BY n.id LIMIT ?',
      [key, MOST_DEPENDENTS],
    ),
    countItems(sql, ...whole),
    itemsChangedAt(sql, ...whole),
  ]);
  return {
    ...withParts(summary(base), parts, itemsChanged),
    ...{ triggered_by, payload: fromJson(payload), why: fromJson(why) as Record<string, unknown>, result: fromJson(result) },
    attempts: [...attempts, ...completedAttempt(base)],
    subscribers: subscribers.map(({ user_id }) => user_id),
    needs: needs.map(linkOf),
    dependents: dependents.map(linkOf),
    items,
  };
}

type Need = LinkRow & Pick<JobSummary, 'started_at' | 'ended_at'>;

/** The states of live parts that a job is shown in, the first that one of them has. */
const STATES_OF_PARTS = ['running', 'ready', 'scheduled'] as const;

/** A job as whoever watches it sees it: what its parts do it does. */
function withParts(job: JobSummary, parts: readonly Need[], itemsChanged: Date | null): JobSummary & { updated_at: Date } {
  const ofParts = job.state === 'blocked' ? STATES_OF_PARTS.find((state) => parts.some((part) => part.state === state)) : undefined;
  // A part may be that of an earlier request too.
  const times = (of: (number | undefined)[]): number[] =>
    of.flatMap((time) => (time === undefined ? [] : [Math.max(time, job.enqueued_at.getTime())]));
  const starts = times([job, ...parts].map(({ started_at }) => started_at?.getTime()));
  const changes = times([job.ended_at, itemsChanged, ...parts.map(({ ended_at }) => ended_at)].map((at) => at?.getTime()));
  return {
    ...job,
    ...(ofParts !== undefined && { state: ofParts, blocked_on: null }),
    started_at: starts.length === 0 ? null : new Date(Math.min(...starts)),
    updated_at: job.ended_at ?? new Date(Math.max(job.enqueued_at.getTime(), ...starts, ...changes)),
  };
}

/** The attempt that did the work stands in the job's own row. */
function completedAttempt({ state, attempt, worker, started_at, ended_at, code, reason }: Row): JobDetail['attempts'] {
  return !isDone(state) || ended_at === null ? [] : [{ attempt, worker, started_at, ended_at, outcome: state, code, reason }];
}

/** The newest job of a symbol with a dedupe key, live or ended; undefined when none is kept. Walks ix_symbol from its end. */
export async function readNewestOf(sql: Sql, symbol: string, dedupeKey: string): Promise<JobSummary | undefined> {
  const [row] = await sql.rows<Row>(
    `SELECT ${SUMMARY} FROM job_states j LEFT JOIN ended r ON r.job_id = j.id
      WHERE j.id = (SELECT id FROM jobs FORCE INDEX (ix_symbol) WHERE symbol = ? AND (dedupe_key = ? OR LEFT(dedupe_key, ?) = ?) ORDER BY id DESC LIMIT 1)`,
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

/** A condition of a query, and its values. */
export type Condition = readonly [sql: string, ...params: unknown[]];

/** Those whose value was asked for. */
export const given = (...conditions: Condition[]): Condition[] => conditions.filter(([, value]) => value !== undefined);

export const whereOf = (conditions: readonly Condition[]): string =>
  conditions.length === 0 ? '' : `WHERE ${conditions.map(([sql]) => sql).join(' AND ')}`;
export const paramsOf = (conditions: readonly Condition[]): unknown[] => conditions.flatMap(([, ...params]) => params);

/** Jobs, newest first. */
export async function listJobs(sql: Sql, { user, ids, state, queue, type, symbol, before, limit }: JobFilter): Promise<JobSummary[]> {
  const [from, id] = user === undefined ? ['job_states j', 'j.id'] : ['job_subscribers s JOIN job_states j ON j.id = s.job_id', 's.job_id'];
  const conditions = given(
    ['s.user_id = ?', user],
    ['j.id IN (?)', ids && (ids.length === 0 ? [null] : ids.map(idToBytes))],
    ['j.state = ?', state],
    ['j.queue = ?', queue],
    ['j.type = ?', type],
    ['j.symbol = ?', symbol],
    [`${id} < ?`, before && idToBytes(before)],
  );
  const rows = await sql.rows<Row>(
    `SELECT ${SUMMARY} FROM ${from} LEFT JOIN ended r ON r.job_id = j.id ${whereOf(conditions)} ORDER BY ${id} DESC LIMIT ?`,
    [...paramsOf(conditions), limit],
  );
  return rows.map(summary);
}

export interface QueueStats {
  queue: Queue;
  ready: number;
  running: number;
  scheduled: number;
  blocked: number;
  /** Seconds that the oldest ready job has waited; null when none waits. Parts of other jobs do not count: they wait by design. */
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

/** Live jobs by queue, state and level. Walks the keys of the waiting states, and the few running ones with their rows in `jobs`. */
const COUNT_LIVE = `
  SELECT queue, 'ready' AS state, priority DIV 10000 AS level, COUNT(*) AS jobs, MIN(job_id) AS first FROM ready FORCE INDEX (PRIMARY) GROUP BY queue, level
  UNION ALL SELECT queue, 'scheduled', priority DIV 10000 AS level, COUNT(*), MIN(job_id) FROM scheduled FORCE INDEX (ix_queue) GROUP BY queue, level
  UNION ALL SELECT queue, 'blocked', priority DIV 10000 AS level, COUNT(*), MIN(job_id) FROM blocked FORCE INDEX (ix_queue) GROUP BY queue, level
  UNION ALL SELECT j.queue, 'running', j.priority DIV 10000 AS level, COUNT(*), MIN(n.job_id) FROM running n JOIN jobs j ON j.id = n.job_id GROUP BY j.queue, level`;

/** Metrics of the whole ledger at `now`. Walks the live jobs, and ix_ended for those that ended in the last minute. */
export async function readStats(sql: Sql, now: Date): Promise<LedgerStats> {
  const minuteAgo = new Date(now.getTime() - 60_000);
  const [live, ended, dead, enqueued] = await Promise.all([
    sql.rows<{ queue: Queue; state: 'ready' | 'running' | 'scheduled' | 'blocked'; level: number; jobs: number; first: Buffer }>(
      COUNT_LIVE,
    ),
    sql.rows<{ state: State; jobs: number }>(
      'SELECT state, COUNT(*) AS jobs FROM ended FORCE INDEX (ix_ended) WHERE state IN (?) AND ended_at > ? GROUP BY state',
      [END_STATES, minuteAgo],
    ),
    sql.rows<{ jobs: number }>("SELECT COUNT(*) AS jobs FROM ended FORCE INDEX (ix_ended) WHERE state = 'failed'"),
    sql.rows<{ jobs: number }>('SELECT COUNT(*) AS jobs FROM jobs FORCE INDEX (PRIMARY) WHERE id > ?', [firstIdAt(minuteAgo)]),
  ]);
  const depth: Record<string, number> = {};
  const states: Partial<Record<State, number>> = {};
  const oldest = await oldestReady(sql, Map.groupBy(live, ({ state }) => state).get('ready') ?? []);
  const queues = QUEUES.map((queue): QueueStats => {
    const first = oldest.get(queue);
    const oldest_s = first === undefined ? null : (now.getTime() - first.readUIntBE(0, 6)) / 1000;
    return { queue, ready: 0, running: 0, scheduled: 0, blocked: 0, oldest_s };
  });
  for (const { queue, state, level, jobs } of live) {
    (queues[QUEUES.indexOf(queue)] as QueueStats)[state] += jobs;
    states[state] = (states[state] ?? 0) + jobs;
    if (state === 'ready' || state === 'blocked') depth[level] = (depth[level] ?? 0) + jobs;
  }
  for (const { state, jobs } of ended) states[state] = jobs;
  return {
    ...{ depth, queues, states },
    completed_last_minute: (states.completed ?? 0) + (states.completed_with_errors ?? 0),
    failed_last_minute: states.failed ?? 0,
    enqueued_last_minute: enqueued[0]?.jobs ?? 0,
    failed: dead[0]?.jobs ?? 0,
  };
}

/**
 * The oldest ready job of each queue that is no part of another job. `firsts`: the oldest of all, by queue and level. Only where that is a part the other ready jobs of its
 * level are read as well.
 */
async function oldestReady(sql: Sql, firsts: readonly { queue: Queue; level: number; first: Buffer }[]): Promise<Map<Queue, Buffer>> {
  const keys = firsts.map(({ first }) => first);
  const parts = await partsAmong(sql, keys);
  const { part = [], job = [] } = Object.groupBy(firsts, ({ first }) => (parts.has(idFromBytes(first)) ? 'part' : 'job'));
  const ofLevel = `SELECT STRAIGHT_JOIN r.queue, MIN(r.job_id) AS first FROM ready r FORCE INDEX (PRIMARY) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = r.job_id
    WHERE r.queue = ? AND r.priority >= ? AND r.priority < ? AND ${IS_NO_PART} GROUP BY r.queue`;
  const params = part.flatMap(({ queue, level }) => [queue, level * 10_000, (level + 1) * 10_000]);
  const others =
    part.length === 0 ? [] : await sql.rows<{ queue: Queue; first: Buffer }>(part.map(() => ofLevel).join(' UNION ALL '), params);
  const sorted = [...job, ...others].sort((a, b) => Buffer.compare(b.first, a.first));
  return new Map(sorted.map(({ queue, first }) => [queue, first]));
}

/** The smallest id of a moment: UUIDv7 begins with the time. */
export function firstIdAt(at: Date): Buffer {
  const id = Buffer.alloc(16);
  id.writeUIntBE(at.getTime(), 0, 6);
  return id;
}
