/** `stockmesh up`: the whole mesh on one machine. Database, broker, migrations, services; stopped in the reverse order. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Accounts, loadAccess } from '../../../broker/access.ts';
import { type EmbeddedBroker, startBroker } from '../../../broker/embedded.ts';
import { type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { storeKey } from '../../gateway/auth/keys.ts';
import { importOnce } from '../../market/portfolios/import.ts';
import type { Override } from '../../platform/config/load.ts';
import { databaseOptions, removeRuntime, usesEmbedded, writeRuntime } from '../../platform/connections.ts';
import { type Database, openDatabase } from '../../platform/database/database.ts';
import { OPERATOR_KEY_FILE, openDataFolder, type Secrets } from '../../platform/datafolder.ts';
import { createLogger } from '../../platform/log/log.ts';
import { rotatingFile } from '../../platform/log/log-file.ts';
import { assertPortFree } from '../../platform/ports.ts';
import { type GlobalOptions, loadFor } from '../session.ts';
import { ensureInstalled } from './install.ts';
import { createSteps } from './steps.ts';
import { type Supervised, type Supervisor, supervise } from './supervisor.ts';

export interface UpOptions extends GlobalOptions {
  yes?: boolean | undefined;
  workers?: number | undefined;
  mqttPort?: number | undefined;
  httpPort?: number | undefined;
  source?: string | undefined;
  leanPath?: string | undefined;
  /** No report where to look, for `demo`. */
  quiet?: boolean | undefined;
}

