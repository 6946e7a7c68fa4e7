import { createAnnouncer } from '../ledger/announce.ts';
import { type Change, nowOf } from '../ledger/job.ts';
import { ledgerOf } from '../ledger/ledger.ts';
import { type Figures, readFigures, statsOf } from '../ledger/read/metrics.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { componentLogger } from '../platform/log/log.ts';
import { createAlerts } from './alerts.ts';
import { type Duty, startDuties } from './duties.ts';
import { serveMetrics } from './endpoint.ts';
import { competeForLead, type Leadership } from './leadership.ts';
import { passageDuties } from './maintenance.ts';
import { createMetrics } from './metrics.ts';
import { reannounceDuty } from './reannounce.ts';
import { watchForDeaths } from './rescue.ts';
import { retentionDuty } from './retention.ts';
import { schedulesDuty } from './schedules.ts';
import { findStaleData } from './stale.ts';
import { judgeAll } from './thresholds.ts';

/**
 * The scheduler service. Every instance hears the last wills and answers on the metrics port; one of them leads and does what must be done once: starts what is due,
 * takes back what nobody renews, cleans up, says how the mesh does. Errors: those of `serveMetrics`.
 */
export async function startSchedulerService(context: ServiceContext): Promise<RunningService> {
  const { instance, config, clock, db, bus } = context;
  const log = componentLogger(context.log, 'scheduler');
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  const { scheduler, monitoring } = config;

  /** Announcements under way. Nobody waits for them: a broker that hangs must not hold the ledger up. */
  const telling = new Set<Promise<void>>();
  function tell(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const told = announcer
      .changed(changes)
      .catch((error: unknown) => log.warn({ code: codeOf(error) }, `not announced: ${messageOf(error)}`));
    telling.add(told);
    void told.finally(() => telling.delete(told));
  }

  let newest: { read: Promise<Figures>; at: number } | undefined;
  function freshFigures(): Promise<Figures> {
    newest = { read: readFigures(db, nowOf(ledger), ledger.leaseSeconds), at: performance.now() };
    return newest.read;
  }
  const recentFigures = (): Promise<Figures> =>
    newest !== undefined && performance.now() - newest.at < scheduler.stats_interval * 1000 ? newest.read : freshFigures();

  let leadership: Leadership | undefined;
  const leads = (): boolean => leadership?.leads ?? false;
  const endpoint =
    monitoring.enabled && monitoring.port !== 0
      ? await serveMetrics({
          monitoring,
          sql: db,
          bus,
          leads,
          log,
          metrics: createMetrics({ db, bus, announcer, figures: recentFigures, leads, monitoring }),
        })
      : undefined;

  const alerts = monitoring.enabled ? createAlerts({ sql: db, bus, log }) : undefined;
  const stopListening = bus.onState((state) => {
    if (state === 'online') alerts?.restate();
  });
  const statistics: Duty = {
    name: 'statistics',
    everySeconds: scheduler.stats_interval,
    async run() {
      const figures = await freshFigures();
      await bus.publish('stats', statsOf(figures));
      await alerts?.look(judgeAll(figures, await findStaleData(db, clock, config), config), figures.at);
    },
  };
  const duties = [
    ...passageDuties({ ledger, config, tell }),
    schedulesDuty({ ledger, config, announcer, log }),
    reannounceDuty(ledger, announcer, config),
    retentionDuty(ledger, config),
    statistics,
  ];
  const leading = competeForLead({
    db,
    clock,
    log,
    holder: instance,
    seconds: scheduler.lease,
    lead() {
      alerts?.forget();
      return startDuties(duties, log);
    },
  });
  leadership = leading;

  const rescuer = watchForDeaths({ bus, ledger, log, tell, schedulerEnded: leading.ended });
  const always = startDuties([{ name: 'rescue', everySeconds: scheduler.reap_interval, run: () => rescuer.retry() }], log);

  return {
    async drain() {
      stopListening();
      await Promise.all([endpoint?.close(), rescuer.close(), always.stop(), leading.stop()]);
      await Promise.all(telling);
    },
  };
}
