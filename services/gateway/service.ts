/** The gateway service: the HTTP API and the live stream. Any number of them may run; none keeps anything that another needs. */
import type { AddressInfo } from 'node:net';
import { ledgerOf } from '../job-types/ledger.ts';
import { callWorkers, createAnnouncer } from '../ledger/announce.ts';
import { createEnqueuer } from '../ledger/enqueue/enqueuer.ts';
import { nowOf } from '../ledger/job.ts';
import { createEstimator } from '../ledger/read/estimate.ts';
import { createAdmission } from '../logins/admission.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { componentLogger } from '../platform/log/log.ts';
import { assertPortFree } from '../platform/machine/ports.ts';
import { createRefusals } from '../platform/refusals.ts';
import { createQuotas } from './auth/quotas.ts';
import { configuredHistory, previewedSources } from './history/configured.ts';
import { buildServer } from './http/server.ts';
import { createLive } from './live/live.ts';
import { createStreams } from './live/streams.ts';
import { startCallbacks } from './webhooks/callback-sender.ts';

export interface GatewayService extends RunningService {
  /** The address that it listens on: `http://127.0.0.1:8787`. */
  url: string;
}

/** Milliseconds that running requests get when the service stops. */
const CLOSE_MS = 5_000;

/** Errors: `ConfigError('port.in_use' | 'port.not_permitted' | 'port.unusable' | 'tls.unreadable' | 'tls.unusable')`, before anything has started. */
export async function startGatewayService(context: ServiceContext): Promise<GatewayService> {
  const { config, clock, db, bus } = context;
  const log = componentLogger(context.log, 'gateway');
  const { host, port } = config.gateway;
  if (port !== 0) await assertPortFree({ host, port, option: '--http-port (gateway.port)' });
  const ledger = { ...ledgerOf(db, clock, config), coming: callWorkers(bus) };
  const announcer = createAnnouncer({ bus, sql: db, clock, log });

  const announcements = new Set<Promise<void>>();
  function track(announcement: Promise<void>): void {
    const ended = announcement.catch((error: unknown) => log.warn({ code: codeOf(error) }, `not announced: ${messageOf(error)}`));
    announcements.add(ended);
    void ended.finally(() => announcements.delete(ended));
  }

  const admission = createAdmission({ ledger, announcer, bus, config, log, instance: context.instance });
  const loginRefusals = createRefusals({
    source: 'gateway',
    now: () => nowOf(ledger),
    publish: (message) => track(bus.publish('refused', message)),
  });
  const live = createLive(bus);
  const callbacks = startCallbacks({ db, clock, config, log });
  live.onEnded(callbacks.ring);
  const history = configuredHistory(context, log);
  const app = await buildServer({
    ...{ config, clock, log, db, bus, ledger, announcer, admission, loginRefusals, live, callbacks, history },
    historySources: previewedSources(context, log),
    loaded: context.loaded,
    streams: createStreams(config.gateway.events, log),
    enqueuer: createEnqueuer(ledger, { onCommitted: (answers) => track(announcer.enqueued(answers)) }),
    estimator: createEstimator(ledger),
    quotas: createQuotas(db, config),
    announce: (changes) => track(announcer.changed(changes)),
  });
  // By the name fastify would make two servers, and only the first would have the limits.
  await app.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port });
  const address = app.server.address() as AddressInfo;
  const scheme = config.gateway.tls.cert_file === null ? 'http' : 'https';
  const url = `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  log.info({ url }, `HTTP API on ${url}, its documentation on ${url}/docs`);

  return {
    url,
    async drain() {
      const late = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
      await app.close();
      clearTimeout(late);
      loginRefusals.stop();
      await Promise.all([live.close(), callbacks.close(), history.close()]);
      await Promise.all([...announcements, admission.idle()]);
    },
  };
}
