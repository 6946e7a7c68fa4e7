/** What all commands share: the global options, the configuration that follows from them, and connections that are opened when they are needed. */
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assertSchemaCurrent } from '../../sql/migrate.ts';
import { namesOf } from '../job-types/index.ts';
import { ledgerOf } from '../job-types/ledger.ts';
import type { Announcer } from '../ledger/announce.ts';
import type { Ledger } from '../ledger/job.ts';
import type { Bus } from '../platform/bus/bus.ts';
import type { Clock } from '../platform/clock.ts';
import { userFiles } from '../platform/config/layers.ts';
import { type LoadedConfig, type LoadOptions, loadConfig, type Override } from '../platform/config/load.ts';
import { brokerAddress, type DatabaseRole, databaseOptions, findRuntime, type Runtime, usesEmbedded } from '../platform/connections.ts';
import { type Database, openDatabase } from '../platform/database/database.ts';
import { databaseClock } from '../platform/database-clock.ts';
import { InputError, TransientError } from '../platform/errors.ts';
import { dataFolderPath } from '../platform/machine/datafolder.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  data?: string | undefined;
  env?: string | undefined;
  config?: string[] | undefined;
  set?: string[] | undefined;
}

/** Milliseconds to wait for an answer before saying that there is none. */
const DATABASE_WAIT_MS = 5_000;
const BROKER_WAIT_MS = 2_000;

export interface Loaded {
  loaded: LoadedConfig;
  dataFolder: string;
}

/** With the names of the job types checked. */
const load = (options: LoadOptions): LoadedConfig => loadConfig({ ...options, jobTypes: namesOf() });

/** The configuration that the options alone lead to, and the data folder. Errors: `ConfigError`, `InputError('option.bad_set')`. */
export function loadFor(options: GlobalOptions, more: Record<string, Override> = {}): Loaded {
  const loaded = load({
    environment: options.env,
    files: options.config,
    // One that was not given has no value, and would take that of --set with it.
    overrides: {
      ...overridesFrom(options.set ?? [], ''),
      ...Object.fromEntries(Object.entries(more).filter(([, { value }]) => value !== undefined)),
    },
  });
  return {
    loaded,
    dataFolder: dataFolderPath(options.data ?? (process.env.STOCKMESH_DATA ? undefined : loaded.config.storage.data_folder)),
  };
}

/**
 * The configuration of a command or service that joins the mesh of its data folder: what `stockmesh up` was started with, and over it the options given here. The
 * options stand alone where no mesh runs there, and where they name another database and broker. Errors: those of `loadFor`, `ConfigError('mesh.runtime_invalid')`.
 */
export function loadJoining(options: GlobalOptions): Loaded {
  const own = loadFor(options);
  const runtime = findRuntime(own.dataFolder);
  if (runtime?.settings === undefined || standsAlone(own.loaded, options, runtime)) return own;
  const { environment, files, set } = runtime.settings;
  const loaded = load({
    environment: options.env ?? environment,
    files: [...new Set([...files, ...userFiles(options.config, process.env).map((file) => resolve(file))])],
    overrides: { ...overridesFrom(set, ' of the running stockmesh'), ...overridesFrom(options.set ?? [], '') },
  });
  return { loaded, dataFolder: own.dataFolder };
}

function standsAlone({ config }: LoadedConfig, options: GlobalOptions, runtime: Runtime): boolean {
  const embedded = usesEmbedded(config);
  if (embedded.database || embedded.broker) return false;
  const isMeshOfConfiguration = runtime.database === null && runtime.broker === null;
  return !isMeshOfConfiguration || options.env !== undefined || options.config !== undefined;
}

function overridesFrom(set: readonly string[], where: string): Record<string, Override> {
  const overrides: Record<string, Override> = {};
  for (const text of set) {
    const at = text.indexOf('=');
    if (at < 1)
      throw new InputError('option.bad_set', `--set "${text}": write it as KEY=VALUE, such as --set worker.max_concurrent_jobs=10`);
    overrides[text.slice(0, at)] = { value: text.slice(at + 1), option: `--set ${text.slice(0, at)}${where}` };
  }
  return overrides;
}

