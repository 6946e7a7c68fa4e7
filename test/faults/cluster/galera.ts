/** Nodes of a Galera cluster, or one server without one, each on a machine of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { createAccounts, type DatabasePasswords } from '../../../sql/accounts.ts';
import { createSystemTables, identify } from '../../../sql/system-tables.ts';
import { endProcess } from '../processes.ts';
import type { Machine } from './network.ts';
import type { Node } from './nodes.ts';

export const PROVIDER = '/usr/lib/galera/libgalera_smm.so';
/** For the whole of a service's start on a busy machine. */
const READY_MS = 120_000;

export interface NodeSettings {
  folder: string;
  address: string;
  /** Of all nodes; one alone is no cluster. */
  addresses: readonly string[];
}

/** The server's options. Small: several run on one machine. */
export function serverSettings({ folder, address, addresses }: NodeSettings): Record<string, string | number> {
  return {
    datadir: join(folder, 'data'),
    tmpdir: join(folder, 'data.tmp'),
    socket: join(folder, 's'),
    'pid-file': join(folder, 'server.pid'),
    'log-error': join(folder, 'error.log'),
    'bind-address': '0.0.0.0',
    port: 3306,
    'character-set-server': 'utf8mb4',
    'collation-server': 'utf8mb4_bin',
    'skip-name-resolve': 'ON',
    'skip-log-bin': 'ON',
    'performance-schema': 'OFF',
    'max-connections': 200,
    'max-allowed-packet': '64M',
    'innodb-buffer-pool-size': '64M',
    'innodb-log-file-size': '48M',
    'innodb-flush-log-at-trx-commit': 2,
    ...(addresses.length > 1 && {
      'wsrep-on': 'ON',
      'wsrep-provider': PROVIDER,
      'wsrep-cluster-name': 'stockmesh',
      'wsrep-cluster-address': `gcomm://${addresses.join(',')}`,
      'wsrep-node-address': address,
      'wsrep-sst-method': 'rsync',
      'binlog-format': 'ROW',
      'innodb-autoinc-lock-mode': 2,
    }),
  };
}

interface Server extends NodeSettings {
  machine: Machine;
  binary: string;
}

/** Not root: rsync, which copies a database, would not write as root. */
const USER = 'nobody';
const own = (folder: string): void => void execFileSync('chown', ['-R', USER, folder]);

const optionsOf = (settings: NodeSettings): string[] => [
  '--no-defaults',
  `--user=${USER}`,
  ...Object.entries(serverSettings(settings)).map(([name, value]) => `--${name}=${value}`),
];

async function ask(folder: string, sql: string): Promise<Record<string, string>> {
  const root = await createConnection({ socketPath: join(folder, 's'), user: 'root', connectTimeout: 2_000 });
  try {
    const [rows] = await root.query<never>(sql);
    return Object.fromEntries((rows as { Variable_name: string; Value: string }[]).map((row) => [row.Variable_name, row.Value]));
  } finally {
    await root.end();
  }
}

async function untilReady({ folder, addresses }: NodeSettings, child: ChildProcess, size: number): Promise<void> {
  const end = performance.now() + READY_MS;
  let seen: unknown;
  while (performance.now() < end && child.exitCode === null && child.signalCode === null) {
    try {
      const status = await ask(folder, "SHOW GLOBAL STATUS LIKE 'wsrep%'");
      seen = status.wsrep_local_state_comment;
      if (addresses.length === 1 || (seen === 'Synced' && status.wsrep_ready === 'ON' && Number(status.wsrep_cluster_size) >= size)) return;
    } catch (error) {
      seen = error;
    }
    await delay(100);
  }
  const lastWords = readFileSync(join(folder, 'error.log'), 'utf8').split('\n').slice(-25).join('\n');
  throw new Error(`the database node in ${folder} is not ready: ${seen}\n${lastWords}`);
}

/** Where the node stood when it was killed: it then gets what it has missed, and not the whole database. */
function positionOf(server: Server): string[] {
  if (server.addresses.length === 1) return [];
  const log = join(server.folder, 'recover.log');
  const options = optionsOf(server).filter((option) => !option.startsWith('--log-error='));
  execFileSync(server.binary, [...options, '--wsrep-recover', `--log-error=${log}`], { stdio: 'ignore' });
  const [, position] = /.*Recovered position:\s*(\S+)/s.exec(readFileSync(log, 'utf8')) ?? [];
  return position === undefined ? [] : [`--wsrep-start-position=${position}`];
}

interface DatabaseNode extends Node {
  /** Starts the process; the options say where it stands in the cluster. */
  begin(more?: readonly string[]): void;
  /** Until it takes writes with at least so many nodes. */
  settle(size: number): Promise<void>;
}

function nodeOf(server: Server): DatabaseNode {
  let child: ChildProcess | undefined;
  return {
    name: server.address,
    machine: server.machine,
    begin(more = positionOf(server)) {
      const [command, args] = server.machine.command(server.binary, [...optionsOf(server), ...more]);
      // In a session of its own, so that Ctrl-C in the terminal reaches it last.
      child = spawn(command, args, { stdio: 'ignore', detached: true, cwd: server.folder });
    },
    settle: (size) => untilReady(server, child as ChildProcess, size),
    async start() {
      this.begin();
      await this.settle(Math.min(server.addresses.length, 2));
    },
    whole() {
      return this.settle(server.addresses.length);
    },
    async end(signal) {
      if (child !== undefined) await endProcess(child, signal);
    },
  };
}

/** A new database with accounts, on as many machines. `started` gets the nodes at once: they are ended by the caller, also when one does not start. */
export async function startDatabases(
  home: string,
  machines: readonly Machine[],
  passwords: DatabasePasswords,
  started: Node[],
): Promise<Node[]> {
  const identified = await identify(findProgram(['mariadbd', 'mysqld']) as string);
  const { binary } = identified;
  const addresses = machines.map(({ address }) => address);
  const servers = machines.map((machine, index) => ({
    ...{ machine, binary, addresses, address: machine.address, folder: join(home, `db${index + 1}`) },
  }));
  const nodes = servers.map(nodeOf);
  started.push(...nodes);
  const first = servers[0] as Server;
  for (const { folder } of servers) mkdirSync(join(folder, 'data.tmp'), { recursive: true });
  await createSystemTables(identified, join(first.folder, 'data'));
  own(first.folder);
  const bootstrap = ['--wsrep-new-cluster'].filter(() => addresses.length > 1);
  nodes[0]!.begin(bootstrap);
  await nodes[0]!.settle(1);
  const root = await createConnection({ socketPath: join(first.folder, 's'), user: 'root' });
  await createAccounts(root, { database: 'stockmesh', passwords, hosts: ['%'] });
  await root.end();
  if (servers.length === 1) return nodes;
  // The others begin with a copy.
  await nodes[0]!.end('SIGTERM');
  for (const { folder } of servers.slice(1)) {
    cpSync(join(first.folder, 'data'), join(folder, 'data'), { recursive: true });
    for (const name of ['galera.cache', 'gvwstate.dat']) rmSync(join(folder, 'data', name), { force: true });
    own(folder);
  }
  nodes[0]!.begin(bootstrap);
  await nodes[0]!.settle(1);
  for (const node of nodes.slice(1)) node.begin();
  await Promise.all(nodes.map((node) => node.settle(nodes.length)));
  return nodes;
}
