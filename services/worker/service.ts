import { randomUUID } from 'node:crypto';
import { loadHandlers } from '../job-types/index.ts';
import { ledgerOf } from '../job-types/ledger.ts';
import { createAnnouncer } from '../ledger/announce.ts';
import { removeInstance, reportInstance } from '../ledger/read/jobs.ts';
import { rescue } from '../ledger/run/lease.ts';
import { symbolReader } from '../market/bars/reader.ts';
import { configuredChains } from '../market/options/sources/configured.ts';
import { configuredSources } from '../market/sources/configured.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { startWorker } from './worker.ts';

/** The worker service: listens for bells, reports its load, obeys cancel orders. `chooseSources`, `chooseChains`: by default those that the configuration names. */
export async function startWorkerService(
  context: ServiceContext,
  chooseSources = configuredSources,
  chooseChains = configuredChains,
): Promise<RunningService> {
  const { instance, config, log, clock, db, bus } = context;
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  // A worker that was killed and started again under its own name: what it was at goes back at once.
  await announcer.changed(await rescue(ledger, instance, `worker ${instance} was started anew`));
  const { all, real } = await chooseSources({ config, clock, db, log });
  const chains = await chooseChains({ config, clock, db, log });
  const capacity = config.worker.max_concurrent_jobs;
  const session = bus.session ?? randomUUID();
  const startedAt = new Date(clock.now().epochMilliseconds);
  let load = 0;
  const report = async (): Promise<void> => {
    const now = new Date(clock.now().epochMilliseconds);
    await reportInstance(db, { instance, service: 'worker', session, capacity, running: load, started_at: startedAt, heartbeat_at: now });
  };
  // Before there is anything to stop: what fails here fails the start.
  await report();
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
    handlers: await loadHandlers({ sql: db, chains }),
    onLoad(running) {
      load = running;
      bus.updatePresence({ capacity, running });
    },
  });
  // A bell only says "look": which worker gets the job is the claim's business.
  const bells = bus.hear('job', () => worker.wake());
  const stopListening = bus.onState((state) => {
    if (state === 'online') worker.wake();
  });
  const quietly = (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => log.warn({ code: codeOf(error) }, `sign of life not written: ${messageOf(error)}`));
  const reporting = setInterval(() => quietly(report()), (config.worker.heartbeat_interval * 1000) / 3);

  return {
    cancel: (jobId) => worker.abort(jobId, 'cancelled by hand'),
    async drain() {
      stopListening();
      await bells.close();
      // It is alive, and says so, until its last job has ended.
      await worker.drain(config.worker.grace_period * 1000);
      clearInterval(reporting);
      await quietly(removeInstance(db, instance));
    },
  };
}
