import { loadHandlers } from '../job-types/index.ts';
import { ledgerOf } from '../job-types/ledger.ts';
import { createAnnouncer } from '../ledger/announce.ts';
import { rescue } from '../ledger/maintain/rescue.ts';
import { symbolReader } from '../market/bars/reader.ts';
import { configuredChains } from '../market/options/sources/configured.ts';
import { configuredSources } from '../market/sources/configured.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { startWorker } from './worker.ts';

/** The worker service: wakes its worker for new jobs, reports its load, cancels jobs on demand. `chooseSources`, `chooseChains`: by default those of the configuration. */
export async function startWorkerService(
  context: ServiceContext,
  chooseSources = configuredSources,
  chooseChains = configuredChains,
): Promise<RunningService> {
  const { instance, config, log, clock, db, bus } = context;
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  // This worker may have been killed and started again under its own name: its jobs go back to the queue at once.
  await announcer.changed(await rescue(ledger, instance, `worker ${instance} was started again`));
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
    handlers: await loadHandlers({ sql: db, chains }),
    onLoad(running) {
      bus.updatePresence({ capacity, running });
    },
  });
  // The message only wakes the worker. The claim decides which worker gets the job.
  const doorbell = bus.onDoorbell('job', () => worker.wake());
  const stopListening = bus.onState((state) => {
    if (state === 'online') worker.wake();
  });

  return {
    patienceMs: config.worker.grace_period * 1000,
    cancel: (jobId) => worker.abort(jobId, 'cancelled by hand'),
    async drain() {
      stopListening();
      await doorbell.close();
      await worker.drain(config.worker.grace_period * 1000);
    },
  };
}
