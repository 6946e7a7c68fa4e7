/** The meshes of the fault suite: services as processes beside a broker and a database, and `stockmesh up` as a process. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { storeKey } from '../../../services/gateway/auth/keys.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { databaseOptions, writeRuntime } from '../../../services/platform/connections.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { openDataFolder, type Secrets } from '../../../services/platform/machine/datafolder.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { startDatabase } from '../../../sql/embedded.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { findServer, stopServer } from '../../../sql/running-server.ts';
import { type Command, processesNaming, stockmesh } from '../../e2e/command.ts';
import { endProcess, MAIN, startProcess } from '../processes.ts';
import { type BrokerName, type BrokerProcess, embeddedBroker, mosquittoBroker } from './brokers.ts';

export const SERVICES = ['portfolio-priority', 'worker', 'scheduler', 'gateway'] as const;
export type ServiceName = (typeof SERVICES)[number];
/** What can be ended and started again. `second priority` is another portfolio-priority process. */
export type Target = ServiceName | 'second priority' | 'all services' | 'broker' | 'up';

export interface FaultMesh {
  mqttPort: number;
  httpPort: number;
  secrets: Secrets;
  /** Resolves when it is ready. */
  start(target: Target): Promise<void>;
  /** Sends the signal and resolves when the process is gone. */
  end(target: Target, signal: NodeJS.Signals): Promise<void>;
  /** Works on the database, which is running. */
  withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T>;
  /** Ends and removes everything. May be called while something starts. */
  stop(): Promise<void>;
}

/** Short leases, so that the jobs of a killed worker are seen again soon; few bars, so that logins are the load. */
const SETTINGS = [
  'stock_jobs.data_fetch.sources=simulated',
  'stock_jobs.data_fetch.history_days=60',
  'worker.heartbeat_interval=2',
  'worker.poll_interval=1',
];
const setOptions = (settings: readonly string[]): string[] => settings.flatMap((setting) => ['--set', setting]);
const silent = pino({ level: 'silent' });

/** A database and a data folder that several meshes use one after the other. */
export interface Ground {
  folder: string;
  secrets: Secrets;
  db: Database;
  /** Says to services where broker and database are. */
  point(mqttPort: number): void;
  stop(): Promise<void>;
}

