import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ConfigError } from '../services/platform/errors.ts';
import { databaseServerEnvironment } from '../services/platform/machine/environment.ts';

const execute = promisify(execFile);
const run = (binary: string, args: readonly string[], maxBuffer = 1 << 20) =>
  execute(binary, args, { maxBuffer, env: databaseServerEnvironment() });

type Flavour = 'mariadb' | 'mysql';

/** A server program and its kind. */
export interface Server {
  readonly binary: string;
  readonly flavour: Flavour;
}

/** Runs the program to see its kind: Debian's `mysqld` is MariaDB's. */
export async function identify(binary: string): Promise<Server> {
  const { stdout } = await run(binary, ['--no-defaults', '--version']);
  return { binary, flavour: stdout.includes('MariaDB') ? 'mariadb' : 'mysql' };
}

/** A server refuses to run as root unless it is told to. */
export const asRoot: readonly string[] = process.getuid?.() === 0 ? ['--user=root'] : [];

/**
 * Beside the data folder: inside of it, it would be listed as a schema. Never the machine's /tmp: a starting server deletes every `#sql*` file of its
 * temporary folder, also those that another server is using.
 */
export const temporaryFolder = (dataDir: string): string => `${dataDir}.tmp`;

async function runServer({ binary }: Server, args: readonly string[], input: string): Promise<void> {
  const child = spawn(binary, [...args, ...asRoot], { stdio: ['pipe', 'ignore', 'pipe'], env: databaseServerEnvironment() });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000);
  });
  // A server that ends early breaks the pipe; its output, shown below, says more than EPIPE.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code, signal] = await once(child, 'close');
  if (code !== 0)
    throw new ConfigError(
      'database.create_failed',
      `${binary} could not create a new database (${signal ?? `exit code ${code}`}). The end of its output:\n${complaint.trim()}`,
    );
}

/**
 * MariaDB's own scripts, as its `mariadb-install-db` feeds them to the server. That script itself is not used: Debian's
 * `mariadb-server-core` ships it without `my_print_defaults`, so it ends with an error, and run by root it changes the owner of system files.
 */
async function mariadbScripts({ binary }: Server): Promise<string> {
  const { stdout } = await run(binary, ['--no-defaults', ...asRoot, '--verbose', '--help'], 8 << 20);
  // The folder of the scripts has no name of its own in this list; the character sets lie in it.
  const charsets = /^character-sets-dir\s+(\S.*)$/m.exec(stdout)?.[1]?.trim() ?? '/usr/share/mysql/charsets';
  const share = dirname(charsets);
  // Renamed in MariaDB 11.
  const prefix = ['mysql', 'mariadb'].find((name) => existsSync(join(share, `${name}_system_tables.sql`)));
  if (prefix === undefined)
    throw new ConfigError(
      'database.incomplete_installation',
      `${binary} is installed without mysql_system_tables.sql in ${share}: reinstall its package, on Debian and Ubuntu, as root: apt-get install --reinstall mariadb-server-core`,
    );
  const scripts = ['system_tables', 'performance_tables', 'system_tables_data'].map((name) =>
    readFile(join(share, `${prefix}_${name}.sql`), 'utf8'),
  );
  return (await Promise.all(scripts)).join('\n');
}

/**
 * Creates a new data folder at `dataDir` with the system tables and one account, root@localhost, still without a password. It is made
 * beside and renamed into place, so a crash in the middle leaves nothing that looks like a database.
 */
export async function createSystemTables(server: Server, dataDir: string): Promise<void> {
  const unfinished = `${dataDir}.creating`;
  await rm(unfinished, { recursive: true, force: true });
  if (server.flavour === 'mysql') {
    await runServer(server, ['--no-defaults', '--initialize-insecure', `--datadir=${unfinished}`], '');
  } else {
    for (const folder of [unfinished, temporaryFolder(dataDir)]) await mkdir(folder, { recursive: true, mode: 0o700 });
    const scripts = await mariadbScripts(server);
    const sql = [
      'CREATE DATABASE IF NOT EXISTS mysql;',
      'USE mysql;',
      'SET @auth_root_socket = NULL;',
      scripts,
      // root@localhost is the socket. The scripts also add root for the machine's name and the loopback addresses, without a password.
      "DELETE FROM global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');",
      "DELETE FROM proxies_priv WHERE User = '' OR Host <> 'localhost';",
    ].join('\n');
    await runServer(
      server,
      [
        '--no-defaults',
        '--bootstrap',
        '--silent-startup',
        `--datadir=${unfinished}`,
        `--tmpdir=${temporaryFolder(dataDir)}`,
        '--log-warnings=0',
        '--enforce-storage-engine=',
        '--max-allowed-packet=8M',
      ],
      sql,
    );
  }
  await rename(unfinished, dataDir);
}