export interface Mesh {
  dataFolder: string;
  /** Resolves when the mesh has to stop for a reason of its own. */
  failed: Promise<string>;
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const DEMO_PORTFOLIOS = fileURLToPath(new URL('../../../config/demo-portfolios.csv', import.meta.url));
/** Whose key lies in the data folder. */
const OPERATOR = { name: 'operator', scopes: ['read', 'jobs', 'admin'] };
/** More than the services' own grace period, so that they hand back their jobs themselves. */
const STOP_MARGIN_MS = 5_000;
/** The same warning is shown once in this time. */
const REPEATED_MS = 60_000;

/** The options of `up` and `demo` as configuration keys. */
export function overridesOf({ mqttPort, httpPort, source, leanPath }: UpOptions): Record<string, Override> {
  return {
    'queue.mqtt.port': { value: mqttPort, option: '--mqtt-port' },
    'gateway.port': { value: httpPort, option: '--http-port' },
    'stock_jobs.data_fetch.sources': { value: source, option: '--source' },
    'stock_jobs.data_fetch.lean.path': { value: leanPath, option: '--lean-path' },
  };
}

/** Starts everything and resolves when all services are ready. What was started is stopped again when something fails. */
export async function startMesh(options: UpOptions): Promise<Mesh> {
  const { loaded, dataFolder: path } = loadFor(options, overridesOf(options));
  const { config } = loaded;
  const steps = createSteps();
  for (const warning of loaded.warnings) steps.note(warning);
  const embedded = usesEmbedded(config);
  const folder = await openDataFolder(path);
  const undo: (() => Promise<void> | void)[] = [() => folder.release()];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    if (embedded.broker) await assertPortFree({ port: config.queue.mqtt.port, option: '--mqtt-port (queue.mqtt.port)' });
    const { host, port } = config.gateway;
    if (port !== 0) await assertPortFree({ host, port, option: '--http-port (gateway.port)' });
    if (embedded.database) await ensureInstalled({ need: ['mariadb'], yes: options.yes, print: steps.note });
    const writeLog = rotatingFile(logFile(folder.path), config.logging.max_size, config.logging.backup_count);
    const log = createLogger({
      ...config.logging,
      format: 'json',
      file: logFile(folder.path),
      terminal: { write: () => undefined },
      service: 'up',
      instance: `up-${process.pid}`,
    });
    const failed = Promise.withResolvers<string>();

    let database: EmbeddedDatabase | undefined;
    if (embedded.database) {
      database = await steps.run('database', () => startDatabase({ dataDir: folder.database, passwords: folder.secrets.database, log }));
      const started = database;
      undo.push(() => started.stop());
      void started.exited.then((how) => failed.resolve(`the database server ended (${how}); see ${logFile(folder.path)}`));
    }
    let broker: EmbeddedBroker | undefined;
    if (embedded.broker) {
      broker = await steps.run('broker', () =>
        startBroker({
          port: config.queue.mqtt.port,
          webSocketPort: config.queue.mqtt.websocket_port ?? undefined,
          maxPayloadBytes: config.queue.mqtt.max_payload,
          accounts: accountsOf(folder.secrets),
          access: loadAccess(),
          log,
        }),
      );
      const started = broker;
      undo.push(() => started.close());
    }
    writeRuntime(folder.path, {
      pid: process.pid,
      database: database === undefined ? null : { socket: database.socket, port: database.port, name: database.database },
      broker: broker === undefined ? null : { host: '127.0.0.1', port: broker.port },
    });
    undo.push(() => removeRuntime(folder.path));

    await steps.run('migrations', async () => {
      const applied = await migrateUp(databaseOptions(config, folder.path, 'migrate'));
      return applied.length === 0 ? undefined : `applied ${applied.join(', ')}`;
    });
    await withDatabase(folder.path, options, (db) => storeKey(db, folder.secrets.gateway.operator, OPERATOR, new Date()));
    if (loaded.environment === 'demo') await steps.run('demo portfolios', () => withDatabase(folder.path, options, importDemo));

    const services = await steps.run('services', () => startServices(options, folder.path, loaded.environment, writeLog, steps.note));
    undo.push(() => services.stop(config.worker.grace_period * 1000 + STOP_MARGIN_MS));
    return { dataFolder: folder.path, failed: failed.promise, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One account a role, named like it. */
function accountsOf({ mqtt }: Secrets): Accounts {
  return {
    hook: { password: mqtt.hook, role: 'hook' },
    monitor: { password: mqtt.monitor, role: 'monitor' },
    service: { password: mqtt.service, role: 'service' },
  };
}

export function logFile(dataFolder: string): string {
  const folder = join(dataFolder, 'logs');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, 'stockmesh.log');
}

async function importDemo(db: Database): Promise<string | undefined> {
  const imported = await importOnce(db, DEMO_PORTFOLIOS, new Date());
  return imported === undefined ? undefined : `${imported.users} users, ${imported.held} holdings, ${imported.watched} watched`;
}

async function withDatabase<T>(dataFolder: string, options: UpOptions, work: (db: Database) => Promise<T>): Promise<T> {
  const { loaded } = loadFor(options, overridesOf(options));
  const db = openDatabase({ ...databaseOptions(loaded.config, dataFolder, 'service'), maxConnections: 2 });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

async function startServices(
  options: UpOptions,
  dataFolder: string,
  environment: string,
  writeLog: (line: string) => void,
  note: (text: string) => void,
): Promise<Supervisor> {
  const sets = Object.entries(overridesOf(options)).flatMap(([key, { value }]) =>
    value === undefined ? [] : ['--set', `${key}=${value}`],
  );
  const common = [
    '--data',
    dataFolder,
    '--env',
    environment,
    ...(options.config ?? []).flatMap((file) => ['--config', file]),
    ...(options.set ?? []).flatMap((set) => ['--set', set]),
    ...sets,
    '--set',
    'logging.format=json',
  ];
  const service = (name: string, label = name, more: string[] = []): Supervised => ({ label, args: ['service', name, ...common, ...more] });
  const workers = options.workers ?? 1;
  const news = onceIn(REPEATED_MS);
  const supervisor = supervise(
    [
      service('scheduler'),
      service('portfolio-priority'),
      service('gateway'),
      ...Array.from({ length: workers }, (_, index) => service('worker', workers === 1 ? 'worker' : `worker-${index + 1}`)),
    ],
    {
      main: MAIN,
      onNews: note,
      onLine(label, line) {
        writeLog(`${line}\n`);
        const warning = warningIn(line);
        if (warning !== undefined && news(warning)) note(`${label}: ${warning}`);
      },
    },
  );
  try {
    await supervisor.ready;
  } catch (error) {
    await supervisor.stop(STOP_MARGIN_MS);
    throw error;
  }
  return supervisor;
}

/** True for a text that was not there within the last `ms`: what each of a thousand jobs meets is news once. All of them are in the log. */
function onceIn(ms: number): (text: string) => boolean {
  const seen = new Map<string, number>();
  return (text) => {
    const now = performance.now();
    for (const [old, at] of seen) if (now - at > ms) seen.delete(old);
    if (seen.has(text)) return false;
    seen.set(text, now);
    return true;
  };
}

/** What a person at the terminal should read of a service's log: warnings and errors, and whatever is no log line. */
function warningIn(line: string): string | undefined {
  if (!line.startsWith('{')) return line;
  const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
  return level === 'warn' || level === 'error' || level === 'fatal' ? msg : undefined;
}

/** `stockmesh up`: runs until Ctrl-C. Resolves with the exit code. */
export async function up(options: UpOptions): Promise<number> {
  const interrupted = new Promise<string>((resolve) => {
    process.once('SIGINT', () => resolve('')).once('SIGTERM', () => resolve(''));
  });
  const started = performance.now();
  const starting = startMesh(options);
  const mesh = await Promise.race([starting, interrupted.then(() => undefined)]);
  if (mesh === undefined) {
    process.stdout.write('\nstopping\n');
    await starting.then((late) => late.stop());
    return 0;
  }
  printWhereToLook(mesh.dataFolder, options, (performance.now() - started) / 1000);
  const why = await Promise.race([interrupted, mesh.failed]);
  // A second Ctrl-C must not cut short what the first one began.
  process.on('SIGINT', () => process.stdout.write('stopping: waiting for running jobs\n'));
  process.stdout.write(`\n${why === '' ? 'stopping' : why}\n`);
  await mesh.stop();
  process.stdout.write('stopped\n');
  return why === '' ? 0 : 1;
}

function printWhereToLook(dataFolder: string, options: UpOptions, seconds: number): void {
  const { loaded } = loadFor(options, overridesOf(options));
  const { port } = loaded.config.queue.mqtt;
  const { gateway } = loaded.config;
  const embedded = usesEmbedded(loaded.config);
  const lines = [`ready in ${seconds.toFixed(1)} s`, ''];
  if (embedded.broker)
    lines.push(
      `  watch every job    mosquitto_sub -p ${port} -u monitor -P "$(cat ${join(dataFolder, 'mqtt-monitor.password')})" -t 'stock/+/+' -v`,
      `  sign a user in     mosquitto_pub -p ${port} -u hook -P "$(cat ${join(dataFolder, 'mqtt-hook.password')})" -q 1 -t events/login -m '{"userId":"alice"}'`,
    );
  lines.push(
    '  or                 npx stockmesh login alice --wait',
    `  over HTTP          curl -H "Authorization: Bearer $(cat ${join(dataFolder, OPERATOR_KEY_FILE)})" http://${gateway.host}:${gateway.port}/v1/jobs`,
    `  HTTP API           http://${gateway.host}:${gateway.port}/docs`,
    '  live view          npx stockmesh top',
    `  log                ${logFile(dataFolder)}`,
    '',
    'Ctrl-C stops everything.',
    '',
  );
  process.stdout.write(lines.join('\n'));
}
