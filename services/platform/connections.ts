/** Where the database and the broker are: named in the configuration, or the embedded ones of a data folder in which stockmesh runs. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isEncryptedUrl } from './bus/broker-url.ts';
import type { BrokerAddress } from './bus/connection.ts';
import { type Config, leaseSeconds } from './config/load.ts';
import { addressesIn, type HostAddress } from './database/addresses.ts';
import type { DatabaseOptions } from './database/database.ts';
import { databaseTls } from './database/tls.ts';
import { readDatabaseUrl } from './database/url.ts';
import { ConfigError, codeOf, messageOf } from './errors.ts';
import { readSecrets, type Secrets } from './machine/datafolder.ts';

/** What a running `stockmesh up` writes for services and commands over the same data folder. */
const runtimeSchema = z.object({
  pid: z.number().int(),
  database: z.object({ socket: z.string(), port: z.number(), name: z.string() }).nullable(),
  broker: z.object({ host: z.string(), port: z.number() }).nullable(),
  /** What the mesh was started with, for services and commands that join it. Absent where `stockmesh up` did not start it. */
  settings: z.object({ environment: z.string(), files: z.array(z.string()), set: z.array(z.string()) }).optional(),
});
export type Runtime = z.infer<typeof runtimeSchema>;

const runtimeFile = (dataFolder: string): string => join(dataFolder, 'runtime.json');

