import { analysisHandler } from '../job-types/analysis/handler.ts';
import { batchFetchHandler } from '../job-types/batch-fetch/handler.ts';
import { fetchHandler } from '../job-types/fetch/handler.ts';
import { rankHandler } from '../job-types/rank/handler.ts';
import { createAnnouncer } from '../ledger/announce.ts';
import { ledgerOf } from '../ledger/ledger.ts';
import { rescue } from '../ledger/run/lease.ts';
import { symbolReader } from '../market/bars/reader.ts';
import { configuredChains } from '../market/options/sources/configured.ts';
import { configuredSources } from '../market/sources/configured.ts';
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
    handlers: [fetchHandler, batchFetchHandler, analysisHandler, rankHandler({ sql: db, chains })],
    onLoad(running) {
      bus.updatePresence({ capacity, running });
    },
  });
  // A bell only says "look": which worker gets the job is the claim's business.
  const bells = bus.onDoorbell('job', () => worker.wake());
  const stopListening = bus.onState((state) => {
    if (state === 'online') worker.wake();
  });

  return {
    cancel: (jobId) => worker.abort(jobId, 'cancelled by hand'),
    async drain() {
      stopListening();
      await bells.close();
      await worker.drain(config.worker.grace_period * 1000);
    },
  };
}
