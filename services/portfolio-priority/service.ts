import { setFlagsFromString } from 'node:v8';
import { ledgerOf } from '../job-types/ledger.ts';
import { callWorkers, createAnnouncer } from '../ledger/announce.ts';
import { nowOf } from '../ledger/job.ts';
import { type Admission, BATCH, createAdmission } from '../logins/admission.ts';
import { startAnswering } from '../logins/pending-answers.ts';
import { startPrefetching } from '../logins/prediction.ts';
import { importOnce } from '../market/portfolios/import.ts';
import { usesEmbedded } from '../platform/connections.ts';
import { codeOf, InputError, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { componentLogger } from '../platform/log/log.ts';
import { serveProcessMetrics } from '../platform/monitoring/endpoint.ts';
import { renderMetrics } from '../platform/monitoring/metrics.ts';
import { createRefusals, refusalText } from '../platform/refusals.ts';
import { loginMetrics } from './metrics.ts';

export interface PortfolioPriorityService extends RunningService {
  counters: Admission['counters'];
}

/** Handlers that run at once: one batch is being committed while the next one collects. */
const AT_ONCE = 2 * BATCH;
/** Messages that wait for a handler: some 20 MB. */
const QUEUE_LIMIT = 100_000;
/**
 * By how many percent the heap grows before all of it is looked through for garbage again; V8's own choice is up to fourfold. The garbage of a burst outlives its transaction and
 * so the young space: collected late it was 200 of 350 MB. Set here, so that it holds however the service is started.
 */
const HEAP_GROWTH = 50;
/** Milliseconds between updates of the load in the presence. */
const LOAD_INTERVAL_MS = 1_000;

/** The portfolio-priority service: makes jobs of logins, answers what a dead process has left unanswered, fetches ahead of usual ones, imports the configured portfolios once. */
export async function startPortfolioPriorityService(context: ServiceContext): Promise<PortfolioPriorityService> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
  const { instance, config, clock, db, bus } = context;
  const log = componentLogger(context.log, 'portfolio');
  const ledger = { ...ledgerOf(db, clock, config), coming: callWorkers(bus) };
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  // Mosquitto does not restore a shared subscription after its restart: 691 of 2,104 acknowledged logins were lost so over 20 restarts, none with a plain one.
  const isShared = config.queue.mqtt.share_logins ?? usesEmbedded(config).broker;
  const admission = createAdmission({ ledger, announcer, bus, config, log, instance, heardByAll: () => bus.report().shared !== true });
  const { counters } = admission;
  const refusals = createRefusals({
    source: 'portfolio-priority',
    now: () => nowOf(ledger),
    publish: (message) =>
      void bus.publish('refused', message).catch((error: unknown) => log.warn({ code: codeOf(error) }, messageOf(error))),
  });

  const degraded = await importSources(context, log);
  const stopPrefetching = config.portfolio.predictive.enabled
    ? startPrefetching({ ledger, announcer, config, log, instance })
    : async () => {};
  const stopAnswering = startAnswering({ ledger, bus, log, instance, isAnswering: admission.isAnswering });
  const { metrics, commits } = loginMetrics(context, admission, refusals);
  const { monitoring } = config;
  const render = () => renderMetrics(metrics.registry, monitoring);
  const endpoint = await serveProcessMetrics('portfolio_priority', { monitoring, render, sql: db, bus, log });
  const logins = bus.subscribe(
    'login',
    {
      // Not before its jobs are committed: a login that was not acknowledged when a process dies is delivered again, and changes nothing that was done.
      acknowledge: 'handled',
      ...(isShared && { shared: 'portfolio-priority' }),
      concurrency: AT_ONCE,
      queueLimit: QUEUE_LIMIT,
      onRefused(error, { topic, payload }) {
        const { code, message, cause } = error;
        counters.refused++;
        // MQTT 3.1.1 does not say whose message it is.
        refusals.add({ code, text: refusalText(error), topic, bytes: payload.length });
        log.warn({ topic, code, ...(cause === undefined ? {} : { err: cause }) }, `login refused: ${message}`);
      },
    },
    async ({ body, unknownFields }) => {
      const started = performance.now();
      await admission.admitLogin(body);
      counters.unknownFields += unknownFields;
      commits.observe((performance.now() - started) / 1000);
    },
  );
  // Without capacity while it does not hear the broker: another instance that ends meanwhile must stay subscribed, or nobody would be, and most brokers acknowledge and drop what
  // nobody is subscribed to.
  const hears = (): boolean => {
    const { state, subscriptions } = bus.report();
    return state === 'online' && subscriptions.every(({ granted }) => granted);
  };
  const reportLoad = (): void => bus.updatePresence({ capacity: hears() ? AT_ONCE : 0, running: admission.waiting, degraded });
  reportLoad();
  void logins.ready.then(reportLoad);
  const reporting = setInterval(reportLoad, LOAD_INTERVAL_MS);

  return {
    counters,
    async drain(retire) {
      clearInterval(reporting);
      // The last one stays subscribed: the broker keeps the logins that come, and those that are not committed, for the next start. Any other one leaves: Mosquitto
      // gives an absent member of a group its share all the same (10 of 20 logins), which would wait for its return.
      const others = (await retire?.()) ?? false;
      await (others ? logins.leave() : logins.stop());
      await Promise.all([stopPrefetching(), stopAnswering()]);
      await admission.idle();
      refusals.stop();
      await endpoint?.close();
      log.info({ ...counters }, 'logins of this process');
    },
  };
}

/** Imports `portfolio.sources`. Gives a sentence for each that could not be imported; portfolios that are in the database already stay in use. */
async function importSources({ config, clock, db }: ServiceContext, log: ServiceContext['log']): Promise<string[]> {
  const failed: string[] = [];
  for (const { csv_file: file } of config.portfolio.sources) {
    try {
      const imported = await importOnce(db.long, file, new Date(clock.now().epochMilliseconds));
      if (imported !== undefined) log.info({ file, ...imported }, `portfolios of ${imported.users} users imported`);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      log.error({ file, code: error.code }, `portfolio.sources: ${error.message}`);
      failed.push(`portfolio.sources: ${file} was not imported (${error.code}); the log names the lines`.slice(0, 500));
    }
  }
  return failed;
}
