import { ledgerOf } from '../job-types/ledger.ts';
import { type Announcer, createAnnouncer } from '../ledger/announce.ts';
import { type Change, type Ledger, nowOf } from '../ledger/job.ts';
import { readMeshMetrics, statsOf } from '../ledger/read/metrics.ts';
import { readLoginToFresh, readLoginToJobsP95 } from '../logins/latency.ts';
import { freshnessRules } from '../market/freshness/freshness.ts';
import { readHeldFreshness } from '../market/freshness/held.ts';
import { LIMITED_SOURCES, readBudgets } from '../market/sources/budget.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { componentLogger, type Logger } from '../platform/log/log.ts';
import { type Endpoint, serveMetrics } from '../platform/monitoring/endpoint.ts';
import { type Alerts, createAlerts } from './alerts.ts';
import { type BrokerAlerts, listenToBroker } from './broker-alerts.ts';
import { type Duty, startDuties } from './duties.ts';
import { competeForLead, type Leadership } from './leadership.ts';
import { maintenanceDuties, type Outages, watchOutages } from './maintenance.ts';
import { createMetricsRenderer, type SchedulerMetrics } from './metrics.ts';
import { reannounceDuty } from './reannounce.ts';
import { listenToRefusals, type RefusedLogins } from './refused-logins.ts';
import { watchForDeaths } from './rescue.ts';
import { retentionDuty } from './retention.ts';
import { schedulesDuty } from './schedules.ts';
import { staleData } from './stale.ts';
import { minutesDuty } from './statistics/minutes.ts';
import { checkLimits } from './thresholds.ts';
import { createWatch, type Watch } from './watch/watch.ts';

/** What the scheduler's parts share. */
interface SchedulerParts extends Pick<ServiceContext, 'instance' | 'config' | 'clock' | 'db' | 'bus'> {
  log: Logger;
  ledger: Ledger;
  announcer: Announcer;
}

/**
 * The scheduler service. Every instance receives the last wills and serves the metrics port. One of them leads and does what must be done once: it starts what is
 * due, takes back jobs whose lease ended, cleans up, and publishes the statistics. Errors: those of `serveMetrics`.
 */
export async function startSchedulerService(context: ServiceContext): Promise<RunningService> {
  const { instance, config, clock, db, bus, dataFolder } = context;
  const log = componentLogger(context.log, 'scheduler');
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  const parts: SchedulerParts = { instance, config, clock, db, bus, log, ledger: ledgerOf(db, clock, config), announcer };
  const announcements = announceInBackground(parts);
  const metrics = cachedMetrics(parts);

  let leadership: Leadership | undefined;
  const refusedLogins = listenToRefusals(bus, config.monitoring.thresholds.max_refused_logins);
  const endpoint = await serveMetricsIfWanted(parts, { recent: metrics.recent, refusedLogins, leads: () => leadership?.leads ?? false });
  const alerts = config.monitoring.enabled ? createAlerts({ sql: db, bus, log, tells: tellsAlerts(config) }) : undefined;
  const stopListening = bus.onState((state) => {
    if (state === 'online') alerts?.restate();
  });
  const watch = createWatch(parts.ledger, config, dataFolder);
  const brokerAlerts = listenToBroker(bus);
  const outages = watchOutages(parts.ledger.leaseSeconds);
  const duties = leaderDuties(parts, {
    announce: announcements.announce,
    freshMetrics: metrics.fresh,
    recentMetrics: metrics.recent,
    alerts,
    watch,
    brokerAlerts,
    refusedLogins,
    outages,
  });
  const leading = competeForLead({
    db,
    clock,
    log,
    holder: instance,
    seconds: config.scheduler.lease,
    settleSeconds: Math.max(config.scheduler.lease, config.database.clock_interval),
    lead() {
      alerts?.forget();
      watch.forget();
      return startDuties(duties, log);
    },
    onLook: outages.saw,
  });
  leadership = leading;

  const rescuer = watchForDeaths({ bus, ledger: parts.ledger, log, announce: announcements.announce, schedulerEnded: leading.ended });

  return {
    async drain() {
      stopListening();
      await Promise.all([endpoint?.close(), brokerAlerts.close(), refusedLogins.close(), rescuer.close(), leading.stop()]);
      await announcements.ended();
    },
  };
}

