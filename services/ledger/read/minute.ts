/** What happened in the ledger within one minute, for the statistics that are kept. */
import type { Sql } from '../../platform/database/database.ts';
import { END_STATES } from '../../platform/job-states.ts';
import { addBuckets, type Buckets, bucketsOf } from '../../platform/monitoring/buckets.ts';
import { type EndState, isDone } from '../job.ts';
import { firstIdAt } from './jobs.ts';

export interface EndedJobs {
  enqueued: number;
  completed: number;
  failed: number;
  /** By type, of the newest jobs that were looked at. */
  types: Record<string, { completed: number; failed: number }>;
  /** By queue: asked for, and ended (of the newest jobs that were looked at). */
  flow: Record<string, { in: number; out: number }>;
  /** Jobs that ended other than completed, by code. */
  codes: Record<string, number>;
  /** From the request to the last start, and from there to the end. */
  wait: Buckets;
  run: Buckets;
}

/** Rows of jobs that are read for one minute: beyond it the newest stand for all, and the numbers by type are of these. */
const MOST_READ = 5_000;

/** Jobs that were asked for or ended in [from, to). Totals are exact: ix_ended and the primary key are counted. */
export async function readEnded(sql: Sql, from: Date, to: Date): Promise<EndedJobs> {
  const [enqueued, ended, jobs] = await Promise.all([
    sql.rows<{ queue: string; jobs: number }>(
      'SELECT queue, COUNT(*) AS jobs FROM jobs FORCE INDEX (PRIMARY) WHERE id >= ? AND id < ? GROUP BY queue',
      [firstIdAt(from), firstIdAt(to)],
    ),
    sql.rows<{ state: EndState; jobs: number }>(
      'SELECT state, COUNT(*) AS jobs FROM ended FORCE INDEX (ix_ended) WHERE state IN (?) AND ended_at >= ? AND ended_at < ? GROUP BY state',
      [END_STATES, from, to],
    ),
    Promise.all(
      END_STATES.map((state) =>
        sql.rows<{ type: string; queue: string; code: string | null; wait: number | null; run: number | null }>(
          `SELECT STRAIGHT_JOIN j.type, j.queue, e.code, TIMESTAMPDIFF(MICROSECOND, j.enqueued_at, e.started_at) / 1e6 AS wait, TIMESTAMPDIFF(MICROSECOND, e.started_at, e.ended_at) / 1e6 AS run
             FROM (SELECT job_id, code, started_at, ended_at FROM ended FORCE INDEX (ix_ended) WHERE state = ? AND ended_at >= ? AND ended_at < ? ORDER BY ended_at DESC, job_id DESC LIMIT ${MOST_READ}) e
             JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = e.job_id`,
          [state, from, to],
        ),
      ),
    ),
  ]);
  const of = (state: EndState): number => Number(ended.find((one) => one.state === state)?.jobs ?? 0);
  const types: EndedJobs['types'] = {};
  const codes: EndedJobs['codes'] = {};
  const flow: EndedJobs['flow'] = Object.fromEntries(enqueued.map((row) => [row.queue, { in: Number(row.jobs), out: 0 }]));
  for (const [index, state] of END_STATES.entries())
    for (const { type, queue, code } of jobs[index] ?? []) {
      flow[queue] ??= { in: 0, out: 0 };
      flow[queue].out++;
      types[type] ??= { completed: 0, failed: 0 };
      if (isDone(state)) types[type].completed++;
      else if (state === 'failed') types[type].failed++;
      if (code !== null && state !== 'completed') codes[code] = (codes[code] ?? 0) + 1;
    }
  const durations = (which: 'wait' | 'run'): Buckets =>
    addBuckets(jobs.map((some) => bucketsOf(some.flatMap((job) => (job[which] === null ? [] : [Math.max(0, Number(job[which]))])))));
  return {
    enqueued: enqueued.reduce((sum, row) => sum + Number(row.jobs), 0),
    completed: of('completed') + of('completed_with_errors'),
    failed: of('failed'),
    ...{ types, flow, codes },
    wait: durations('wait'),
    run: durations('run'),
  };
}
