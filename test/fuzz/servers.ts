/** The parts of the product that inputs are sent to, started when a target needs them: database, broker, gateway. All in this process, so that its memory and its event loop are measured. */
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { accountsOf, loadAccess } from '../../broker/access.ts';
import { type EmbeddedBroker, startBroker } from '../../broker/embedded.ts';
import { createKey } from '../../services/gateway/auth/keys.ts';
import { startGatewayService } from '../../services/gateway/service.ts';
import { connectBus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';

export interface Servers {
  /** Where files may be written; in memory where the system has such a place. */
  readonly folder: string;
  database(): Promise<Database>;
  broker(): Promise<RunningBroker>;
  /** Its address, and a key for everything. */
  gateway(): Promise<{ url: string; key: string }>;
  /** Lines of the level error that the gateway logged. */
  readonly errors: string[];
  close(): Promise<void>;
}

export interface RunningBroker {
  broker: EmbeddedBroker;
  passwords: Record<string, string>;
}

const PASSWORDS = { root: 'fuzz-root', migrate: 'fuzz-migrate', service: 'fuzz-service', read: 'fuzz-read' };
const ACCOUNTS = {
  ...{ hook: 'fuzz hook', monitor: 'fuzz:monitor', service: 'fuzz%service', 'portfolio-priority': 'fuzz-priority' },
  ...{ worker: 'fuzz-worker', scheduler: 'fuzz-scheduler', gateway: 'fuzz-gateway', cli: 'fuzz-cli' },
};
/** So that the gateway takes links of mails. */
export const LINKS = {
  'gateway.public_url': 'https://mesh.example.com',
  'notify.unsubscribe_secret': 'of the inputs, 32 characters and more',
};
/** Limits that would refuse what the inputs are about. */
const MANY = 1_000_000_000;
const SETTINGS = {
  ...LINKS,
  'gateway.port': 0,
  'gateway.rate_limit.requests': MANY,
  'gateway.rate_limit.anonymous_requests': MANY,
  'gateway.connections.header_timeout': 2,
  'gateway.connections.request_timeout': 4,
  // Nothing is delivered: addresses are judged, never called.
  'gateway.callbacks.poll_interval': 3_600,
};

export function createServers(): Servers {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'stockmesh-fuzz-'));
  const errors: string[] = [];
  const silent = pino({ level: 'silent' });
  const log = pino({ level: 'error' }, { write: (line) => errors.push(line) });
  const closing: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const once = <T>(start: () => Promise<T>): (() => Promise<T>) => {
    let started: Promise<T> | undefined;
    return () => {
      started ??= start();
      return started;
    };
  };
  const database = once(async () => {
    const server = await startDatabase({ dataDir: join(folder, 'database'), passwords: PASSWORDS, log: silent, durable: false });
    closing.push(() => server.stop());
    await migrateUp(server.options('migrate'));
    const db = openDatabase({ ...server.options('service'), maxConnections: 16 });
    closing.push(() => db.close());
    return db;
  });
  const broker = once(async () => {
    const started = await startBroker({ port: 0, access: loadAccess(), accounts: accountsOf(ACCOUNTS), log: silent });
    closing.push(() => started.close());
    return { broker: started, passwords: ACCOUNTS };
  });
  const gateway = once(async () => {
    const [db, { broker: running }] = await Promise.all([database(), broker()]);
    const overrides = Object.fromEntries(Object.entries(SETTINGS).map(([key, value]) => [key, { value, option: key }]));
    const { config } = loadConfig({ environment: 'development', env: {}, files: [], overrides });
    const bus = connectBus({
      ...{ host: '127.0.0.1', port: running.port, username: 'gateway', password: ACCOUNTS.gateway },
      ...{ service: 'gateway', instance: 'gateway-1', log: silent },
    });
    closing.push(() => bus.close());
    const service = await startGatewayService({
      service: 'gateway',
      instance: 'gateway-1',
      config,
      log,
      clock: systemClock,
      dataFolder: tmpdir(),
      db,
      bus,
    });
    closing.push(() => service.drain());
    await bus.online();
    const { key } = await createKey(db, { name: 'fuzz', scopes: ['admin'] }, new Date());
    return { url: service.url, key };
  });
  return {
    folder,
    errors,
    database,
    broker,
    gateway,
    async close() {
      for (const close of closing.reverse()) await close();
    },
  };
}
