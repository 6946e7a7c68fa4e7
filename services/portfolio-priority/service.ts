import { randomUUID } from 'node:crypto';
import { ledgerOf } from '../job-types/ledger.ts';
import { createAnnouncer } from '../ledger/announce.ts';
import { removeInstance, reportInstance } from '../ledger/read/jobs.ts';
import { type Admission, BATCH, createAdmission } from '../logins/admission.ts';
import { startPrefetching } from '../logins/prediction.ts';
import { importOnce } from '../market/portfolios/import.ts';
import { InputError, messageOf } from '../platform/errors.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { componentLogger } from '../platform/log/log.ts';

export interface PortfolioPriorityService extends RunningService {
  /** The way of a login that did not come over MQTT, into the same batches. */
  admitLogin: Admission['admitLogin'];
  counters: Admission['counters'];
}

/** Handlers that run at once: one batch is being committed while the next ones collect. */
const AT_ONCE = 5 * BATCH;
/** Messages that wait for a handler: some 20 MB. */
const QUEUE_LIMIT = 100_000;

/** The portfolio-priority service: listens for logins and makes jobs of them, fetches ahead of usual ones, imports the configured portfolios once. */
export async function startPortfolioPriorityService(context: ServiceContext): Promise<PortfolioPriorityService> {
  const { instance, config, clock, db, bus } = context;
  const log = componentLogger(context.log, 'portfolio');
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  const admission = createAdmission({ ledger, announcer, bus, config, log });
  const { counters } = admission;
  const session = bus.session ?? randomUUID();
  const startedAt = new Date(clock.now().epochMilliseconds);

  const degraded = await importSources(context, log);
  const stopPrefetching = config.portfolio.predictive.enabled
    ? startPrefetching({ ledger, announcer, config, log, instance })
    : async () => {};
  const logins = bus.subscribe(
    'login',
    {
      // Not before its jobs are committed: what was not acknowledged when a process dies is delivered again, and changes nothing that was done.
      acknowledge: 'handled',
      shared: 'portfolio-priority',
      concurrency: AT_ONCE,
      queueLimit: QUEUE_LIMIT,
      onRefused({ code, message }, topic) {
        counters.refused++;
        log.warn({ topic, code }, `login refused: ${message}`);
      },
    },
    async ({ body }) => {
      await admission.admitLogin(body);
    },
  );

  const report = async (): Promise<void> => {
    const now = new Date(clock.now().epochMilliseconds);
    const running = Math.min(admission.waiting, 65_535);
    bus.updatePresence({ capacity: AT_ONCE, running, degraded });
    await reportInstance(db, {
      instance,
      service: 'portfolio-priority',
      session,
      capacity: AT_ONCE,
      running,
      started_at: startedAt,
      heartbeat_at: now,
    });
  };
  await report();
  const reporting = setInterval(
    () => report().catch((error: unknown) => log.warn(`sign of life not written: ${messageOf(error)}`)),
    (config.worker.heartbeat_interval * 1000) / 3,
  );

  return {
    admitLogin: admission.admitLogin,
    counters,
    async drain() {
      clearInterval(reporting);
      await logins.close();
      await stopPrefetching();
      await admission.idle();
      await removeInstance(db, instance);
      log.info({ ...counters }, 'logins of this process');
    },
  };
}

/** Imports `portfolio.sources`; gives a sentence for each that could not be. Portfolios that are in the database already go on being served. */
async function importSources({ config, clock, db }: ServiceContext, log: ServiceContext['log']): Promise<string[]> {
  const failed: string[] = [];
  for (const { csv_file: file } of config.portfolio.sources) {
    try {
      const imported = await importOnce(db, file, new Date(clock.now().epochMilliseconds));
      if (imported !== undefined) log.info({ file, ...imported }, `portfolios of ${imported.users} users imported`);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      log.error({ file, code: error.code }, `portfolio.sources: ${error.message}`);
      failed.push(`portfolio.sources: ${file} was not imported (${error.code}); the log names the lines`.slice(0, 500));
    }
  }
  return failed;
}