/** Connections of one command. */
export interface Session {
  loaded: LoadedConfig;
  dataFolder: string;
  /** The database's time. */
  clock: Clock;
  ledger: Ledger;
  db: Database;
  /** Connects to the broker. It need not be there: see `reachable`. */
  bus(): Promise<Bus>;
  announcer(): Promise<Announcer>;
  /** From now on what this command asks for may be traced, where a collector is configured. Of its own: most commands ask for nothing, and need not load it. */
  startTracing(): Promise<void>;
}

/**
 * Runs a command with a session and closes whatever it opened. Errors: `ConfigError('mesh.not_running' | 'schema.older' | …)`,
 * `TransientError('database.unavailable')`.
 */
export async function withSession<T>(
  options: GlobalOptions,
  work: (session: Session) => Promise<T>,
  role: DatabaseRole = 'service',
): Promise<T> {
  const { loaded, dataFolder } = loadJoining(options);
  const db = openDatabase({ ...databaseOptions(loaded.config, dataFolder, role), maxConnections: 4 });
  const { database, monitoring } = loaded.config;
  const clock = databaseClock({ db, interval: database.clock_interval, maxOffset: monitoring.thresholds.max_clock_offset });
  let opened: Promise<Bus> | undefined;
  const instance = `cli-${process.pid}-${randomUUID().slice(0, 4)}`;

  // Loaded when they are needed: most commands only read the database, and these two modules take longer to load than all others.
  const connect = async (): Promise<Bus> => {
    const [{ connectBus }, { pino }] = await Promise.all([import('../platform/bus/bus.ts'), import('pino')]);
    return connectBus({
      ...brokerAddress(loaded.config, dataFolder, 'cli'),
      service: 'cli',
      instance,
      log: pino({ level: 'silent' }),
      clock,
      clientIdPrefix: loaded.config.queue.mqtt.client_id_prefix,
    });
  };
  const bus = (): Promise<Bus> => {
    opened ??= connect();
    return opened;
  };
  const announcer = async (): Promise<Announcer> => {
    const [{ createAnnouncer }, { pino }, open] = await Promise.all([import('../ledger/announce.ts'), import('pino'), bus()]);
    return createAnnouncer({ bus: open, sql: db, clock, log: pino({ level: 'silent' }) });
  };

  let stopTracing: Promise<() => Promise<void>> | undefined;
  const startTracing = async (): Promise<void> => {
    const [traces, { pino }, { VERSION }] = await Promise.all([
      import('../platform/monitoring/traces.ts'),
      import('pino'),
      import('../platform/lifecycle.ts'),
    ]);
    stopTracing ??= traces.startTracing({ service: 'cli', instance, version: VERSION }, monitoring.traces, pino({ level: 'silent' }));
    await stopTracing;
  };

  try {
    await Promise.race([assertSchemaCurrent(db).then(() => clock.measure()), noAnswer()]);
    return await work({ loaded, dataFolder, db, clock, ledger: ledgerOf(db, clock, loaded.config), bus, announcer, startTracing });
  } finally {
    clock.close();
    const [connection] = await Promise.allSettled([opened]);
    if (connection.status === 'fulfilled') await connection.value?.close();
    await db.close();
    await (await stopTracing)?.();
  }
}

async function noAnswer(): Promise<never> {
  await delay(DATABASE_WAIT_MS, undefined, { ref: false });
  throw new TransientError('database.unavailable', `the database does not answer within ${DATABASE_WAIT_MS / 1000} s`);
}

/** Waits for the connection to the broker, two seconds at most; false when there is none by then. */
export async function reachable(bus: Bus): Promise<boolean> {
  try {
    await bus.online(AbortSignal.timeout(BROKER_WAIT_MS));
    return true;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') return false;
    throw error;
  }
}
