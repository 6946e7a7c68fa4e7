import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { escape as quote } from 'mysql2';
import { type Connection, createConnection } from 'mysql2/promise';
import { type DatabaseOptions, SET_SQL_MODE } from '../services/platform/database/database.ts';
import { ConfigError, codeOf, messageOf } from '../services/platform/errors.ts';
import type { Logger } from '../services/platform/log/log.ts';
import { databaseServerEnvironment } from '../services/platform/machine/environment.ts';
import { assertPortFree, freePort } from '../services/platform/machine/ports.ts';
import { findProgram } from '../services/platform/machine/programs.ts';
import { accountNames, createAccounts, type DatabasePasswords, type DatabaseRole } from './accounts.ts';
import { grantReading } from './read-rights.ts';
import { findServer, isServerOf, stopServer } from './running-server.ts';
import { asRoot, createSystemTables, identify, type Server, temporaryFolder } from './system-tables.ts';

const HOST = '127.0.0.1';
/** The socket and TCP, which a server that resolves no names tells apart. */
const HOSTS = ['localhost', HOST];

export interface EmbeddedOptions {
  /** The server's own folder; created where it is missing. Its parent must exist. */
  readonly dataDir: string;
  readonly passwords: DatabasePasswords;
  readonly log: Logger;
  /** The schema. Default `stockmesh`. */
  readonly database?: string;
  /** TCP port on 127.0.0.1. Undefined: the port of the last start, or any free one where that is taken or there was none. */
  readonly port?: number | undefined;
  /** The server program. Default: the first `mariadbd` or `mysqld` that is installed. */
  readonly binary?: string;
  /** Whether a commit is on the disk before it is answered. Default true; false only for tests. */
  readonly durable?: boolean;
  /** More settings of the server, as on its command line without the dashes; they win over ours. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export interface EmbeddedDatabase {
  readonly host: typeof HOST;
  readonly port: number;
  readonly socket: string;
  readonly database: string;
  readonly pid: number;
  /** Whether the server was found running, left behind by a process that was killed. */
  readonly adopted: boolean;
  readonly accounts: Readonly<Record<DatabaseRole, { readonly user: string; readonly password: string }>>;
  /** For `openDatabase` and `migrateUp`: over the socket, which costs less than TCP. */
  options(role: DatabaseRole): DatabaseOptions;
  /** For mysql2, which takes the socket in it; other clients read host and port. `root` is for the socket only. */
  url(role: DatabaseRole): string;
  /** Gives `stockmesh_read` its rights, and takes those of earlier versions away. After the migrations. */
  grantReading(): Promise<void>;
  /** Resolves, with how it ended, when the server is gone, whether by `stop` or by accident. Does not keep the process alive. */
  readonly exited: Promise<string>;
  /** Ends the server cleanly; resolves when its process is gone. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a private database server over `dataDir`, or adopts the one that already works on it, and makes sure of its schema, accounts and
 * passwords. The caller holds the data folder's lock, so no other process does the same at the same time. The server runs in its own
 * session: Ctrl-C in the terminal reaches the services first, and they still have a database to finish with.
 * @throws ConfigError `database.not_installed`, `database.not_a_database`, `database.create_failed`, `database.start_failed`, `port.in_use`.
 */
export async function startDatabase(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const dataDir = await absolute(options.dataDir);
  const { port, log } = options;
  const living = findServer(dataDir);
  if (living !== undefined) {
    if (port === undefined || port === living.port) {
      const adopted = await adopt(options, dataDir, living);
      if (adopted !== undefined) return adopted;
    }
    log.info({ pid: living.pid, dataDir }, 'restarting the database server that was left running');
    await stopServer(living.pid, dataDir);
  }
  const server = await findDatabaseServer(options.binary);
  if (port !== undefined) await assertPortFree({ port, host: HOST, option: 'database.port' });
  if (!(await isDatabase(dataDir))) {
    log.info({ dataDir, server: server.binary }, 'creating a new database');
    await createSystemTables(server, dataDir);
  }
  if (port !== undefined) return launch(options, server, dataDir, port);
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(options, server, dataDir, await portOfLastStart(dataDir, log));
    } catch (error) {
      // Another process took the free port between finding and using it.
      if (attempt === 3 || !/Bind on TCP\/IP port/i.test(messageOf(error))) throw error;
    }
  }
}

const portFile = (dataDir: string): string => join(dataDir, 'server.port');

/** A dashboard such as Grafana connects by port: it must find the server again after a restart. */
async function portOfLastStart(dataDir: string, log: Logger): Promise<number> {
  const text = await readFile(portFile(dataDir), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  });
  const last = Number(text);
  const free = await freePort(HOST);
  if (!Number.isInteger(last) || last < 1 || last > 65_535) return free;
  try {
    await assertPortFree({ port: last, host: HOST, option: 'database.port' });
    return last;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    log.warn({ port: last, newPort: free }, `the database gets the new port ${free}: ${messageOf(error)}`);
    return free;
  }
}