export function writeRuntime(dataFolder: string, runtime: Runtime): void {
  const file = runtimeFile(dataFolder);
  // Renamed into place, so that a command never reads half a file.
  writeFileSync(`${file}.new`, `${JSON.stringify(runtime, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function removeRuntime(dataFolder: string): void {
  rmSync(runtimeFile(dataFolder), { force: true });
}

/** What the mesh over a data folder says of itself; undefined where none runs. Errors: `ConfigError('mesh.runtime_invalid')`. */
export function findRuntime(dataFolder: string): Runtime | undefined {
  let text: string;
  try {
    text = readFileSync(runtimeFile(dataFolder), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  const runtime = runtimeSchema.safeParse(jsonOf(text));
  if (runtime.success) return runtime.data;
  throw new ConfigError(
    'mesh.runtime_invalid',
    `${runtimeFile(dataFolder)} is not what this version of stockmesh writes: stop the stockmesh that runs over ${dataFolder}, if one does, and start it again`,
    { cause: runtime.error },
  );
}

function readRuntime(dataFolder: string): Runtime {
  const runtime = findRuntime(dataFolder);
  if (runtime !== undefined) return runtime;
  throw new ConfigError(
    'mesh.not_running',
    `no stockmesh runs over ${dataFolder}: start it with "npm start", name its folder with --data or STOCKMESH_DATA, or name a database with database.url and a broker with queue.mqtt.url`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export type DatabaseRole = 'migrate' | 'service' | 'read';

/** True when `stockmesh up` is to start a database (a broker) of its own. */
export function usesEmbedded(config: Config): { database: boolean; broker: boolean } {
  const { database, queue } = config;
  return {
    database: !database.url && database.host === null && database.socket === null,
    broker: !queue.mqtt.url && queue.mqtt.host === null,
  };
}

/** How to reach the database with a role's account. Migrations of a configured database use its account too: it must be allowed to. Errors: `ConfigError('mesh.not_running' | 'mesh.runtime_invalid' | 'database.bad_url' | 'database.bad_host' | 'database.bad_tls')`. */
export function databaseOptions(config: Config, dataFolder: string, role: DatabaseRole): DatabaseOptions {
  const { url, host, port, socket, username, password, database, tls, pool, ...limits } = config.database;
  const sizes = {
    ...{ maxConnections: pool.max_connections, minConnections: pool.min_connections, idleTimeoutMs: pool.idle_timeout * 1000 },
    ...{ connectSeconds: limits.connect_timeout, acquireSeconds: limits.acquire_timeout },
    ...{ statementSeconds: limits.statement_timeout, longStatementSeconds: limits.long_statement_timeout },
    // Half a lease, in the servers' whole seconds: the rows of a frozen process are free before its own leases end, and before a healthy worker whose heartbeat
    // waits for one of them loses its leases.
    idleTransactionSeconds: Math.max(Math.floor(leaseSeconds(config) / 2), 1),
  };
  if (usesEmbedded(config).database) {
    const { database: running } = readRuntime(dataFolder);
    if (running === null)
      throw new ConfigError(
        'mesh.not_running',
        `the stockmesh over ${dataFolder} uses a database of the configuration; give this command the same configuration (--config)`,
      );
    return {
      ...sizes,
      socketPath: running.socket,
      user: ACCOUNTS[role],
      password: readSecrets(dataFolder).database[role],
      database: running.name,
    };
  }
  if (!url)
    return {
      ...sizes,
      ...(socket === null ? placedAt(hostsOf(host ?? '', port)) : { socketPath: socket }),
      user: username,
      password: password ?? '',
      database,
      tls: databaseTls(tls, { socket: socket !== null }),
    };
  const found = readDatabaseUrl(url);
  if ('fault' in found) throw new ConfigError('database.bad_url', `database.url ${found.fault}`);
  const isSocket = found.account.socketPath !== undefined;
  return { ...sizes, ...found.account, ...placedAt(found.hosts), tls: databaseTls({ ...tls, ...found.tls }, { socket: isSocket }) };
}

/** Nothing for a socket, which has no hosts. */
function placedAt(hosts: readonly HostAddress[]): Pick<DatabaseOptions, 'host' | 'port' | 'addresses'> {
  return hosts.length <= 1 ? { ...hosts[0] } : { addresses: hosts };
}

function hostsOf(text: string, port: number): HostAddress[] {
  const addresses = addressesIn(text, port);
  if (addresses !== undefined) return addresses;
  throw new ConfigError(
    'database.bad_host',
    `database.host is ${JSON.stringify(text)}; write a host, or several as host1,host2:3307, an IPv6 address with a port as [::1]:3307`,
  );
}

const ACCOUNTS: Record<DatabaseRole, string> = { migrate: 'stockmesh_migrate', service: 'stockmesh', read: 'stockmesh_read' };

/**
 * How to reach the broker with one of its accounts. At a broker of the configuration that is `queue.mqtt.passwords` of this service, and where there is none, the one account
 * of `queue.mqtt.url` or `.username`. Errors: `ConfigError('mesh.not_running' | 'mesh.runtime_invalid' | 'bus.ca_file')`, those of `readSecrets`.
 */
export function brokerAddress(config: Config, dataFolder: string, account: keyof Secrets['mqtt']): BrokerAddress {
  const { url, host, port, username, password, passwords, tls, keepalive, protocol_version: protocolVersion } = config.queue.mqtt;
  if (usesEmbedded(config).broker) {
    const { broker } = readRuntime(dataFolder);
    if (broker === null)
      throw new ConfigError(
        'mesh.not_running',
        `the stockmesh over ${dataFolder} uses a broker of the configuration; give this command the same configuration (--config)`,
      );
    return { ...broker, username: account, password: readSecrets(dataFolder).mqtt[account], keepalive, protocolVersion };
  }
  const own = passwords[account.replaceAll('-', '_') as keyof typeof passwords];
  const ca = tls.ca_file === null ? undefined : certificate(tls.ca_file);
  // Who names an authority wants encryption, and a URL without it would win unseen.
  if (url && (tls.enabled || ca !== undefined) && !isEncryptedUrl(url))
    throw new ConfigError(
      'config.conflicting_keys',
      `queue.mqtt.tls.${tls.enabled ? 'enabled' : 'ca_file'} asks for encryption, but queue.mqtt.url does not encrypt: write mqtts:// (or wss://) there`,
    );
  return {
    ...(url ? { url } : { host: host ?? undefined, port }),
    // The protocol of a URL says whether to encrypt, but not which certificate to trust.
    ...(url || tls.enabled || ca !== undefined ? { tls: { ca, verify: tls.verify } } : {}),
    ...(own ? { account: { username: account, password: own } } : { username: username ?? undefined, password: password || undefined }),
    keepalive,
    protocolVersion,
  };
}

function certificate(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError('bus.ca_file', `queue.mqtt.tls.ca_file: ${messageOf(error)}; name a file that this user may read`, {
      cause: error,
    });
  }
}
