/** The metrics endpoint's text. The mesh's metrics are read from the database at each request, so every scheduler answers the same. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Announcer } from '../ledger/announce.ts';
import type { MeshMetrics } from '../ledger/read/metrics.ts';
import type { LoginToFresh } from '../logins/latency.ts';
import type { HeldFreshness } from '../market/freshness/held.ts';
import type { Bus } from '../platform/bus/bus.ts';
import type { Config } from '../platform/config/load.ts';
import type { Database } from '../platform/database/database.ts';
import { TransientError } from '../platform/errors.ts';
import { labelled, type MetricsText, renderMetrics } from '../platform/monitoring/metrics.ts';
import { processRegistry } from '../platform/monitoring/process-metrics.ts';
import type { RefusedLogins } from './refused-logins.ts';

export interface SchedulerMetrics extends MeshMetrics {
  /** Seconds; null while no user has signed in lately. */
  loginToJobsP95: number | null;
  /** Null while no login had jobs lately. */
  loginToFresh: LoginToFresh | null;
  /** Requests of the present minute to each source that has a limit. */
  budgets: readonly { source: string; used: number; left: number }[];
  /** Of the held and watched symbols. */
  held: HeldFreshness;
}

export interface MetricsRendererOptions {
  db: Pick<Database, 'rows' | 'retries'>;
  bus: Pick<Bus, 'state' | 'report'>;
  announcer: Pick<Announcer, 'missed'>;
  /** Not older than `scheduler.stats_interval`. */
  readMetrics: () => Promise<SchedulerMetrics>;
  /** What `events/refused` has told. */
  refusals: RefusedLogins['counts'];
  leads: () => boolean;
  monitoring: Config['monitoring'];
}

export interface MetricsRenderer {
  /** Everything as it is now, in the configured format. While the database is away the metrics of the mesh are left out and `stockmesh_database_up` is 0. */
  render(): Promise<MetricsText>;
}

export function createMetricsRenderer({
  db,
  bus,
  announcer,
  readMetrics,
  refusals,
  leads,
  monitoring,
}: MetricsRendererOptions): MetricsRenderer {
  const runtime = processRegistry();

  async function meshIfReachable(): Promise<Registry | undefined> {
    try {
      const [now, alerts] = await Promise.all([readMetrics(), db.rows<{ name: string; state: string }>('SELECT name, state FROM alerts')]);
      return meshRegistry(now, alerts, monitoring.stock_metrics);
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      return undefined;
    }
  }

  function ownRegistry(databaseUp: boolean): Registry {
    const { registry, gauge, counter, counters } = emptyRegistry();
    gauge('database_up', '1 when the database answers this process', [[{}, databaseUp ? 1 : 0]]);
    gauge('broker_up', '1 when this process is connected to the broker', [[{}, bus.state === 'online' ? 1 : 0]]);
    gauge('scheduler_leads', '1 when this scheduler is the leader', [[{}, leads() ? 1 : 0]]);
    counter(
      'transaction_retries_total',
      "Transactions of this process that were run again, by the server's error number",
      'errno',
      db.retries,
    );
    counter('missed_bells_total', 'Announcements of this process that the broker did not take, by code', 'code', announcer.missed);
    counter('bus_messages_total', 'Messages of this process by what became of them', 'outcome', Object.entries(bus.report().counters));
    counters(
      'refusals_told_total',
      'Refused logins and publishes of which this process was told (events/refused), by who refused and the code of the reason',
      ['source', 'code'],
      refusals().map(({ count, ...labels }) => [labels, count]),
    );
    return registry;
  }

  return {
    async render() {
      const mesh = await meshIfReachable();
      const all = Registry.merge([...(mesh === undefined ? [] : [mesh]), ownRegistry(mesh !== undefined), runtime]);
      return renderMetrics(all, monitoring);
    },
  };
}

type Samples = readonly (readonly [labels: Record<string, string | number>, value: number])[];

/** A registry for one answer: what is not there any more (a source, an alert) leaves nothing behind. */
function emptyRegistry() {
  const registry = new Registry();
  function counters(name: string, help: string, labelNames: string[], samples: Samples): void {
    const one = new Counter({ name: `stockmesh_${name}`, help, labelNames, registers: [registry] });
    for (const [labels, count] of samples) one.inc(labels, count);
  }
  return {
    registry,
    counters,
    gauge(name: string, help: string, samples: Samples): void {
      const one = new Gauge({ name: `stockmesh_${name}`, help, labelNames: Object.keys(samples[0]?.[0] ?? {}), registers: [registry] });
      for (const [labels, value] of samples) one.set(labels, value);
    },
    counter(name: string, help: string, label: string, counts: Iterable<readonly [string | number, number]>): void {
      counters(name, help, [label], labelled(label, counts));
    },
  };
}

