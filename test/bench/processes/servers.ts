/** The servers that are compared, each private to this run: a folder for temporary files, a Unix socket, stopped by process id. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { DatabaseOptions } from '../../../services/platform/database/database.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { startDatabase } from '../../../sql/embedded.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { median } from '../report/statistics.ts';

export const silent = pino({ level: 'silent' });

/** What has been started and must be stopped, last first. */
const running: (() => Promise<void> | void)[] = [];

export function atEnd(stop: () => Promise<void> | void): void {
  running.push(stop);
}

export async function stopAll(): Promise<void> {
  for (let stop = running.pop(); stop !== undefined; stop = running.pop()) await stop();
}

let folder: string | undefined;

/** The run's folder. Others may pass through it: PostgreSQL does not run as root. */
export function runFolder(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'stockmesh-bench-'));
    chmodSync(made, 0o711);
    folder = made;
    atEnd(() => rmSync(made, { recursive: true, force: true }));
  }
  return folder;
}

/** Milliseconds until a write of 4 KB is on the disk of the run's folder, median of 200: every durable commit waits for one. */
export function diskSyncMs(): number {
  const file = openSync(join(runFolder(), 'sync'), 'w');
  // As a database's log: a file that is there already, written over.
  writeSync(file, Buffer.alloc(200 * 4096));
  fsyncSync(file);
  const times = Array.from({ length: 200 }, (_, at) => {
    writeSync(file, Buffer.alloc(4096, at), 0, 4096, at * 4096);
    const written = performance.now();
    fdatasyncSync(file);
    return performance.now() - written;
  });
  closeSync(file);
  return median(times);
}

export interface Started<Address> {
  address: Address;
  pid: number;
  version: string;
  /** What an acknowledged write survives. */
  durability: string;
}

export interface MariaDb {
  service: DatabaseOptions;
  root: DatabaseOptions;
}

const PASSWORDS = { root: 'bench-root', migrate: 'bench-migrate', service: 'bench-service', read: 'bench-read' };

/** As `stockmesh up` starts it, with its settings. Errors: `ConfigError('database.not_installed')` that says how to install it. */
export async function startMariaDb(): Promise<Started<MariaDb>> {
  const database = await startDatabase({ dataDir: join(runFolder(), 'mariadb'), passwords: PASSWORDS, log: silent });
  atEnd(() => database.stop());
  await migrateUp(database.options('migrate'));
  const program = findProgram(['mariadbd', 'mysqld']) as string;
  return {
    address: { service: database.options('service'), root: database.options('root') },
    pid: database.pid,
    version: versionOf(program),
    durability: 'every commit is on the disk before it is acknowledged (innodb_flush_log_at_trx_commit=1)',
  };
}

/** Undefined where `redis-server` is not installed. */
export async function startRedis(): Promise<Started<{ path: string }> | undefined> {
  const program = findProgram(['redis-server']);
  if (program === undefined) return undefined;
  const home = join(runFolder(), 'redis');
  mkdirSync(home);
  const path = join(home, 'redis.sock');
  const settings = {
    port: 0,
    unixsocket: path,
    dir: home,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  const child = spawn(
    program,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    { stdio: 'ignore', detached: true },
  );
  stopAtEnd(child, 'SIGTERM');
  await until(child, () => accepts(path));
  return {
    address: { path },
    pid: child.pid as number,
    version: versionOf(program),
    durability: 'AOF everysec: an acknowledged write may be lost for up to a second after a crash of the machine',
  };
}

/** Undefined where PostgreSQL is not installed. */
export async function startPostgres(): Promise<Started<{ connectionString: string }> | undefined> {
  const programs = postgresPrograms();
  if (programs === undefined) return undefined;
  const home = join(runFolder(), 'postgres');
  mkdirSync(home);
  // initdb and postgres refuse root.
  const asOwner = process.getuid?.() === 0 ? ownerOf(home) : [];
  const run = (program: string, args: string[]): [string, string[]] => {
    const [first, ...rest] = [...asOwner, join(programs, program), ...args];
    return [first as string, rest];
  };
  const data = join(home, 'data');
  execFileSync(...run('initdb', ['-D', data, '-U', 'bench', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']), {
    stdio: 'ignore',
    cwd: home,
  });
  // The default of shared_buffers is half of what the embedded MariaDB gets.
  const child = spawn(
    ...run('postgres', ['-D', data, '-k', home, '-c', 'listen_addresses=', '-c', 'shared_buffers=256MB', '-c', 'max_connections=200']),
    {
      stdio: 'ignore',
      detached: true,
      cwd: home,
    },
  );
  stopAtEnd(child, 'SIGINT');
  // Its socket accepts before the server does.
  await until(child, () => succeeds(join(programs, 'pg_isready'), ['-q', '-h', home]));
  const connectionString = `postgres:///postgres?host=${encodeURIComponent(home)}&user=bench`;
  return {
    address: { connectionString },
    pid: child.pid as number,
    version: versionOf(join(programs, 'postgres')),
    durability: 'every commit is on the disk before it is acknowledged (fsync and synchronous_commit on, the defaults)',
  };
}

/** Debian keeps each version's programs apart; the newest one counts. */
function postgresPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(debian, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  const inPath = findProgram(['initdb']);
  return found ?? (inPath === undefined ? undefined : join(inPath, '..'));
}

/** Gives the folder to the account `postgres`; what runs a program as that account. */
function ownerOf(home: string): string[] {
  const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  chownSync(home, idOf('-u'), idOf('-g'));
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'];
}

function versionOf(program: string): string {
  const text = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return /\d+(?:\.\d+)+(?:-MariaDB)?/.exec(text)?.[0] ?? text.trim();
}

function stopAtEnd(child: ChildProcess, signal: NodeJS.Signals): void {
  atEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  });
}

const START_TIMEOUT_MS = 20_000;

async function until(child: ChildProcess, ready: () => boolean | Promise<boolean>): Promise<void> {
  for (const started = performance.now(); !(await ready()); await delay(20))
    if (child.exitCode !== null || performance.now() - started > START_TIMEOUT_MS)
      throw new Error(`did not start: ${child.spawnargs.join(' ')}`);
}

async function accepts(path: string): Promise<boolean> {
  const socket = connect(path);
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}

function succeeds(program: string, args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