/** @throws ConfigError `database.not_installed` */
async function findDatabaseServer(binary: string | undefined): Promise<Server> {
  const found = binary ?? findProgram(['mariadbd', 'mysqld']);
  if (found === undefined)
    throw new ConfigError(
      'database.not_installed',
      'no database server (mariadbd or mysqld) is installed; on Debian and Ubuntu, as root: apt-get install --no-install-recommends mariadb-server-core; or name a server of your own with database.url',
    );
  return identify(found);
}

/** The folder's real path, by which its server is found in the process list, also when a link leads to it. */
async function absolute(folder: string): Promise<string> {
  const path = resolve(folder);
  return join(await realpath(dirname(path)), basename(path));
}

async function isDatabase(dataDir: string): Promise<boolean> {
  const entries: string[] = await readdir(dataDir).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  if (entries.includes('mysql')) return true;
  if (entries.length > 0)
    throw new ConfigError(
      'database.not_a_database',
      `${dataDir} is neither empty nor a database: choose another data folder with --data, or move it away`,
    );
  return false;
}

/** Bytes: sun_path is 104 on macOS and 108 on Linux, both with a closing NUL. */
const LONGEST_SOCKET_PATH = 103;

/** Inside the data folder; where that is too long for a socket, in a private folder for temporary files whose name follows from the data folder. */
async function socketPath(dataDir: string): Promise<string> {
  const inside = join(dataDir, 'server.sock');
  if (Buffer.byteLength(inside) <= LONGEST_SOCKET_PATH) return inside;
  const name = `stockmesh-${createHash('sha256').update(dataDir).digest('hex').slice(0, 16)}`;
  const folder =
    [tmpdir(), '/tmp'].map((temp) => join(temp, name)).find((path) => Buffer.byteLength(path) + 12 <= LONGEST_SOCKET_PATH) ??
    join('/tmp', name);
  await mkdir(folder, { mode: 0o700, recursive: true });
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0)
    throw new ConfigError('database.socket_folder', `${folder} must be a folder of this user with mode 0700: remove it and start again`);
  return join(folder, 'server.sock');
}

interface Listening {
  readonly dataDir: string;
  readonly socket: string;
  readonly port: number;
  readonly initFile: string;
}

/**
 * One thread a connection: MariaDB's thread pool needs a quarter less CPU at 32 connections, but beside a few long queries its 99th percentile of a short
 * transaction was 160-760 ms against 11-98 ms. The flush method, log buffering and the number of purge threads made no difference that was measurable.
 */
function settingsFor(
  { flavour }: Server,
  { dataDir, socket, port, initFile }: Listening,
  { durable = true, settings = {} }: EmbeddedOptions,
) {
  return {
    datadir: dataDir,
    tmpdir: temporaryFolder(dataDir),
    socket,
    port,
    'bind-address': HOST,
    'pid-file': join(dataDir, 'server.pid'),
    'log-error': join(dataDir, 'error.log'),
    'init-file': initFile,
    'character-set-server': 'utf8mb4',
    'collation-server': 'utf8mb4_bin',
    'default-time-zone': '+00:00',
    'transaction-isolation': 'READ-COMMITTED',
    'skip-name-resolve': 'ON',
    'skip-log-bin': 'ON',
    'local-infile': 'OFF',
    'performance-schema': 'OFF',
    'max-connections': 200,
    'max-allowed-packet': '64M',
    'innodb-buffer-pool-size': '256M',
    'innodb-flush-log-at-trx-commit': durable ? 1 : 2,
    ...(flavour === 'mariadb'
      ? { 'innodb-log-file-size': '256M', 'symbolic-links': 'OFF' }
      : { 'loose-innodb-redo-log-capacity': '512M', mysqlx: 'OFF' }),
    ...settings,
  };
}

