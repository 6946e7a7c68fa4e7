/** A whole mesh for one test file: private database and embedded broker in this process, the services as processes that a test may kill, freeze and stop. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { accountsOf, loadAccess } from '../../broker/access.ts';
import { type EmbeddedBroker, startBroker } from '../../broker/embedded.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { type Announcer, createAnnouncer } from '../../services/ledger/announce.ts';
import type { Ledger } from '../../services/ledger/job.ts';
import { type Bus, connectBus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { writeRuntime } from '../../services/platform/connections.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../services/platform/database/database.ts';
import { openDataFolder } from '../../services/platform/machine/datafolder.ts';
import { type EmbeddedDatabase, startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';
import { MAIN, startProcess } from './processes.ts';

export interface TestMesh {
  dataFolder: string;
  db: Database;
  /** As root, who may lock tables. */
  asRoot(): DatabaseOptions;
  /** The services' account, and the server's process. */
  readonly reach: DatabaseOptions;
  readonly databasePort: number;
  readonly databasePid: number;
  ledger: Ledger;
  /** As a service, for watching and ringing. */
  bus: Bus;
  announcer: Announcer;
  /** Made when workers with a gate may go on. */
  gate: string;
  /** Lines `start <symbol> <pid>` that gated workers wrote. */
  starts(): { symbol: string; pid: number }[];
  service(
    name: 'scheduler' | 'portfolio-priority' | 'worker' | 'gateway' | 'notifier',
    set?: readonly string[],
    files?: readonly string[],
  ): Promise<ChildProcess>;
  gatedWorker(instance: string, set?: readonly string[]): Promise<ChildProcess>;
  restartBroker(whileDown?: () => Promise<void>): Promise<void>;
  restartDatabase(whileDown?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

const GATED = fileURLToPath(new URL('./gated-worker.ts', import.meta.url));
const log = pino({ level: 'silent' });

export async function startTestMesh(): Promise<TestMesh> {
  const data = mkdtempSync(join(tmpdir(), 'stockmesh-faults-'));
  const folder = await openDataFolder(join(data, 'data'));
  const { secrets } = folder;
  let database: EmbeddedDatabase = await startDatabase({ dataDir: folder.database, passwords: secrets.database, log, durable: false });
  const listen = (port: number): Promise<EmbeddedBroker> =>
    startBroker({
      port,
      access: loadAccess(),
      accounts: accountsOf(secrets.mqtt),
      log,
    });
  let broker = await listen(0);
  const { port } = broker;
  writeRuntime(folder.path, {
    pid: process.pid,
    database: { socket: database.socket, port: database.port, name: database.database },
    broker: { host: '127.0.0.1', port },
  });
  await migrateUp(database.options('migrate'));
  const db = openDatabase(database.options('service'));
  const bus = connectBus({
    host: '127.0.0.1',
    port,
    username: 'service',
    password: secrets.mqtt.service,
    service: 'test',
    instance: 'test',
    log,
  });
  await bus.online();
  const children = new Set<ChildProcess>();
  const gate = join(data, 'gate');
  const starts = join(data, 'starts');

  async function spawnReady(script: string, args: readonly string[]): Promise<ChildProcess> {
    const child = await startProcess(script, args);
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  }

  return {
    dataFolder: folder.path,
    db,
    asRoot: () => database.options('root'),
    reach: database.options('service'),
    databasePort: database.port,
    get databasePid() {
      return database.pid;
    },
    ledger: ledgerOf(db, systemClock, loadConfig({ env: {} }).config),
    bus,
    announcer: createAnnouncer({ bus, sql: db, clock: systemClock, log }),
    gate,
    starts: () =>
      readFileSync(starts, { encoding: 'utf8', flag: 'a+' })
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => ({ symbol: line.split(' ')[1] as string, pid: Number(line.split(' ')[2]) })),
    service: (name, set = [], files = []) =>
      spawnReady(MAIN, [
        'service',
        name,
        '--data',
        folder.path,
        '--env',
        'demo',
        ...files.flatMap((file) => ['--config', file]),
        ...['logging.level=silent', ...set].flatMap((one) => ['--set', one]),
      ]),
    gatedWorker: (instance, set = []) => spawnReady(GATED, [folder.path, instance, starts, gate, 'logging.level=silent', ...set]),
    async restartBroker(whileDown) {
      await broker.close();
      await whileDown?.();
      broker = await listen(port);
    },
    async restartDatabase(whileDown) {
      await database.stop();
      await whileDown?.();
      database = await startDatabase({ dataDir: folder.database, passwords: secrets.database, log, durable: false });
    },
    async stop() {
      await Promise.all(
        [...children].map(async (child) => {
          child.kill('SIGCONT');
          child.kill('SIGKILL');
          await once(child, 'exit');
        }),
      );
      await bus.close();
      await db.close();
      await broker.close();
      await database.stop();
      folder.release();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Jobs by state, counted in the ledger. */
export async function countStates(db: Database): Promise<Record<string, number>> {
  const rows = await db.rows<{ state: string; jobs: number }>('SELECT state, COUNT(*) AS jobs FROM job_states GROUP BY state');
  return Object.fromEntries(rows.map(({ state, jobs }) => [state, jobs]));
}

/** Waits until no job is live, and gives the counts. */
export async function untilAllEnded(db: Database, timeout = 20_000): Promise<Record<string, number>> {
  const end = performance.now() + timeout;
  for (;;) {
    const [row] = await db.rows<{ jobs: number }>(
      "SELECT COUNT(*) AS jobs FROM job_states WHERE state IN ('scheduled', 'blocked', 'ready', 'running')",
    );
    if (row?.jobs === 0) break;
    if (performance.now() > end) throw new Error(`${row?.jobs} jobs have not ended after ${timeout / 1000} s`);
    await delay(20);
  }
  return countStates(db);
}