export async function openGround(): Promise<Ground> {
  const home = mkdtempSync(join(tmpdir(), 'stockmesh-faults-'));
  const folder = await openDataFolder(join(home, 'data'));
  const { secrets } = folder;
  const database = await startDatabase({ dataDir: folder.database, passwords: secrets.database, log: silent, durable: false });
  await migrateUp(database.options('migrate'));
  const db = openDatabase(database.options('service'));
  await storeKey(db, secrets.gateway.operator, { name: 'operator', scopes: ['read', 'jobs', 'admin'] }, new Date());
  return {
    folder: folder.path,
    secrets,
    db,
    point: (mqttPort) =>
      writeRuntime(folder.path, {
        pid: process.pid,
        database: { socket: database.socket, port: database.port, name: database.database },
        broker: { host: '127.0.0.1', port: mqttPort },
      }),
    async stop() {
      await db.close();
      await database.stop();
      folder.release();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A broker that has never seen a session, and nothing else: services are started by `start`. */
export async function startServicesMesh(ground: Ground, brokerName: BrokerName): Promise<FaultMesh> {
  const [mqttPort, httpPort] = [await freePort(), await freePort()];
  const home = mkdtempSync(join(tmpdir(), 'stockmesh-faults-'));
  const broker =
    brokerName === 'embedded'
      ? embeddedBroker(ground.folder, mqttPort)
      : mosquittoBroker(join(home, 'mosquitto'), mqttPort, ground.secrets);
  ground.point(mqttPort);
  const children = new Map<Target, ChildProcess>();
  let stopped = false;

  async function startService(target: ServiceName | 'second priority'): Promise<void> {
    const name = target === 'second priority' ? 'portfolio-priority' : target;
    // The runtime file names the broker as the embedded one. What follows from a configured broker is set here.
    const ofBroker = brokerName === 'mosquitto' ? ['queue.mqtt.share_logins=false'] : [];
    const options = setOptions(['logging.level=silent', `gateway.port=${httpPort}`, ...ofBroker, ...SETTINGS]);
    const child = await startProcess(MAIN, ['service', name, '--data', ground.folder, '--env', 'demo', ...options]);
    children.set(target, child);
    if (stopped) await endProcess(child, 'SIGKILL');
  }

  async function endService(target: Target, signal: NodeJS.Signals): Promise<void> {
    const child = children.get(target);
    if (child !== undefined) await endProcess(child, signal);
    children.delete(target);
  }

  await broker.start();
  return {
    mqttPort,
    httpPort,
    secrets: ground.secrets,
    async start(target) {
      if (target === 'broker') await broker.start();
      else if (target === 'all services') await Promise.all(SERVICES.map(startService));
      else if (target !== 'up') await startService(target);
    },
    async end(target, signal) {
      if (target === 'broker') await broker.end(signal);
      else if (target === 'all services') await Promise.all(SERVICES.map((name) => endService(name, signal)));
      else await endService(target, signal);
    },
    withDatabase: (work) => work(ground.db),
    async stop() {
      stopped = true;
      await Promise.all([...children.keys()].map((target) => endService(target, 'SIGKILL')));
      await broker.end('SIGKILL');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** More than a service's grace period. */
const ORPHANS_MS = 30_000;

/** `stockmesh up` over a data folder of its own; not started yet. With Mosquitto that broker runs beside it, and goes on while `up` is away. */
export async function prepareUpMesh(brokerName: BrokerName): Promise<FaultMesh> {
  const home = mkdtempSync(join(tmpdir(), 'stockmesh-faults-'));
  const data = join(home, 'data');
  const [mqttPort, httpPort] = [await freePort(), await freePort()];
  // Taken for a moment, so that its passwords are known before the first start.
  const folder = await openDataFolder(data);
  folder.release();
  const { secrets } = folder;
  const options = [...SETTINGS, 'logging.level=warn'];
  let mosquitto: BrokerProcess | undefined;
  if (brokerName === 'mosquitto') {
    mosquitto = mosquittoBroker(join(home, 'mosquitto'), mqttPort, secrets);
    await mosquitto.start();
    options.push(`queue.mqtt.url=mqtt://service:${encodeURIComponent(secrets.mqtt.service)}@127.0.0.1:${mqttPort}`);
  }
  const { config } = loadConfig({ env: {}, environment: 'demo' });
  let up: Command | undefined;

  const orphans = (): string[] => processesNaming(data).filter((line) => !line.includes('--datadir='));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (up === undefined) return;
    up.child.kill(signal);
    await up.exited;
    // The services end when their supervisor is gone; the database server of a killed one stays.
    const deadline = performance.now() + ORPHANS_MS;
    for (let left = orphans(); left.length > 0; left = orphans()) {
      if (performance.now() > deadline) throw new Error(`after ${signal} of stockmesh up these processes still run:\n${left.join('\n')}`);
      await delay(20);
    }
  };
  return {
    mqttPort,
    httpPort,
    secrets,
    async start() {
      const ports = ['--http-port', String(httpPort), ...(mosquitto === undefined ? ['--mqtt-port', String(mqttPort)] : [])];
      up = stockmesh(['--data', data, '--env', 'demo', ...setOptions(options), 'up', ...ports]);
      await up.until(/Ctrl-C stops everything/);
    },
    end: (_target, signal) => end(signal),
    async withDatabase(work) {
      const db = openDatabase({ ...databaseOptions(config, data, 'service'), maxConnections: 2 });
      try {
        return await work(db);
      } finally {
        await db.close();
      }
    },
    async stop() {
      await end('SIGKILL');
      const server = findServer(folder.database);
      if (server !== undefined) await stopServer(server.pid, folder.database);
      await mosquitto?.end('SIGKILL');
      rmSync(home, { recursive: true, force: true });
    },
  };
}