async function launch(options: EmbeddedOptions, server: Server, dataDir: string, port: number): Promise<EmbeddedDatabase> {
  const socket = await socketPath(dataDir);
  const errorLog = join(dataDir, 'error.log');
  const logStart = await stat(errorLog).then(
    ({ size }) => size,
    () => 0,
  );
  // Read before the first connection is let in: root has our password even when the folder was new, or came with other secrets.
  const initFile = join(dataDir, 'set-root-password.sql');
  await writeFile(initFile, `${SET_SQL_MODE};\nALTER USER 'root'@'localhost' IDENTIFIED BY ${quote(options.passwords.root)};\n`, {
    mode: 0o600,
  });
  const settings = settingsFor(server, { dataDir, socket, port, initFile }, options);
  const args = ['--no-defaults', ...asRoot, ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)];
  await mkdir(temporaryFolder(dataDir), { recursive: true, mode: 0o700 });
  const child = spawn(server.binary, args, { detached: true, stdio: 'ignore', cwd: dataDir, env: databaseServerEnvironment() });
  await once(child, 'spawn');
  const exited = once(child, 'exit').then(([code, signal]) => (signal === null ? `exit code ${code}` : `signal ${signal}`));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  try {
    const root = await connectAsRoot(options, socket, isRunning);
    await prepare(options, root);
  } catch (error) {
    if (isRunning()) child.kill('SIGKILL');
    const how = await exited;
    const lastWords = (await readFile(errorLog).catch(() => Buffer.alloc(0)))
      .subarray(logStart)
      .toString('utf8')
      .trim()
      .split('\n')
      .slice(-15)
      .join('\n');
    throw new ConfigError(
      'database.start_failed',
      `the database server ${server.binary} did not start over ${dataDir} (${how}; ${messageOf(error)}). The end of ${errorLog}:\n${lastWords}\n` +
        'Correct what it names and start again. If you do not need the data, move that folder away: the next start creates a new database.',
      { cause: error },
    );
  } finally {
    await rm(initFile, { force: true });
  }
  child.unref();
  // The server makes its socket for everybody, whatever its umask.
  await chmod(socket, 0o600);
  await writeFile(portFile(dataDir), `${port}\n`, { mode: 0o600 });
  options.log.debug({ pid: child.pid, port, socket, server: server.binary }, 'the database server is ready');
  return describe(options, dataDir, { pid: child.pid!, socket, port }, false, exited);
}

/** Undefined where the server does not take our root password: only a restart can set it. */
async function adopt(
  options: EmbeddedOptions,
  dataDir: string,
  living: { pid: number; socket: string; port: number },
): Promise<EmbeddedDatabase | undefined> {
  try {
    await prepare(options, await connectAsRoot(options, living.socket, () => isServerOf(living.pid, dataDir)));
  } catch (error) {
    if (codeOf(error) === 'ER_ACCESS_DENIED_ERROR') return undefined;
    throw error;
  }
  options.log.info({ pid: living.pid, dataDir }, 'using the database server that was left running');
  const exited = (async () => {
    while (isServerOf(living.pid, dataDir)) await delay(250, undefined, { ref: false });
    return 'its process is gone';
  })();
  return describe(options, dataDir, living, true, exited);
}

/** Milliseconds. After a crash the server first replays its log, which takes longer than any ordinary start. */
const START_TIMEOUT = 300_000;

async function connectAsRoot({ passwords, log }: EmbeddedOptions, socket: string, isRunning: () => boolean): Promise<Connection> {
  const started = performance.now();
  let reportAt = started + 5_000;
  for (;;) {
    try {
      return await createConnection({ socketPath: socket, user: accountNames.root, password: passwords.root });
    } catch (error) {
      const now = performance.now();
      if (!isRunning() || now - started > START_TIMEOUT || codeOf(error) === 'ER_ACCESS_DENIED_ERROR') throw error;
      if (now > reportAt) {
        log.info({ seconds: Math.round((now - started) / 1000) }, 'the database server is still starting');
        reportAt = now + 5_000;
      }
      await delay(10);
    }
  }
}

async function prepare({ database = 'stockmesh', passwords }: EmbeddedOptions, root: Connection): Promise<void> {
  try {
    await createAccounts(root, { database, passwords, hosts: HOSTS });
  } finally {
    await root.end();
  }
}

function describe(
  { database = 'stockmesh', passwords }: EmbeddedOptions,
  dataDir: string,
  { pid, socket, port }: { pid: number; socket: string; port: number },
  adopted: boolean,
  exited: Promise<string>,
): EmbeddedDatabase {
  const stopped = Promise.withResolvers<string>();
  const account = (role: DatabaseRole) => ({ user: accountNames[role], password: passwords[role] });
  return {
    host: HOST,
    port,
    socket,
    database,
    pid,
    adopted,
    accounts: { root: account('root'), migrate: account('migrate'), service: account('service'), read: account('read') },
    options: (role) => ({ ...account(role), socketPath: socket, database }),
    url: (role) => databaseUrl({ ...account(role), socket, port, database }),
    grantReading: async () => {
      const root = await createConnection({ socketPath: socket, user: accountNames.root, password: passwords.root });
      try {
        await grantReading(root, { database, hosts: HOSTS });
      } finally {
        await root.end();
      }
    },
    exited: Promise.race([exited, stopped.promise]),
    stop: async () => {
      await stopServer(pid, dataDir);
      stopped.resolve('stopped');
      if (dirname(socket) !== dataDir) await rm(dirname(socket), { recursive: true, force: true });
    },
  };
}

/** A URL that mysql2 connects with over the socket and any other client over TCP on 127.0.0.1. */
export function databaseUrl({
  user,
  password,
  socket,
  port,
  database,
}: {
  user: string;
  password: string;
  socket: string;
  port: number;
  database: string;
}): string {
  return `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${HOST}:${port}/${encodeURIComponent(database)}?socketPath=${encodeURIComponent(socket)}`;
}
