/** This project's ledger, with the parts that its services are made of. */

import type { Handler } from '../../../services/job-types/handler.ts';
import { ledgerOf } from '../../../services/job-types/ledger.ts';
import { type Announcer, callWorkers, createAnnouncer } from '../../../services/ledger/announce.ts';
import { type EnqueueAnswer, enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { createEnqueuer } from '../../../services/ledger/enqueue/enqueuer.ts';
import { type Ledger, rulesOf } from '../../../services/ledger/job.ts';
import { TABLES_BY_JOB } from '../../../services/ledger/maintain/delete.ts';
import { symbolReader } from '../../../services/market/bars/reader.ts';
import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import { type Bus, connectBus } from '../../../services/platform/bus/bus.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { type Config, loadConfig } from '../../../services/platform/config/load.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../../services/platform/database/database.ts';
import { startWorker } from '../../../services/worker/worker.ts';
import { silent } from '../processes/servers.ts';
import type { Consumer, ConsumerOptions, Payload, Producer } from './contender.ts';

export interface LedgerAddress {
  database: DatabaseOptions;
  /** May empty tables, which the services' account may not. */
  root: DatabaseOptions;
  /** Of the embedded broker; absent: the mesh without a broker, which polls. */
  broker?: { host: string; port: number; username: string; password: string } | undefined;
}

/** The shipped configuration, but with room for a million waiting jobs and as many at once as is measured. */
export function benchConfig(concurrency = 5): Config {
  const room = (queue: string) => [`queue.priority_queues.${queue}.max_jobs`, { value: 3_000_000, option: 'bench' }] as const;
  const overrides = Object.fromEntries([
    ...(['foreground', 'background_fetch', 'background_analysis'] as const).map(room),
    ['worker.max_concurrent_jobs', { value: concurrency, option: 'bench' }] as const,
  ]);
  return loadConfig({ environment: 'development', files: [], overrides }).config;
}

export interface OpenLedger {
  db: Database;
  ledger: Ledger;
  bus: Bus | undefined;
  announcer: Announcer | undefined;
  close(): Promise<void>;
}

export async function openLedger({ database, broker }: LedgerAddress, role: string, config = benchConfig()): Promise<OpenLedger> {
  const db = openDatabase({ ...database, maxConnections: config.database.pool.max_connections });
  const bus =
    broker === undefined
      ? undefined
      : connectBus({ ...broker, service: role, instance: `bench-${role}-${process.pid}`, version: '0', log: silent });
  await bus?.online(AbortSignal.timeout(10_000));
  const ledger = { ...ledgerOf(db, systemClock, config), coming: bus && callWorkers(bus) };
  return {
    db,
    ledger,
    bus,
    announcer: bus && createAnnouncer({ bus, sql: db, clock: systemClock, log: silent }),
    async close() {
      await bus?.close();
      await db.close();
    },
  };
}

/** What a request carries besides the payload: nothing, as with the other queues, or what a login's jobs have. */
export type Shape = 'plain' | 'with key and user';

export function jobRequest(payload: Payload, shape: Shape): JobRequest {
  return {
    type: 'fetch',
    symbol: payload.symbol,
    payload: { ...payload },
    level: 1,
    score: 0.5,
    why: { text: 'bench' },
    triggeredBy: 'user_login',
    whenFull: 'refuse',
    ...(shape === 'plain' ? {} : { user: `user-${payload.number % 1000}`, dedupeKey: `fetch:${payload.symbol}:${payload.number}` }),
  };
}

export async function ledgerProducer(address: LedgerAddress, shape: Shape = 'plain'): Promise<Producer> {
  const { db, ledger, announcer, close } = await openLedger(address, 'enqueuer');
  const enqueuer = createEnqueuer(ledger, { onCommitted: (answers) => void announcer?.enqueued(answers) });
  return {
    async one(payload) {
      assertQueued([await enqueuer.enqueue(jobRequest(payload, shape))]);
    },
    async many(payloads) {
      const answers = await enqueue(
        ledger,
        payloads.map((payload) => jobRequest(payload, shape)),
      );
      assertQueued(answers);
      void announcer?.enqueued(answers);
    },
    unfinished: () => countUnfinished(db),
    clear: () => clearLedger(address.root),
    close,
  };
}

function assertQueued(answers: readonly EnqueueAnswer[]): void {
  const odd = answers.find(({ outcome }) => outcome !== 'queued');
  if (odd !== undefined) throw new Error(`not queued: ${JSON.stringify(odd)}`);
}

/** The rows of the live states: of a drained ledger it reads nothing. */
export async function countUnfinished(db: Database): Promise<number> {
  const [row] = await db.rows<{ jobs: number }>(
    `SELECT (SELECT COUNT(*) FROM ready) + (SELECT COUNT(*) FROM running) + (SELECT COUNT(*) FROM scheduled) + (SELECT COUNT(*) FROM blocked) AS jobs`,
  );
  return row?.jobs ?? 0;
}

/** TRUNCATE and not DELETE: what a round leaves behind must not slow the next one. The users' slots stay, since the ledger knows that it has made them. */
export async function clearLedger(root: DatabaseOptions): Promise<void> {
  const db = openDatabase({ ...root, maxConnections: 1 });
  for (const table of ['jobs', ...TABLES_BY_JOB, 'slot_waits']) await db.run(`TRUNCATE TABLE ${table}`);
  await db.close();
}

/** The worker loop of `services/worker` with a handler that does nothing. */
export async function ledgerConsumer(address: LedgerAddress, { concurrency, started }: ConsumerOptions): Promise<Consumer> {
  const config = benchConfig(concurrency);
  const { db, ledger, bus, announcer, close } = await openLedger(address, 'worker', config);
  const handler: Handler = {
    type: 'fetch',
    logComponent: 'fetcher',
    async run(payload) {
      started(payload as Payload);
      return { rows: [], result: {}, dataMessages: [] };
    },
    async store() {},
  };
  const offline = { publish: async () => {}, state: 'offline' as const };
  const noSources = failoverSource({
    sources: [],
    clock: systemClock,
    log: silent,
    timeoutMs: 1000,
    breaker: { failures: 1, openMs: 1000 },
  });
  const worker = startWorker({
    workerId: `bench-${process.pid}`,
    // A worker runs all types of its ledger unless somebody says otherwise; here there is one.
    ledger: { ...ledger, types: { fetch: rulesOf(ledger, 'fetch') } },
    bus: bus ?? offline,
    announcer: announcer ?? createAnnouncer({ bus: offline, sql: db, clock: systemClock, log: silent }),
    sources: noSources,
    realSources: noSources,
    reader: symbolReader(db),
    config,
    log: silent,
    handlers: [handler],
  });
  const doorbells = bus === undefined ? [] : (['work', 'job'] as const).map((kind) => bus.onDoorbell(kind, () => worker.wake()));
  return {
    async stop() {
      await Promise.all(doorbells.map((doorbell) => doorbell.close()));
      await worker.drain(5_000);
      await close();
    },
  };
}
