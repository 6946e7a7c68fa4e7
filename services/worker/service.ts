import { setTimeout as delay } from 'node:timers/promises';
import { configuredHistory } from '../history/configured.ts';
import { loadHandlers } from '../job-types/index.ts';
import { ledgerOf } from '../job-types/ledger.ts';
import { type Announcer, createAnnouncer } from '../ledger/announce.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import { rescue } from '../ledger/maintain/rescue.ts';
import { symbolReader } from '../market/bars/reader.ts';
import { configuredChains } from '../market/options/sources/configured.ts';
import { configuredResearch } from '../market/research/configured.ts';
import { configuredSources } from '../market/sources/configured.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import type { Logger } from '../platform/log/log.ts';
import { serveProcessMetrics } from '../platform/monitoring/endpoint.ts';
import { createProcessMetrics, renderMetrics } from '../platform/monitoring/metrics.ts';
import { type Asked, watchSources } from './source-watch.ts';
import { createTally } from './tally.ts';
import { startWorker } from './worker.ts';

/** The worker service: wakes its worker for new jobs, reports its load, cancels jobs on demand. `chooseSources`, `chooseChains`: by default those of the configuration; `isolatedEntry`: the module of the process for isolated jobs, with the same sources. */
export async function startWorkerService(
  context: ServiceContext,
  chooseSources = configuredSources,
  chooseChains = configuredChains,
  isolatedEntry = new URL('./isolated-process.ts', import.meta.url),
): Promise<RunningService> {
  const { instance, log, clock, db, bus, dataFolder } = context;
  // The folder in use, for the process of isolated jobs too.
  const config = { ...context.config, storage: { data_folder: dataFolder } };
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  const earlierJobs = await takeBackEarlierJobs(instance, ledger, announcer, log);
  const tally = createTally();
  const sources = watchSources({ db, clock, instance, log });
  const onAttempt = (attempt: Asked): void => {
    tally.asked(attempt);
    sources.asked(attempt);
  };
  const { all, real } = await chooseSources({ config, clock, db, log, onAttempt });
  const chains = await chooseChains({ config, clock, db, log, onAttempt });
  const history = configuredHistory({ config, clock, db, log, dataFolder });
  const capacity = config.worker.max_concurrent_jobs;
  bus.updatePresence({ name: config.worker.name, capabilities: config.worker.capabilities.slice(), capacity, running: 0 });
  const worker = startWorker({
    workerId: instance,
    ledger,
    bus,
    announcer,
    sources: all,
    realSources: real,
    reader: symbolReader(db),
    config,
    log,
    handlers: await loadHandlers({ sql: db, db, chains, history: history.parts, research: configuredResearch({ config, clock, db, log }) }),
    isolatedEntry,
    tally,
    onLoad(running) {
      bus.updatePresence({ capacity, running });
    },
  });
  const metrics = createProcessMetrics({ bus, clock, db });
  tally.show(metrics);
  metrics.gauge('worker_jobs_running', 'Jobs whose handler runs in this process', () => worker.load().running);
  metrics.gauge(
    'worker_jobs_waiting',
    'Jobs that this process has claimed ahead and whose handler has not begun',
    () => worker.load().waiting,
  );
  metrics.gauge('worker_jobs_uncommitted', 'Jobs of this process that wait for their commit', () => worker.load().uncommitted);
  metrics.gauge('worker_capacity', 'Jobs that this process runs at once', () => capacity);
  const { monitoring } = config;
  const render = () => renderMetrics(metrics.registry, monitoring);
  const endpoint = await serveProcessMetrics('worker', { monitoring, render, sql: db, bus, log });
  // The message only wakes the worker. The claim decides which worker gets the job.
  const doorbells = (['work', 'job'] as const).map((kind) => bus.onDoorbell(kind, () => worker.wake()));
  const stopListening = bus.onState((state) => {
    if (state === 'online') worker.wake();
  });

  return {
    patienceMs: config.worker.grace_period * 1000,
    cancel: (jobId) => worker.abort(jobId, 'cancelled by hand'),
    async drain() {
      stopListening();
      await Promise.all([...doorbells.map((doorbell) => doorbell.close()), earlierJobs.stop()]);
      await worker.drain(config.worker.grace_period * 1000);
      await Promise.all([history.close(), sources.close()]);
      await endpoint?.close();
    },
  };
}

/** Pauses between looks for jobs of an earlier process, in milliseconds; the last one repeats. */
const LOOK_AGAIN_MS = [50, 100, 200, 400, 800, 1_000];

/**
 * This worker may have been killed and started again under its own name: its jobs go back to the queue at once. Rows that are locked at this moment, and what the
 * earlier process committed as it died, are looked for in the background for as long as a lease lasts. Errors of the first look: those of the database.
 */
async function takeBackEarlierJobs(
  instance: string,
  ledger: Ledger,
  announcer: Announcer,
  log: Logger,
): Promise<{ stop(): Promise<void> }> {
  const startedAt = nowOf(ledger);
  const end = performance.now() + ledger.leaseSeconds * 1000;
  const stopping = new AbortController();
  async function look(): Promise<number> {
    const { changes, left } = await rescue(ledger, instance, `worker ${instance} was started again`, startedAt);
    await announcer.changed(changes);
    return left;
  }
  async function lookAgain(left: number): Promise<void> {
    for (let looks = 0; left > 0 || performance.now() < end; looks++) {
      await delay(LOOK_AGAIN_MS[Math.min(looks, LOOK_AGAIN_MS.length - 1)], undefined, { signal: stopping.signal });
      try {
        left = await look();
      } catch (error) {
        log.warn({ code: codeOf(error) }, `could not look for jobs of an earlier ${instance}, trying again: ${messageOf(error)}`);
      }
    }
  }
  const looking = lookAgain(await look()).catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });
  return {
    async stop() {
      stopping.abort();
      await looking;
    },
  };
}
