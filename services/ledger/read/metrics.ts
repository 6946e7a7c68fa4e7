/** The metrics of the mesh: published on `mesh/stats`, judged by the alerts, shown on `/metrics`. */

import type { Sql } from '../../platform/database/database.ts';
import type { Draft } from '../../platform/messages.ts';
import { listInstances } from '../../platform/registry/instances.ts';
import type { Ledger } from '../job.ts';
import { type LedgerStats, readStats } from './jobs.ts';

export interface Latency {
  source: string;
  /** Seconds, 95th percentile by nearest rank. */
  p95: number;
  answers: number;
}

export interface InstanceClock {
  service: string;
  instance: string;
  /** Seconds by which the machine's clock is ahead of the database's; negative: behind. */
  offset_s: number;
}

export interface MeshMetrics {
  at: Date;
  ledger: LedgerStats;
  workers: { online: number; slots: number; busy: number };
  /** Capabilities that ready jobs need and no live worker has. */
  missing: string[];
  /** Capabilities of live workers with a free place. */
  free: string[];
  /** Busy slots ÷ slots, 0 when there is no worker. */
  utilisation: number;
  /** How fast each source answered recently, from the jobs whose type `measuresSource`. */
  latencies: Latency[];
  /** The clocks of the instances that are alive and have measured theirs. */
  clocks: InstanceClock[];
}

/** Milliseconds. Jobs that ended earlier do not count in the present latency. */
export const LATENCY_WINDOW_MS = 300_000;
/** At most this many of the newest jobs are read for a latency, which limits the read on a busy mesh. */
export const LATENCY_ROWS = 1000;

/** Reads all metrics at `now`. A worker counts as online when its last heartbeat is at most `leaseSeconds` old. */
export async function readMeshMetrics(
  sql: Sql,
  now: Date,
  { leaseSeconds, types }: Pick<Ledger, 'leaseSeconds' | 'types'>,
): Promise<MeshMetrics> {
  const [ledger, instances, latencies, needed] = await Promise.all([
    readStats(sql, now),
    listInstances(sql, new Date(now.getTime() - leaseSeconds * 1000)),
    readLatencies(sql, now, types),
    // From one to the next in ix_type, without its rows in between.
    sql.rows<{ capability: string }>(
      "SELECT DISTINCT capability FROM ready FORCE INDEX (ix_type) WHERE capability > '' ORDER BY capability",
    ),
  ]);
  const workers = instances.filter(({ service }) => service === 'worker');
  const slots = workers.reduce((sum, { capacity }) => sum + capacity, 0);
  // Counted in the ledger: a worker's own row is some seconds old. Jobs of a dead worker count until they are taken back, so at most all slots are busy.
  const running = ledger.queues.reduce((sum, queue) => sum + queue.running, 0);
  const busy = Math.min(slots, running);
  const clocks = instances.flatMap(({ service, instance, clock_offset_s: offset_s }) =>
    offset_s === null ? [] : [{ service, instance, offset_s }],
  );
  const had = new Set(workers.flatMap(({ capabilities }) => capabilities));
  const withPlace = workers.filter(({ capacity, running }) => running < capacity);
  return {
    at: now,
    ledger,
    missing: needed.flatMap(({ capability }) => (had.has(capability) ? [] : [capability])),
    free: [...new Set(withPlace.flatMap(({ capabilities }) => capabilities))],
    workers: { online: workers.length, slots, busy },
    utilisation: slots === 0 ? 0 : busy / slots,
    latencies,
    clocks,
  };
}

/** How fast each source has answered lately. Walks ix_ended, at most `LATENCY_ROWS`. */
export async function readLatencies(sql: Sql, now: Date, types: Ledger['types']): Promise<Latency[]> {
  const measuring = Object.entries(types).flatMap(([type, { measuresSource }]) => (measuresSource ? [type] : []));
  if (measuring.length === 0) return [];
  const rows = await sql.rows<{ source: string; ms: number }>(
    `SELECT JSON_UNQUOTE(JSON_EXTRACT(r.result, '$.source')) AS source, JSON_EXTRACT(r.result, '$.ms') + 0 AS ms
       FROM (SELECT job_id, result FROM ended FORCE INDEX (ix_ended) WHERE state = 'completed' AND ended_at > ? ORDER BY ended_at DESC, job_id DESC LIMIT ${LATENCY_ROWS}) r
       JOIN jobs j ON j.id = r.job_id
      WHERE j.type IN (?) AND JSON_EXTRACT(r.result, '$.ms') IS NOT NULL`,
    [new Date(now.getTime() - LATENCY_WINDOW_MS), measuring],
  );
  return [...Map.groupBy(rows, ({ source }) => source)].map(([source, group]) => {
    const times = group.map(({ ms }) => ms / 1000);
    return { source, p95: percentile(times, 0.95), answers: group.length };
  });
}

/** By nearest rank: the smallest value that is at least as large as this share of all values. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? Number.NaN;
}

/** The content of `mesh/stats`. */
export function statsOf({ at, ledger, workers, utilisation }: MeshMetrics): Draft<'stats'> {
  const perSecond = (lastMinute: number): number => Number((lastMinute / 60).toFixed(3));
  return {
    at: at.toISOString(),
    depth: ledger.depth,
    queues: ledger.queues.map((queue) => ({
      ...queue,
      oldest_s: queue.oldest_s === null ? null : Math.max(0, Number(queue.oldest_s.toFixed(3))),
    })),
    rates: {
      enqueued_per_s: perSecond(ledger.enqueued_last_minute),
      completed_per_s: perSecond(ledger.completed_last_minute),
      failed_per_s: perSecond(ledger.failed_last_minute),
    },
    workers,
    utilisation: Number(utilisation.toFixed(4)),
  };
}