/** Whether somebody is to be told of alerts. */
function tellsAlerts({ notify: { routes } }: ServiceContext['config']): boolean {
  return routes.some(({ on }) => on.includes('alert.raised') || on.includes('alert.cleared'));
}

/** Announces committed changes without waiting for the broker: one that hangs must not hold the ledger up. */
function announceInBackground({ announcer, log }: SchedulerParts): { announce(changes: readonly Change[]): void; ended(): Promise<void> } {
  const running = new Set<Promise<void>>();
  return {
    announce(changes) {
      if (changes.length === 0) return;
      const announcement = announcer
        .changed(changes)
        .catch((error: unknown) => log.warn({ code: codeOf(error) }, `not announced: ${messageOf(error)}`));
      running.add(announcement);
      void announcement.finally(() => running.delete(announcement));
    },
    async ended() {
      await Promise.all(running);
    },
  };
}

/** `recent`: not older than `scheduler.stats_interval`. */
function cachedMetrics({ db, ledger, config }: SchedulerParts): {
  fresh(): Promise<SchedulerMetrics>;
  recent(): Promise<SchedulerMetrics>;
} {
  async function read(): Promise<SchedulerMetrics> {
    const now = nowOf(ledger);
    const limit = config.stock_jobs.data_fetch.rate_limit;
    const [mesh, loginToJobsP95, loginToFresh, spent, held] = await Promise.all([
      readMeshMetrics(db.long, now, ledger),
      readLoginToJobsP95(db.long, now),
      readLoginToFresh(db.long, now),
      readBudgets(db.long, now),
      readHeldFreshness(db.long, ledger.clock.now(), freshnessRules(config).thresholds),
    ]);
    const budgets = LIMITED_SOURCES.map((source) => {
      const used = Math.min(spent.get(source)?.points ?? 0, limit);
      return { source, used, left: limit - used };
    });
    return { ...mesh, loginToJobsP95, loginToFresh, budgets, held };
  }
  let newest: { read: Promise<SchedulerMetrics>; at: number } | undefined;
  function fresh(): Promise<SchedulerMetrics> {
    newest = { read: read(), at: performance.now() };
    return newest.read;
  }
  return {
    fresh,
    recent: () => (newest !== undefined && performance.now() - newest.at < config.scheduler.stats_interval * 1000 ? newest.read : fresh()),
  };
}

async function serveMetricsIfWanted(
  { db, bus, log, announcer, config: { monitoring } }: SchedulerParts,
  { recent, refusedLogins, leads }: { recent: () => Promise<SchedulerMetrics>; refusedLogins: RefusedLogins; leads: () => boolean },
): Promise<Endpoint | undefined> {
  if (!monitoring.enabled || monitoring.port === 0) return undefined;
  return serveMetrics({
    monitoring,
    sql: db,
    bus,
    facts: () => ({ leads: leads() }),
    log,
    render: createMetricsRenderer({ db, bus, announcer, readMetrics: recent, refusals: refusedLogins.counts, leads, monitoring }).render,
  });
}

function leaderDuties(
  { bus, config, log, ledger, announcer }: SchedulerParts,
  {
    announce,
    freshMetrics,
    recentMetrics,
    alerts,
    watch,
    brokerAlerts,
    refusedLogins,
    outages,
  }: {
    announce(changes: readonly Change[]): void;
    freshMetrics(): Promise<SchedulerMetrics>;
    recentMetrics(): Promise<SchedulerMetrics>;
    alerts: Alerts | undefined;
    watch: Watch;
    brokerAlerts: BrokerAlerts;
    refusedLogins: RefusedLogins;
    outages: Outages;
  },
): Duty[] {
  const statistics: Duty = {
    name: 'statistics',
    everySeconds: config.scheduler.stats_interval,
    async run() {
      const metrics = await freshMetrics();
      await bus.publish('stats', { ...statsOf(metrics), freshness: metrics.held.counts });
      const checks = checkLimits(metrics, staleData(metrics.held, config.portfolio), config);
      if (alerts === undefined) return;
      const watched = await watch.checks(metrics);
      await alerts.look([...checks, ...watched, ...refusedLogins.checks(), ...brokerAlerts.checks()], metrics.at);
    },
  };
  return [
    ...maintenanceDuties({ ledger, config, announce, outages }),
    schedulesDuty({ ledger, config, announcer, log }),
    reannounceDuty(ledger, announcer, config),
    retentionDuty(ledger, config),
    statistics,
    minutesDuty(ledger, recentMetrics),
  ];
}
