/** Starts a whole mesh on one machine: database, migrations, broker, services. It is stopped in the reverse order. */

import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { accountsOf, loadAccess } from '../../../broker/access.ts';
import type { BrokerLimits } from '../../../broker/edge/limits.ts';
import { startBroker } from '../../../broker/embedded.ts';
import { type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';
import { assertSchemaCurrent, migrateUp } from '../../../sql/migrate.ts';
import { storeKey } from '../../gateway/auth/keys.ts';
import { nowOf } from '../../ledger/job.ts';
import { importOnce } from '../../market/portfolios/import.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { isSecret } from '../../platform/config/keys.ts';
import { userFiles } from '../../platform/config/layers.ts';
import { type Config, type LoadedConfig, leaseSeconds, type Override } from '../../platform/config/load.ts';
import { type DatabaseRole, databaseOptions, removeRuntime, usesEmbedded, writeRuntime } from '../../platform/connections.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../platform/database/database.ts';
import { databaseClock } from '../../platform/database-clock.ts';
import { ConfigError, codeOf, isDatabaseAway, messageOf } from '../../platform/errors.ts';
import { createLogger, type Logger } from '../../platform/log/log.ts';
import { rotatingFile } from '../../platform/log/log-file.ts';
import { watchCertificate } from '../../platform/machine/certificate.ts';
import { type DataFolder, openDataFolder } from '../../platform/machine/datafolder.ts';
import { makeFolder } from '../../platform/machine/make-folder.ts';
import { assertPortFree } from '../../platform/machine/ports.ts';
import { faultOf } from '../../platform/messages.ts';
import { LIMIT_CODE } from '../../platform/refusals.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { cliActor } from '../actor.ts';
import { type GlobalOptions, loadFor } from '../session.ts';
import { keepDatabase } from './database.ts';
import { ensureInstalled } from './install.ts';
import { type MeshSettings, startServices } from './services.ts';
import { createSteps, type Steps } from './steps.ts';

export interface UpOptions extends GlobalOptions {
  yes?: boolean | undefined;
  workers?: number | undefined;
  mqttPort?: number | undefined;
  httpPort?: number | undefined;
  source?: string | undefined;
  leanPath?: string | undefined;
}

export interface Mesh {
  dataFolder: string;
  config: Config;
  stop(): Promise<void>;
}

const DEMO_PORTFOLIOS = fileURLToPath(new URL('../../../config/demo-portfolios.csv', import.meta.url));
/** The account of the key that lies in the data folder. */
const OPERATOR = { name: 'operator', scopes: ['read', 'jobs', 'admin'] };
/** Milliseconds. More than the services' own grace period, so that they hand back their jobs themselves. */
const STOP_MARGIN_MS = 5_000;
/** Keys that hold a path. `up` makes those of the command line absolute: a command that joins the mesh may run in another folder. */
const PATH_KEYS = [
  ...['stock_jobs.data_fetch.lean.path', 'ranking.chains.file.path', 'queue.mqtt.tls.ca_file', 'logging.file', 'notify.email.smtp_ca_file'],
  ...['database.tls.ca_file', 'database.tls.cert_file', 'database.tls.key_file', 'gateway.tls.cert_file', 'gateway.tls.key_file'],
];

/** The options of `up` and `demo` as configuration keys. */
function overridesOf({ mqttPort, httpPort, source, leanPath }: UpOptions): Record<string, Override> {
  return {
    'queue.mqtt.port': { value: mqttPort, option: '--mqtt-port' },
    'gateway.port': { value: httpPort, option: '--http-port' },
    'stock_jobs.data_fetch.sources': { value: source, option: '--source' },
    'stock_jobs.data_fetch.lean.path': { value: leanPath, option: '--lean-path' },
  };
}

function settingsOf(options: UpOptions, environment: string): MeshSettings {
  const set = [
    ...(options.set ?? []),
    ...Object.entries(overridesOf(options)).flatMap(([key, { value }]) => (value === undefined ? [] : [`${key}=${value}`])),
  ];
  return {
    environment,
    files: userFiles(options.config, process.env).map((file) => resolve(file)),
    set: set.map((one) => {
      const key = one.slice(0, one.indexOf('='));
      return PATH_KEYS.includes(key) ? `${key}=${resolve(one.slice(key.length + 1))}` : one;
    }),
  };
}

/** The variables that the configuration is filled from. Those of `queue.mqtt.passwords` are not counted: each service has its own. */
function usedVariables({ origins }: LoadedConfig): string[] {
  return [...origins].flatMap(([key, origin]) =>
    typeof origin === 'string' && origin.startsWith('environment ') && !key.startsWith('queue.mqtt.passwords.')
      ? origin.slice('environment '.length).split(', ')
      : [],
  );
}

/** Every user of the machine can read the arguments of this process, and no later step of it can change that. */
function warnOfSecrets(set: readonly string[], note: (text: string) => void): void {
  for (const key of new Set(set.map((one) => one.slice(0, one.indexOf('=')))))
    if (isSecret(key))
      note(
        `--set ${key}: other users of this machine can read it in the list of processes; write it into a file that only you may read and give that with --config, or use a variable`,
      );
}

export function logFile(dataFolder: string): string {
  const folder = join(dataFolder, 'logs');
  makeFolder(folder);
  return join(folder, 'stockmesh.log');
}

/** What the steps of a start share. */
interface Start {
  loaded: LoadedConfig;
  folder: DataFolder;
  steps: Steps;
  log: Logger;
  /** What is to be undone at the stop, the last one first. */
  undo: (() => Promise<void> | void)[];
}

/** Starts everything and resolves when all services are ready. What was started is stopped again when something fails. */
export async function startMesh(options: UpOptions): Promise<Mesh> {
  const { loaded, dataFolder: path } = loadFor(options, overridesOf(options));
  const { config } = loaded;
  requireNameForEach(config, options.workers ?? 1);
  const steps = createSteps();
  for (const warning of loaded.warnings) steps.note(warning);
  warnOfSecrets(options.set ?? [], steps.note);
  const folder = await openDataFolder(path);
  const undo: Start['undo'] = [() => folder.release()];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    await assertPortsFree(config);
    if (usesEmbedded(config).database) await ensureInstalled({ need: ['mariadb'], yes: options.yes, print: steps.note });
    const start: Start = { loaded, folder, steps, log: logOf(config, folder.path), undo };
    const database = await startEmbeddedDatabase(start);
    await prepareDatabase(start, database);
    // After the migrations: nobody can send a login before the tables for it are there.
    const broker = await startEmbeddedBroker(start);
    const settings = settingsOf(options, loaded.environment);
    writeRuntime(folder.path, {
      pid: process.pid,
      database: database === undefined ? null : { socket: database.socket, port: database.port, name: database.database },
      broker: broker === undefined ? null : { host: '127.0.0.1', port: broker.port },
      settings,
    });
    undo.push(() => removeRuntime(folder.path));
    const writeLog = rotatingFile(logFile(folder.path), config.logging.max_size, config.logging.backup_count);
    const services = await steps.run('services', () =>
      startServices({
        dataFolder: folder.path,
        settings,
        used: usedVariables(loaded),
        workers: options.workers ?? 1,
        notifier: config.notify.routes.length > 0,
        writeLog,
        note: steps.note,
      }),
    );
    undo.push(() => services.stop(config.worker.grace_period * 1000 + STOP_MARGIN_MS));
    return { dataFolder: folder.path, config, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Two workers of one name take each other's jobs and connection. */
function requireNameForEach({ worker: { worker_id: name } }: Config, workers: number): void {
  if (name !== null && workers > 1)
    throw new ConfigError(
      'config.conflicting_keys',
      `worker.worker_id "${name}" is the name of one worker, and --workers asks for ${workers}; leave one of the two out`,
    );
}

async function assertPortsFree(config: Config): Promise<void> {
  const { gateway } = config;
  const { mqtt } = config.queue;
  if (usesEmbedded(config).broker) {
    await assertPortFree({ port: mqtt.port, option: '--mqtt-port (queue.mqtt.port)' });
    if (mqtt.websocket_port !== null) await assertPortFree({ port: mqtt.websocket_port, option: 'queue.mqtt.websocket_port' });
    const { cert_file, listen_host: host, listen_port, listen_websocket_port } = mqtt.tls;
    if (cert_file !== null) await assertPortFree({ host, port: listen_port, option: 'queue.mqtt.tls.listen_port' });
    if (listen_websocket_port !== null)
      await assertPortFree({ host, port: listen_websocket_port, option: 'queue.mqtt.tls.listen_websocket_port' });
  }
  if (gateway.port !== 0) await assertPortFree({ host: gateway.host, port: gateway.port, option: '--http-port (gateway.port)' });
}

function logOf(config: Config, dataFolder: string): Logger {
  return createLogger({
    ...config.logging,
    format: 'json',
    file: logFile(dataFolder),
    terminal: { write: () => undefined },
    service: 'up',
    instance: `up-${process.pid}`,
  });
}

async function startEmbeddedDatabase({ loaded, folder, steps, log, undo }: Start): Promise<EmbeddedDatabase | undefined> {
  if (!usesEmbedded(loaded.config).database) return undefined;
  // The default belongs to a server elsewhere; the embedded one remembers its own port.
  const configured = loaded.origins.get('database.port') === 'default' ? undefined : loaded.config.database.port;
  const launch = (port = configured) => startDatabase({ dataDir: folder.database, passwords: folder.secrets.database, port, log });
  const kept = await steps.run('database', () =>
    keepDatabase(launch, (text) => {
      log.warn(text);
      steps.note(text);
    }),
  );
  undo.push(() => kept.stop());
  return kept.first;
}

/** The server's numbers for an account that may not do this. */
const DENIED = new Set([1044, 1142, 1227]);

/** Of a configured database, whose account may be that of the services: it needs no right to change tables while the schema is current. */
async function migratedElsewhere(options: DatabaseOptions, migrate: () => Promise<string[]>): Promise<string[]> {
  const db = openDatabase({ ...options, maxConnections: 1 });
  let lacks = '';
  try {
    // A schema of a later build is refused by `migrate`, as everywhere where migrations are applied.
    if ((await assertSchemaCurrent(db)).length === 0) return [];
  } catch (error) {
    if (codeOf(error) !== 'schema.older') throw error;
    lacks = messageOf(error);
  } finally {
    await db.close();
  }
  return migrate().catch((error: unknown) => {
    if (!DENIED.has((error as { errno?: number }).errno ?? 0)) throw error;
    throw new ConfigError('schema.older', `${lacks} with the account that may change tables (${messageOf(error)})`, { cause: error });
  });
}

/** Migrations, the operator's key and, in the demo environment, its portfolios. */
async function prepareDatabase({ loaded, folder, steps }: Start, embedded: EmbeddedDatabase | undefined): Promise<void> {
  const database = (role: DatabaseRole): DatabaseOptions => embedded?.options(role) ?? databaseOptions(loaded.config, folder.path, role);
  await steps.run('migrations', async () => {
    const migrate = () => migrateUp(database('migrate'), { aliveSeconds: leaseSeconds(loaded.config) });
    const applied = await (embedded === undefined ? migratedElsewhere(database('service'), migrate) : migrate()).catch((error: unknown) => {
      if (!isDatabaseAway(error)) throw error;
      throw new ConfigError(
        'mesh.database_unreachable',
        `the configured database cannot be reached (${messageOf(error)}): start it, or correct database.* ("${COMMAND} config show database" lists them)`,
        { cause: error },
      );
    });
    await embedded?.grantReading();
    return applied.length === 0 ? undefined : `applied ${applied.join(', ')}`;
  });
  const db = openDatabase({ ...database('service'), maxConnections: 2 });
  const clock = databaseClock({
    db,
    interval: loaded.config.database.clock_interval,
    maxOffset: loaded.config.monitoring.thresholds.max_clock_offset,
  });
  try {
    await clock.measure();
    await db.transaction(async (tx) => {
      const { id, isNew } = await storeKey(tx, folder.secrets.gateway.operator, OPERATOR, nowOf({ clock }));
      if (isNew)
        recordChange(tx, cliActor(), {
          action: 'key.create',
          target: `key:${id}`,
          details: `${OPERATOR.name}: ${OPERATOR.scopes.join(', ')}`,
        });
    });
    if (loaded.environment === 'demo') await steps.run('demo portfolios', () => importDemo(db, nowOf({ clock })));
  } finally {
    clock.close();
    await db.close();
  }
}

async function importDemo(db: Database, now: Date): Promise<string | undefined> {
  const imported = await importOnce(db, DEMO_PORTFOLIOS, now);
  return imported === undefined ? undefined : `${imported.users} users, ${imported.held} holdings, ${imported.watched} watched`;
}

async function startEmbeddedBroker({ loaded: { config }, folder, steps, log, undo }: Start): Promise<{ port: number } | undefined> {
  if (!usesEmbedded(config).broker) return undefined;
  const { port, websocket_port, max_payload, client_id_prefix, tls, limits } = config.queue.mqtt;
  const { cert_file, key_file, client_ca_file, listen_host, listen_port, listen_websocket_port } = tls;
  const certificate = watchCertificate('queue.mqtt.tls', { cert_file, key_file, client_ca_file }, log);
  undo.push(() => certificate?.close());
  const broker = await steps.run('broker', () =>
    startBroker({
      port,
      webSocketPort: websocket_port ?? undefined,
      tls: certificate && {
        ...{ host: listen_host, port: listen_port, certificate },
        webSocketPort: listen_websocket_port ?? undefined,
      },
      maxPayloadBytes: max_payload,
      limits: brokerLimits(limits),
      accounts: accountsOf(folder.secrets.mqtt),
      access: loadAccess(),
      clientIdPrefix: client_id_prefix,
      faultOf,
      onRefused: ({ code, text, count, topic, client_id: client }) =>
        steps.note(
          code.startsWith(LIMIT_CODE)
            ? `broker: a limit is met${count === 1 ? '' : ` ${count} times`}: ${text}`
            : `broker: ${count === 1 ? 'a publish' : `${count} publishes`} on ${topic} refused, client ${client}: ${text}`,
        ),
      log,
    }),
  );
  undo.push(() => broker.close());
  return { port: broker.port };
}

function brokerLimits(limits: Config['queue']['mqtt']['limits']): BrokerLimits {
  return {
    connections: limits.connections,
    connectionsPerAccount: limits.connections_per_account,
    unauthenticated: limits.unauthenticated,
    connectSeconds: limits.connect_timeout,
    wrongPasswords: limits.wrong_passwords,
    messagesPerSecond: limits.messages_per_second,
    bytesPerSecond: limits.bytes_per_second,
    subscriptions: limits.subscriptions,
    sessionsPerAccount: limits.sessions_per_account,
    queuedBytesPerSession: limits.queued_bytes_per_session,
    queuedBytesPerAccount: limits.queued_bytes_per_account,
  };
}
