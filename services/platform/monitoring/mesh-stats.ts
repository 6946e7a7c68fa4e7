/** The statistics of the mesh that are kept: a row a minute, and a row an hour that is made of them, so that a chart of 30 days reads hundreds of rows and not thousands. */
import { fromJson, type Sql, toJson } from '../database/database.ts';
import { addBuckets, type Buckets } from './buckets.ts';

export const MINUTE_S = 60;
export const HOUR_S = 3_600;

interface Numbers {
  ready: number;
  running: number;
  scheduled: number;
  blocked: number;
  oldest_s: number | null;
  enqueued: number;
  completed: number;
  failed: number;
  workers: number;
  slots: number;
  busy: number;
  logins: number;
}

export interface StatsDetails {
  queues: Record<string, { ready: number; running: number; oldest_s: number | null }>;
  types: Record<string, { completed: number; failed: number }>;
  /** By queue: jobs that were asked for, and that ended. Rows of earlier versions lack it. */
  flow?: Record<string, { in: number; out: number }>;
  codes: Record<string, number>;
  sources: Record<string, { answers: number; errors: number; p95_s: number | null }>;
  wait: Buckets;
  run: Buckets;
  /** From a login to fresh data, of logins that had jobs. */
  login_fresh: Buckets;
}

export interface MeshStats extends Numbers {
  at: Date;
  /** Minutes that it is made of. */
  minutes: number;
  details: StatsDetails;
}

const COLUMNS = [
  ...(['ready', 'running', 'scheduled', 'blocked', 'oldest_s', 'enqueued'] as const),
  ...(['completed', 'failed', 'workers', 'slots', 'busy', 'logins'] as const),
];

/** A row that another leader has written for the same time is replaced. */
export async function writeStats(sql: Sql, step: number, row: MeshStats): Promise<void> {
  await sql.run(`REPLACE INTO mesh_stats (step_s, at, minutes, ${COLUMNS.join(', ')}, details) VALUES (?)`, [
    [step, row.at, row.minutes, ...COLUMNS.map((name) => row[name]), toJson(row.details)],
  ]);
}

/** Rows of one step that begin in [from, to), in their order. By the primary key. */
export async function readStatsRows(sql: Sql, step: number, from: Date, to: Date): Promise<MeshStats[]> {
  const rows = await sql.rows<Omit<MeshStats, 'details'> & { details: unknown }>(
    `SELECT at, minutes, ${COLUMNS.join(', ')}, details FROM mesh_stats WHERE step_s = ? AND at >= ? AND at < ? ORDER BY at`,
    [step, from, to],
  );
  return rows.map((row) => ({ ...row, details: fromJson(row.details) as StatsDetails }));
}

/** The begin of the newest row of a step. By the primary key. */
export async function newestStats(sql: Sql, step: number): Promise<Date | undefined> {
  const [row] = await sql.rows<{ at: Date | null }>('SELECT MAX(at) AS at FROM mesh_stats WHERE step_s = ?', [step]);
  return row?.at ?? undefined;
}

/** Several rows as one that begins at `at`: counts are added, what stood at a moment is averaged over its minutes, the oldest wait is the longest. Undefined without any. */
export function mergeStats(at: Date, rows: readonly MeshStats[]): MeshStats | undefined {
  if (rows.length === 0) return undefined;
  const minutes = sum(rows.map((row) => row.minutes));
  const mean = (name: 'ready' | 'running' | 'scheduled' | 'blocked' | 'workers' | 'slots' | 'busy'): number =>
    Math.round(sum(rows.map((row) => row[name] * row.minutes)) / minutes);
  const total = (name: 'enqueued' | 'completed' | 'failed' | 'logins'): number => sum(rows.map((row) => row[name]));
  const details = rows.map((row) => row.details);
  return {
    ...{ at, minutes },
    ...{ ready: mean('ready'), running: mean('running'), scheduled: mean('scheduled'), blocked: mean('blocked') },
    oldest_s: longest(rows.map(({ oldest_s }) => oldest_s)),
    ...{ enqueued: total('enqueued'), completed: total('completed'), failed: total('failed'), logins: total('logins') },
    ...{ workers: mean('workers'), slots: mean('slots'), busy: mean('busy') },
    details: {
      queues: merged(rows.map(weighed), (some) => ({
        ready: Math.round(sum(some.map(({ ready }) => ready)) / minutes),
        running: Math.round(sum(some.map(({ running }) => running)) / minutes),
        oldest_s: longest(some.map(({ oldest_s }) => oldest_s)),
      })),
      types: merged(
        details.map(({ types }) => types),
        (some) => ({
          completed: sum(some.map(({ completed }) => completed)),
          failed: sum(some.map(({ failed }) => failed)),
        }),
      ),
      flow: merged(
        details.map(({ flow = {} }) => flow),
        (some) => ({ in: sum(some.map((one) => one.in)), out: sum(some.map((one) => one.out)) }),
      ),
      codes: merged(
        details.map(({ codes }) => codes),
        sum,
      ),
      sources: merged(
        details.map(({ sources }) => sources),
        (some) => ({
          answers: sum(some.map(({ answers }) => answers)),
          errors: sum(some.map(({ errors }) => errors)),
          p95_s: longest(some.map(({ p95_s }) => p95_s)),
        }),
      ),
      wait: addBuckets(details.map(({ wait }) => wait)),
      run: addBuckets(details.map(({ run }) => run)),
      login_fresh: addBuckets(details.map(({ login_fresh }) => login_fresh)),
    },
  };
}

/** The queues of a row, with what stood times its minutes. */
const weighed = ({ minutes, details }: MeshStats): StatsDetails['queues'] =>
  Object.fromEntries(
    Object.entries(details.queues).map(([queue, { ready, running, oldest_s }]) => [
      queue,
      { ready: ready * minutes, running: running * minutes, oldest_s },
    ]),
  );

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function longest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** By key, what `merge` makes of all values that stand there. */
function merged<T>(records: readonly Record<string, T>[], merge: (values: T[]) => T): Record<string, T> {
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  return Object.fromEntries(
    [...names].sort().map((name) => [name, merge(records.flatMap((record) => (record[name] === undefined ? [] : [record[name]])))]),
  );
}
