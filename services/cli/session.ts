/** What the commands have in common: the options of the command line, the configuration they lead to, and connections that are opened when asked for. */
import { randomUUID } from 'node:crypto';
import { createAnnouncer, type Announcer } from '../jobs/announce.ts';
import type { Ledger } from '../jobs/job.ts';
import { ledgerOf } from '../jobs/ledger.ts';
import { type Bus, connectBus } from '../platform/bus.ts';
import { systemClock } from '../platform/clock.ts';
import { type LoadedConfig, loadConfig, type Override } from '../platform/config/load.ts';
import { brokerAddress, databaseOptions, type DatabaseRole } from '../platform/connections.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { dataFolderPath } from '../platform/datafolder.ts';
import { InputError } from '../platform/errors.ts';
import { createLogger } from '../platform/log.ts';
import { assertSchemaCurrent } from '../../sql/migrate.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  data?: string | undefined;
  env?: string | undefined;
  config?: string[] | undefined;
  set?: string[] | undefined;
}

/** The configuration that the options lead to, and the data folder. Errors: `ConfigError`, `InputError('option.bad_set')`. */
export function loadFor(options: GlobalOptions, more: Record<string, Override> = {}): { loaded: LoadedConfig; dataFolder: string } {
  const overrides: Record<string, Override> = {};
  for (const text of options.set ?? []) {
    const at = text.indexOf('=');
    if (at < 1) throw new InputError('option.bad_set', `--set "${text}": write it as KEY=VALUE, such as --set worker.max_concurrent_jobs=10`);
    overrides[text.slice(0, at)] = { value: text.slice(at + 1), option: `--set ${text.slice(0, at)}` };
  }
  const loaded = loadConfig({ environment: options.env, files: options.config, overrides: { ...overrides, ...more } });
  return { loaded, dataFolder: dataFolderPath(options.data ?? (process.env.STOCKMESH_DATA ? undefined : loaded.config.storage.data_folder)) };
}

/** Connections of one command. */
export interface Session {
  loaded: LoadedConfig;
  dataFolder: string;
  ledger: Ledger;
  db: Database;
  /** Connects to the broker as the mesh itself, or as a login hook would. */
  bus(account?: 'service' | 'hook'): Bus;
  announcer(): Announcer;
}

/** Runs a command with a session and closes whatever it opened. Errors: `ConfigError('mesh.not_running' | 'schema.older' | …)`. */
export async function withSession<T>(options: GlobalOptions, work: (session: Session) => Promise<T>, role: DatabaseRole = 'service'): Promise<T> {
  const { loaded, dataFolder } = loadFor(options);
  const db = openDatabase({ ...databaseOptions(loaded.config, dataFolder, role), maxConnections: 4 });
  const buses = new Map<string, Bus>();
  const instance = `cli-${process.pid}-${randomUUID().slice(0, 4)}`;
  const log = createLogger({ ...loaded.config.logging, level: 'error', file: null, service: 'cli', instance });
  const bus = (account: 'service' | 'hook' = 'service'): Bus => {
    const open = buses.get(account) ?? connectBus({ ...brokerAddress(loaded.config, dataFolder, account), service: 'cli', instance, log });
    buses.set(account, open);
    return open;
  };
  try {
    await assertSchemaCurrent(db);
    return await work({ loaded, dataFolder, db, ledger: ledgerOf(db, systemClock, loaded.config), bus, announcer: () => createAnnouncer({ bus: bus(), sql: db, clock: systemClock, log }) });
  } finally {
    await Promise.all([...buses.values()].map((open) => open.close()));
    await db.close();
  }
}