type ShowGauge = ReturnType<typeof emptyRegistry>['gauge'];

/** How fast sources answer and logins become jobs and fresh data, and what is left of the sources' budgets. */
function showTimes(
  gauge: ShowGauge,
  { latencies, loginToJobsP95, loginToFresh, budgets }: Pick<SchedulerMetrics, 'latencies' | 'loginToJobsP95' | 'loginToFresh' | 'budgets'>,
  kept: Config['monitoring']['stock_metrics'],
): void {
  if (kept.fetch_latency)
    gauge(
      'fetch_latency_p95_seconds',
      '95th percentile of the fetches of the last five minutes, by source',
      latencies.map(({ source, p95 }) => [{ source }, p95]),
    );
  if (kept.portfolio_timing && loginToJobsP95 !== null)
    gauge('login_to_jobs_p95_seconds', '95th percentile of the time from a login to its jobs, last five minutes', [[{}, loginToJobsP95]]);
  if (kept.portfolio_timing && loginToFresh !== null) {
    gauge('login_to_fresh_p50_seconds', 'Median time from a login to fresh data, last five minutes', [[{}, loginToFresh.p50]]);
    gauge('login_to_fresh_p99_seconds', '99th percentile of the time from a login to fresh data, last five minutes', [
      [{}, loginToFresh.p99],
    ]);
  }
  gauge(
    'source_budget_requests',
    'Requests of all workers to a source in the present minute, and how many are left of stock_jobs.data_fetch.rate_limit',
    budgets.flatMap(({ source, used, left }) => [[{ source, use: 'used' }, used] as const, [{ source, use: 'left' }, left] as const]),
  );
}

function meshRegistry(
  { ledger, workers, utilisation, clocks, held, ...measured }: SchedulerMetrics,
  alerts: readonly { name: string; state: string }[],
  kept: Config['monitoring']['stock_metrics'],
): Registry {
  const { registry, gauge } = emptyRegistry();
  if (kept.queue_depth)
    gauge(
      'queue_depth',
      'Waiting jobs (ready and blocked) by priority; 1 is the most urgent',
      Array.from({ length: 10 }, (_, at) => [{ priority: at + 1 }, ledger.depth[at + 1] ?? 0]),
    );
  gauge(
    'jobs',
    'Live jobs by queue and state',
    ledger.queues.flatMap(({ queue, ready, running, scheduled, blocked }) =>
      Object.entries({ ready, running, scheduled, blocked }).map(([state, count]) => [{ queue, state }, count] as const),
    ),
  );
  gauge(
    'queue_oldest_seconds',
    'How long the oldest ready job of a queue has waited; 0 when none waits',
    ledger.queues.map(({ queue, oldest_s }) => [{ queue }, oldest_s ?? 0]),
  );
  gauge('jobs_per_second', 'Jobs enqueued, completed and failed, averaged over the last minute', [
    [{ event: 'enqueued' }, ledger.enqueued_last_minute / 60],
    [{ event: 'completed' }, ledger.completed_last_minute / 60],
    [{ event: 'failed' }, ledger.failed_last_minute / 60],
  ]);
  gauge('failed_jobs', 'Failed jobs that are kept, the dead letter', [[{}, ledger.failed]]);
  gauge('workers_online', 'Workers that gave a sign of life within a lease', [[{}, workers.online]]);
  if (kept.worker_efficiency) {
    gauge('worker_slots', 'Slots of all workers by use', [
      [{ use: 'busy' }, workers.busy],
      [{ use: 'free' }, workers.slots - workers.busy],
    ]);
    gauge('worker_utilisation', 'Busy slots divided by slots', [[{}, utilisation]]);
  }
  showTimes(gauge, measured, kept);
  gauge(
    'held_symbols',
    'Held and watched symbols by the freshness of their price; outdated: the sources have nothing newer',
    Object.entries(held.counts).map(([freshness, count]) => [{ freshness }, count]),
  );
  gauge('held_symbols_simulated', 'Held and watched symbols whose newest price is made up', [[{}, held.simulated]]);
  gauge(
    'clock_offset_seconds',
    "How far the clock of an instance's machine is ahead of the database's; negative: behind",
    clocks.map(({ service, instance, offset_s }) => [{ service, instance }, offset_s]),
  );
  gauge(
    'alert_raised',
    '1 while the alert is raised',
    alerts.map(({ name, state }) => [{ name }, state === 'raised' ? 1 : 0]),
  );
  return registry;
}
