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
  newestStats,
  readStatsRows,
  type StatsDetails,
  writeStats,
} from '../../platform/monitoring/mesh-stats.ts';
import { deleteOrphans, readHealth, type SourceHealth } from '../../platform/monitoring/source-health.ts';
import type { Duty } from '../duties.ts';

/** How often logins are looked at; their moment is that of their last job, not that of the look. */
const LOOK_SECONDS = 2;
/** Hours that are over and were not summed up by an earlier leader, so many at most. */
const MOST_HOURS = 48;

const begin = (at: Date, step: number): Date => new Date(Math.floor(at.getTime() / (step * 1000)) * step * 1000);

/** `readMetrics`: of this moment, or a few seconds old. A leader begins with the minute in which it became one. */
export function minutesDuty(ledger: Ledger, readMetrics: () => Promise<MeshMetrics>): Duty {
  const logins = followLogins();
  /** At the end of the minute before. */
  let health: readonly SourceHealth[] | undefined;
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
      const range = { from: minute, to: new Date(minute.getTime() + MINUTE_S * 1000) };
      await deleteOrphans(sql);
      const seen = await readHealth(sql);
      await writeStats(sql, MINUTE_S, await minuteRow(sql, range, await readMetrics(), fresh, askedSince(health, seen)));
      minute = present;
      fresh = [];
      health = seen;
      await writeHours(sql, begin(present, HOUR_S));
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
  const { types, flow, codes, wait, run, ...counts } = await readEnded(sql, from, to);
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
      ...{ types, flow, codes, sources, wait, run },
      login_fresh: bucketsOf(fresh),
    } satisfies StatsDetails,
  };
}

/** Sums up the hours that are over since the last one that was, by whichever leader. */
async function writeHours(sql: Sql, end: Date): Promise<void> {
  const newest = await newestStats(sql, HOUR_S);
  const from = Math.max((newest?.getTime() ?? 0) + HOUR_S * 1000, end.getTime() - MOST_HOURS * HOUR_S * 1000);
  if (from >= end.getTime()) return;
  const minutes = await readStatsRows(sql, MINUTE_S, new Date(from), end);
  for (const [hour, rows] of Map.groupBy(minutes, ({ at }) => begin(at, HOUR_S).getTime()))
    await writeStats(sql, HOUR_S, mergeStats(new Date(hour), rows) as MeshStats);
}

/** Requests to each source between two looks, by what each worker counts since its start. A worker that is met for the first time is counted from its start. */
function askedSince(
  before: readonly SourceHealth[] | undefined,
  rows: readonly SourceHealth[],
): Record<string, { answers: number; errors: number }> {
  const keyOf = ({ source, instance }: SourceHealth) => `${source} ${instance}`;
  const known = new Map(before?.map((row) => [keyOf(row), row]));
  const sums: Record<string, { answers: number; errors: number }> = {};
  for (const row of rows) {
    const { source, answers, errors } = row;
    // What was counted before this leader looked for the first time is of other minutes.
    const last = known.get(keyOf(row)) ?? (before === undefined ? row : { answers: 0, errors: 0 });
    // A worker that started again under its name counts from 0.
    const isAnew = answers < last.answers || errors < last.errors;
    sums[source] ??= { answers: 0, errors: 0 };
    sums[source].answers += answers - (isAnew ? 0 : last.answers);
    sums[source].errors += errors - (isAnew ? 0 : last.errors);
  }
  return sums;
}
