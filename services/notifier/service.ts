/** The notifier service: tells people of events, by e-mail and webhook. Any number of them may run: each event is routed by one, each message sent by one. */
import { nowOf } from '../ledger/job.ts';
import type { Config } from '../platform/config/load.ts';
import { ConfigError, codeOf, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { componentLogger, type Logger } from '../platform/log/log.ts';
import { type Endpoint, serveProcessMetrics } from '../platform/monitoring/endpoint.ts';
import { createProcessMetrics, renderMetrics } from '../platform/monitoring/metrics.ts';
import { watchLeader } from './leader.ts';
import { createSender, type Sender } from './sender.ts';
import { deleteOld } from './store/clean-up.ts';
import { repeatLasting } from './store/repeats.ts';
import { routeEvents } from './store/route-events.ts';
import { NOTHING_WAITS, readWaiting, type Waiting } from './store/waiting.ts';

/** Seconds between clean-ups. */
const CLEAN_UP_SECONDS = 600;
/** Looks between counts of what waits, and looks for the leader. */
const COUNT_LOOKS = 10;

/** Errors: `ConfigError('notify.ca_file' | 'notify.no_secret')`. */
export async function startNotifierService(context: ServiceContext): Promise<RunningService> {
  const { config, clock, db } = context;
  requireSecret(config);
  const log = componentLogger(context.log, 'notifier');
  const { routes, poll_interval, keep_days } = config.notify;
  const sender = createSender({ db, clock, config, log, onOver: () => look() });
  const lookForLeader = watchLeader(db, config);
  let waiting: Waiting = NOTHING_WAITS;
  let looks = 0;
  let cleanedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let away = false;

  async function once(): Promise<void> {
    const now = nowOf({ clock });
    const { routed, more } = await routeEvents(db, routes, now);
    // Not before all events are routed: the end of an alert may be among them.
    if (routed === 0) await repeatLasting(db, routes, now);
    again ||= more;
    await sender.start();
    if (looks++ % COUNT_LOOKS === 0) {
      waiting = await readWaiting(db, now);
      await lookForLeader(now);
    }
    if (performance.now() - cleanedAt < CLEAN_UP_SECONDS * 1000) return;
    cleanedAt = performance.now();
    await deleteOld(db.long, keep_days, now);
  }

  async function lookUntilDone(): Promise<void> {
    do {
      again = false;
      try {
        await once();
        if (away) log.info('the database is back');
        away = false;
      } catch (error) {
        if (!away) log.warn({ code: codeOf(error) }, `messages wait until the next look: ${messageOf(error)}`);
        away = true;
        return;
      }
    } while (again && !stopped);
  }

  function look(): void {
    again = true;
    if (stopped) return;
    looking ??= lookUntilDone().finally(() => {
      looking = undefined;
    });
  }

  const endpoint = await serveNotifierMetrics(context, log, sender, () => waiting);
  const polling = setInterval(look, poll_interval * 1000);
  look();
  log.info(
    { routes: routes.map(({ name }) => name) },
    routes.length === 0 ? 'no route is configured (notify.routes): nobody is told of anything' : 'routes',
  );

  return {
    async drain() {
      stopped = true;
      clearInterval(polling);
      await looking;
      await sender.close();
      await endpoint?.close();
    },
  };
}

/** Not with the rest of the configuration, which is read by services that do not get this secret. */
function requireSecret({ gateway, notify }: Config): void {
  if (gateway.public_url === null || notify.email.from === null || notify.unsubscribe_secret !== null) return;
  throw new ConfigError(
    'notify.no_secret',
    'gateway.public_url is set, so mails have a link that ends them: notify.unsubscribe_secret must sign it; give notifier and gateway the same in STOCKMESH_UNSUBSCRIBE_SECRET ("openssl rand -hex 32" makes one), or leave gateway.public_url out',
  );
}

function serveNotifierMetrics(
  { config: { monitoring }, bus, clock, db }: ServiceContext,
  log: Logger,
  sender: Sender,
  waiting: () => Waiting,
): Promise<Endpoint | undefined> {
  const metrics = createProcessMetrics({ bus, clock, db });
  metrics.gauge('notify_events_waiting', 'Events that are not routed yet', () => waiting().events);
  metrics.gauge('notify_messages_waiting', 'Messages that are not sent yet', () => waiting().messages);
  metrics.gauge('notify_oldest_seconds', 'Age of the oldest message that is due', () => waiting().oldestSeconds);
  metrics.gauge('notify_messages_bounced', 'Messages that came back, of those that are kept', () => waiting().bounced);
  metrics.gauge('notify_addresses_stopped', 'Addresses that are not written to, since mail came back from there', () => waiting().stopped);
  metrics.gauge('notify_receivers_paused', 'Receivers that take nothing now', () => sender.paused().length);
  metrics.counters('notify_tries_total', 'Tries to send a message, by channel and what became of them', ['channel', 'outcome'], () =>
    Array.from(sender.counts, ([key, count]) => {
      const [channel = '', outcome = ''] = key.split(' ');
      return [{ channel, outcome }, count] as const;
    }),
  );
  return serveProcessMetrics('notifier', { monitoring, render: () => renderMetrics(metrics.registry, monitoring), sql: db, bus, log });
}
