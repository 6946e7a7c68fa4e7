/** Estimates when a waiting job will end, from the jobs before it in claim order, the measured durations of its type, and the slots of the live workers. */
import type { Sql } from '../../platform/database/database.ts';
import { listInstances } from '../../platform/registry/instances.ts';
import type { EnqueueAnswer } from '../enqueue/enqueue.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import { after, isLive, type Ledger, LIVE_STATES, nowOf, priorityOf, QUEUES, type Queue, type State } from '../job.ts';
import { percentile } from './metrics.ts';

export interface Estimate {
  /** Jobs that are claimed before it; 0 for one that runs or has ended, null for one that starts later. */
  position: number | null;
  /** Position × median ÷ slots; for a job that waits for others, not before all of them have completed. Null when no duration was measured yet or no worker is alive. */
  startSeconds: number | null;
  /** The same plus one median for the job itself. */
  completionSeconds: number | null;
}

export interface JobToEstimate {
  id: string;
  type: string;
  state: State;
  queue: Queue;
  /** The stored number, which combines level and score. */
  priority: number;
}

export interface Estimator {
  /** In the order of the jobs. */
  estimate(jobs: readonly JobToEstimate[]): Promise<Estimate[]>;
}

/** Jobs of one priority that are counted one by one. */
const COUNTED = 1_000;
/** The number of newest completed jobs whose durations are read. */
const MEASURED_JOBS = 500;
/** A shared read is reused for this many times its own duration, so that reading takes at most this share of one connection. */
const REST = 20;
const LONGEST_REST_MS = 5_000;

export function jobToEstimate({ id, type, state, queue, level, score }: Exclude<EnqueueAnswer, { outcome: 'refused' }>): JobToEstimate {
  return { id, type, state, queue, priority: priorityOf(level, score) };
}

export function createEstimator(ledger: Ledger): Estimator {
  const { db } = ledger;
  const medians = rested(() => readMedians(db));
  const slots = rested(async () => {
    const alive = await listInstances(db, after(nowOf(ledger), -ledger.leaseSeconds));
    return alive.reduce((sum, { service, capacity }) => sum + (service === 'worker' ? capacity : 0), 0);
  });
  const depths = rested(() => readDepths(db));

  return {
    async estimate(jobs) {
      const [medianOf, live, ready] = await Promise.all([medians(), slots(), depths()]);
      const { needed, needsOf } = await readNeeds(db, jobs);
      const all = new Map([...needed, ...jobs].map((job) => [job.id, job]));
      const rankOf = await readRanks(db, [...all.values()].filter(isWaiting), ready);
      const positionOf = (job: JobToEstimate): number | null =>
        isWaiting(job) ? before(ready, job) + (rankOf.get(job.id) ?? 0) : job.state === 'scheduled' ? null : 0;

      /** Seconds until a job starts and completes; null when that is not known. */
      const known = new Map<string, Times | null>();
      const timesOf = (job: JobToEstimate): Times | null => {
        if (!isLive(job.state)) return { start: 0, end: 0 };
        // Two jobs that wait for each other end here, as unknown.
        const earlier = known.get(job.id);
        if (earlier !== undefined) return earlier;
        known.set(job.id, null);
        const [median, position] = [medianOf.get(job.type), positionOf(job)];
        const needs = (needsOf.get(job.id) ?? []).map((id) => timesOf(all.get(id) as JobToEstimate));
        if (position === null || median === undefined || live === 0 || needs.includes(null)) return null;
        const own = job.state === 'running' ? 0 : (position * median) / live;
        const start = Math.max(own, ...needs.map((need) => need?.end ?? 0));
        const times = { start, end: start + median };
        known.set(job.id, times);
        return times;
      };

      return jobs.map((job) => {
        const times = timesOf(job);
        return { position: positionOf(job), startSeconds: rounded(times?.start), completionSeconds: rounded(times?.end) };
      });
    },
  };
}

interface Times {
  start: number;
  end: number;
}

/**
 * The live jobs that the blocked ones wait for, and those that these wait for. One read by primary keys for each link of the longest chain, which has two: a fetch, and
 * the analysis or ranking after it.
 */
async function readNeeds(sql: Sql, jobs: readonly JobToEstimate[]): Promise<{ needed: JobToEstimate[]; needsOf: Map<string, string[]> }> {
  const found = new Map<string, JobToEstimate>();
  const needsOf = new Map<string, string[]>();
  for (let waiting = jobs.filter(isBlocked); waiting.length > 0; ) {
    const rows = await sql.rows<Omit<JobToEstimate, 'id'> & { id: Buffer; job_id: Buffer }>(
      `SELECT d.job_id, n.id, n.type, n.state, n.queue, n.priority FROM job_dependencies d JOIN job_states n ON n.id = d.needs_id
        WHERE d.job_id IN (?) AND n.state IN (?)`,
      [sortedBytes(waiting.map(({ id }) => id)), LIVE_STATES],
    );
    const needs = new Map<string, JobToEstimate>();
    for (const { job_id, id, ...rest } of rows) {
      const need = { ...rest, id: idFromBytes(id) };
      needs.set(need.id, need);
      needsOf.getOrInsert(idFromBytes(job_id), []).push(need.id);
    }
    for (const [id, need] of needs) found.set(id, need);
    waiting = [...needs.values()].filter((need) => isBlocked(need) && !needsOf.has(need.id));
  }
  return { needed: [...found.values()], needsOf };
}

