/** A whole mesh in this process with made-up prices, and the command that speaks to it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAccess } from '../../broker/access.ts';
import { type EmbeddedBroker, startBroker } from '../../broker/embedded.ts';
import { type Bus, connectBus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import type { RunningService, ServiceContext } from '../../services/platform/lifecycle.ts';
import { startHeartbeat } from '../../services/platform/registry/heartbeat.ts';
import { startPortfolioPriorityService } from '../../services/portfolio-priority/service.ts';
import { startWorkerService } from '../../services/worker/service.ts';
import { accounts, silent } from '../broker/peers.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { type Ran, stockmesh, stockmeshProcess } from './command-line.ts';

export interface RunningMesh {
  folder: string;
  /** The configuration file that leads to this mesh. */
  configFile: string;
  database: TestDatabase;
  db: Database;
  broker: EmbeddedBroker;
  /** The command, with the configuration of this mesh. */
  run(...args: string[]): Promise<Ran>;
  /** The same as a process of its own. */
  runProcess(...args: string[]): Promise<Ran>;
  /** A configuration file beside the mesh's own, for `--config`. */
  file(name: string, text: string): string;
  stop(): Promise<void>;
}

/** Starts database, broker, a worker (if `worker`) and portfolio-priority. `ranking`, `picks`: those sections of the configuration. Retries are quick, and `FAIL` is a symbol that no source knows. */
export async function startMesh({ worker = true, ranking = '{}', picks = '{}' } = {}): Promise<RunningMesh> {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-cli-'));
  const database = await testDatabase();
  const broker = await startBroker({ port: 0, accounts, access: loadAccess(), log: silent });
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const { password } = accounts.service!;
  const configFile = file(
    'stockmesh.yaml',
    `${configText(database.url, `mqtt://service:${encodeURIComponent(password)}@127.0.0.1:${broker.port}`)}  ranking: ${ranking}\n  picks: ${picks}\n`,
  );

  const here = ['--config', configFile, '--data', folder];
  const { config } = loadConfig({ files: [configFile], environment: 'development', env: {} });
  const db = openDatabase(database.options);
  const buses: Bus[] = [];
  const services: RunningService[] = [];
  const start = async (service: string, run: (context: ServiceContext) => Promise<RunningService>): Promise<void> => {
    const bus = connectBus({
      port: broker.port,
      username: 'service',
      password,
      service,
      instance: `${service}-1`,
      version: '0.1.0',
      log: silent,
    });
    buses.push(bus);
    const context = { service, instance: `${service}-1`, config, dataFolder: folder, log: silent, clock: systemClock, db, bus };
    services.push(await run(context));
    const heartbeat = await startHeartbeat(context);
    services.push({ drain: async () => void (await heartbeat.retire()) });
    await bus.online();
  };
  if (worker) await start('worker', startWorkerService);
  await start('portfolio-priority', startPortfolioPriorityService);

  return {
    folder,
    configFile,
    database,
    db,
    broker,
    file,
    run: (...args) => stockmesh([...args, ...here]),
    runProcess: (...args) => stockmeshProcess([...args, ...here]),
    async stop() {
      await Promise.all(services.map((service) => service.drain()));
      await Promise.all(buses.map((bus) => bus.close()));
      await db.close();
      await broker.close();
      await database.drop();
      rmSync(folder, { recursive: true });
    },
  };
}

export function configText(databaseUrl: string, brokerUrl: string): string {
  return `job_processor:
  worker: {poll_interval: 0.2}
  stock_jobs:
    data_fetch: {sources: [simulated], simulated: {enabled: true}, history_days: 400, batch_size: 2}
  queue: {mqtt: {url: '${brokerUrl}'}}
  database: {url: '${databaseUrl}'}
`;
}
