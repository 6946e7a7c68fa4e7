/** The leader's duty that keeps the statistics: a row when a minute is over, and a row an hour. */
import type { Ledger } from '../../ledger/job.ts';
import { nowOf } from '../../ledger/job.ts';
import type { MeshMetrics } from '../../ledger/read/metrics.ts';
import { readEnded } from '../../ledger/read/minute.ts';
import { followLogins } from '../../logins/fresh.ts';
import type { Sql } from '../../platform/database/database.ts';
import { bucketsOf } from '../../platform/monitoring/buckets.ts';
import {
  HOUR_S,
  type MeshStats,
  MINUTE_S,
  mergeStats,
  readStatsRows,
  type StatsDetails,
  writeStats,
} from '../../platform/monitoring/mesh-stats.ts';
import { deleteOrphans, readHealth } from '../../platform/monitoring/source-health.ts';
import type { Duty } from '../duties.ts';

/** How often logins are looked at; their moment is that of their last job, not that of the look. */
const LOOK_SECONDS = 2;

const begin = (at: Date, step: number): Date => new Date(Math.floor(at.getTime() / (step * 1000)) * step * 1000);

/** `readMetrics`: of this moment, or a few seconds old. A leader begins with the minute in which it became one. */
export function minutesDuty(ledger: Ledger, readMetrics: () => Promise<MeshMetrics>): Duty {
  const logins = followLogins();
  const asked = askedSources();
  let minute: Date | undefined;
  let fresh: number[] = [];
  return {
    name: 'statistics of the minutes',
    everySeconds: LOOK_SECONDS,
    async run() {
      const sql = ledger.db.long;
      const now = nowOf(ledger);
      fresh.push(...(await logins.look(sql, now)));
      const present = begin(now, MINUTE_S);
      minute ??= present;
      if (present <= minute) return;
      const done = minute;
      const row = await minuteRow(
        sql,
        { from: done, to: new Date(done.getTime() + MINUTE_S * 1000) },
        await readMetrics(),
        fresh,
        await asked(sql),
      );
      await writeStats(sql, MINUTE_S, row);
      minute = present;
      fresh = [];
      const hour = begin(done, HOUR_S);
      if (begin(present, HOUR_S) > hour) await writeHour(sql, hour);
    },
  };
}

async function minuteRow(
  sql: Sql,
  { from, to }: { from: Date; to: Date },
  { ledger, workers, latencies }: MeshMetrics,
  fresh: readonly number[],
  asked: Record<string, { answers: number; errors: number }>,
): Promise<MeshStats> {
  const { types, codes, wait, run, ...counts } = await readEnded(sql, from, to);
  const total = (state: 'ready' | 'running' | 'scheduled' | 'blocked'): number =>
    ledger.queues.reduce((sum, queue) => sum + queue[state], 0);
  const waits = ledger.queues.flatMap(({ oldest_s }) => oldest_s ?? []);
  const p95 = new Map(latencies.map((one) => [one.source, one.p95]));
  const sources = Object.fromEntries(
    [...new Set([...p95.keys(), ...Object.keys(asked)])].map((source) => [
      source,
      { ...(asked[source] ?? { answers: 0, errors: 0 }), p95_s: p95.get(source) ?? null },
    ]),
  );
  return {
    ...{ at: from, minutes: 1 },
    ...{ ready: total('ready'), running: total('running'), scheduled: total('scheduled'), blocked: total('blocked') },
    oldest_s: waits.length === 0 ? null : Math.max(0, ...waits),
    ...counts,
    ...{ workers: workers.online, slots: workers.slots, busy: workers.busy },
    logins: fresh.length,
    details: {
      queues: Object.fromEntries(ledger.queues.map(({ queue, ready, running, oldest_s }) => [queue, { ready, running, oldest_s }])),
      ...{ types, codes, sources, wait, run },
      login_fresh: bucketsOf(fresh),
    } satisfies StatsDetails,
  };
}

async function writeHour(sql: Sql, hour: Date): Promise<void> {
  const row = mergeStats(hour, await readStatsRows(sql, MINUTE_S, hour, new Date(hour.getTime() + HOUR_S * 1000)));
  if (row !== undefined) await writeStats(sql, HOUR_S, row);
}

/** Requests to each source since the call before, by what each worker counts since its start. A worker that is met for the first time has no call before. */
function askedSources(): (sql: Sql) => Promise<Record<string, { answers: number; errors: number }>> {
  let before: Map<string, { answers: number; errors: number }> | undefined;
  return async (sql) => {
    await deleteOrphans(sql);
    const rows = await readHealth(sql);
    const sums: Record<string, { answers: number; errors: number }> = {};
    for (const { source, instance, answers, errors } of rows) {
      // A worker that started again under its name counts from 0.
      const last = before?.get(`${source} ${instance}`) ?? (before === undefined ? { answers, errors } : { answers: 0, errors: 0 });
      const isAnew = answers < last.answers || errors < last.errors;
      sums[source] ??= { answers: 0, errors: 0 };
      sums[source].answers += answers - (isAnew ? 0 : last.answers);
      sums[source].errors += errors - (isAnew ? 0 : last.errors);
    }
    before = new Map(rows.map(({ source, instance, answers, errors }) => [`${source} ${instance}`, { answers, errors }]));
    return sums;
  };
}