const isBlocked = ({ state }: JobToEstimate): boolean => state === 'blocked';

const isWaiting = ({ state }: JobToEstimate): boolean => state === 'ready' || state === 'blocked';
const rounded = (seconds: number | undefined): number | null => (seconds === undefined ? null : Number(seconds.toFixed(2)));

/** Ready jobs by queue and priority, in claim order. Walks `ready`. */
type Depths = { queue: Queue; priority: number; jobs: number }[];

function readDepths(sql: Sql): Promise<Depths> {
  return sql.rows<Depths[number]>(
    `SELECT queue, priority, COUNT(*) AS jobs FROM ready FORCE INDEX (PRIMARY)
      WHERE queue IN (?) GROUP BY queue, priority`,
    [QUEUES],
  );
}

/** Ready jobs of the queues above, and of more urgent priorities in its own. */
function before(ready: Depths, { queue, priority }: JobToEstimate): number {
  const own = QUEUES.indexOf(queue);
  let sum = 0;
  for (const group of ready) {
    const at = QUEUES.indexOf(group.queue);
    if (at < own || (at === own && group.priority < priority)) sum += group.jobs;
  }
  return sum;
}

/**
 * How many ready jobs of the same queue and priority came before each: the jobs before the oldest are counted, the jobs between them are listed. Walks the primary key of `ready`.
 * Where more than `COUNTED` came before, the shared count of that priority is used, which is a moment old: counting thousands for one answer is too slow.
 */
async function readRanks(sql: Sql, jobs: readonly JobToEstimate[], ready: Depths): Promise<Map<string, number>> {
  const ranks = new Map<string, number>();
  for (const group of Map.groupBy(jobs, ({ queue, priority }) => `${queue} ${priority}`).values()) {
    const { queue, priority } = group[0] as JobToEstimate;
    const ids = group.map(({ id }) => id).sort();
    const [first, last] = [idToBytes(ids[0] as string), idToBytes(ids.at(-1) as string)];
    const same = 'FROM ready FORCE INDEX (PRIMARY) WHERE queue = ? AND priority = ?';
    const listed = `SELECT job_id AS id ${same} AND job_id >= ? AND job_id <= ? ORDER BY job_id`;
    const [[counted], between] = await Promise.all([
      sql.rows<{ jobs: number }>(`SELECT COUNT(*) AS jobs FROM (SELECT 1 ${same} AND job_id < ? LIMIT ${COUNTED}) w`, [
        queue,
        priority,
        first,
      ]),
      ids.length === 1 ? [] : sql.rows<{ id: Buffer }>(listed, [queue, priority, first, last]),
    ]);
    const exact = counted?.jobs ?? 0;
    const whole = ready.find((one) => one.queue === queue && one.priority === priority)?.jobs ?? 0;
    const before = exact < COUNTED ? exact : Math.max(COUNTED, whole - ids.length);
    const standing = between.map(({ id }) => idFromBytes(id));
    let at = 0;
    for (const id of ids) {
      while (at < standing.length && (standing[at] as string) < id) at++;
      ranks.set(id, before + at);
    }
  }
  return ranks;
}

/** Seconds that half of the newest completed jobs of each type took at most. Reads the end of ix_ended. */
async function readMedians(sql: Sql): Promise<Map<string, number>> {
  const rows = await sql.rows<{ type: string; seconds: number }>(
    `SELECT j.type, TIMESTAMPDIFF(MICROSECOND, r.started_at, r.ended_at) / 1000000 + 0e0 AS seconds
       FROM (SELECT job_id, started_at, ended_at FROM ended FORCE INDEX (ix_ended) WHERE state = 'completed' ORDER BY ended_at DESC, job_id DESC LIMIT ${MEASURED_JOBS}) r
       JOIN jobs j ON j.id = r.job_id WHERE r.started_at IS NOT NULL`,
  );
  const byType = Map.groupBy(rows, ({ type }) => type);
  const medians = [...byType].map(([type, group]): [string, number] => {
    const all = group.map(({ seconds }) => seconds);
    return [type, percentile(all, 0.5)];
  });
  return new Map(medians);
}

function rested<T>(read: () => Promise<T>): () => Promise<T> {
  let newest: { value: Promise<T>; until: number } | undefined;
  return () => {
    const started = performance.now();
    if (newest !== undefined && started < newest.until) return newest.value;
    const mine = { value: read(), until: Number.POSITIVE_INFINITY };
    newest = mine;
    mine.value.then(
      () => {
        const now = performance.now();
        mine.until = now + Math.min((now - started) * REST, LONGEST_REST_MS);
      },
      () => {
        if (newest === mine) newest = undefined;
      },
    );
    return mine.value;
  };
}
