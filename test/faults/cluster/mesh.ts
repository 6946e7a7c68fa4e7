/** Databases, brokers and two of each service: one or three of the first two, each on a machine of its own; the services on this one. */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeKey } from '../../../services/gateway/auth/keys.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { openDataFolder, type Secrets } from '../../../services/platform/machine/datafolder.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { endProcess, MAIN, startProcess } from '../processes.ts';
import { startDatabases } from './galera.ts';
import { startBrokers } from './nats.ts';
import { openNetwork } from './network.ts';
import type { Node } from './nodes.ts';

const SERVICES = ['portfolio-priority', 'worker', 'scheduler', 'gateway', 'notifier'] as const;

/** One process of a service. */
export interface ServiceProcess {
  name: string;
  start(): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface ClusterMesh {
  databases: readonly Node[];
  brokers: readonly Node[];
  services: readonly ServiceProcess[];
  secrets: Secrets;
  db: Database;
  httpPorts: readonly number[];
  /** Rows of logins and jobs in each database node: the same where they agree. */
  rowsByNode(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Small pools, short leases, so that the jobs of a killed worker are seen again soon; few bars, so that logins are the load. */
const SETTINGS = {
  'logging.level': 'silent',
  'stock_jobs.data_fetch.sources': 'simulated',
  'stock_jobs.data_fetch.history_days': 60,
  'worker.heartbeat_interval': 2,
  'worker.poll_interval': 1,
  'database.pool.max_connections': 6,
  // A broker node that is cut off is noticed within one and a half of it.
  'queue.mqtt.keepalive': 5,
};

/** What each service is told besides its name: all addresses, in the same order everywhere. */
export function placesOf(
  databases: readonly string[],
  brokers: readonly string[],
  secrets: Pick<Secrets, 'database' | 'mqtt'>,
): Record<string, string> {
  return {
    'database.host': databases.join(','),
    'database.username': 'stockmesh',
    'database.password': secrets.database.service,
    'queue.mqtt.host': brokers.join(','),
    'queue.mqtt.username': 'service',
    'queue.mqtt.password': secrets.mqtt.service,
  };
}

function processOf(name: string, args: readonly string[]): ServiceProcess {
  let child: ChildProcess | undefined;
  return {
    name,
    async start() {
      child = await startProcess(MAIN, args);
    },
    async end(signal) {
      if (child !== undefined) await endProcess(child, signal);
    },
  };
}

export async function startClusterMesh(size: 1 | 3): Promise<ClusterMesh> {
  const home = mkdtempSync(join(tmpdir(), 'stockmesh-cluster-'));
  // The database servers are not root; the folder of the secrets is closed to them all the same.
  chmodSync(home, 0o711);
  const folder = await openDataFolder(join(home, 'data'));
  const { secrets } = folder;
  const network = openNetwork(2 * size);
  const nodes: Node[] = [];
  const services: ServiceProcess[] = [];
  const opened: Database[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(services.map((service) => service.end('SIGKILL')));
    await Promise.all(opened.map((one) => one.close()));
    await Promise.all(nodes.map((node) => node.end('SIGKILL')));
    network.close();
    folder.release();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const databases = await startDatabases(home, network.machines.slice(0, size), secrets.database, nodes);
    const brokers = await startBrokers(home, network.machines.slice(size), secrets.mqtt, nodes);
    const account = { user: 'stockmesh', password: secrets.database.service, database: 'stockmesh' };
    const addresses = databases.map(({ name: host }) => ({ host, port: 3306 }));
    await migrateUp({ ...account, addresses, user: 'stockmesh_migrate', password: secrets.database.migrate });
    const db = openDatabase({ ...account, addresses, maxConnections: 3 });
    const each = addresses.map((address) => openDatabase({ ...account, ...address, maxConnections: 1 }));
    opened.push(db, ...each);
    await storeKey(db, secrets.gateway.operator, { name: 'operator', scopes: ['read', 'jobs', 'admin'] }, new Date());
    const httpPorts = [await freePort(), await freePort()];
    const places = placesOf(
      databases.map(({ name }) => name),
      brokers.map(({ name }) => name),
      secrets,
    );
    for (const service of SERVICES)
      for (const [index, port] of httpPorts.entries()) {
        const set = Object.entries({ ...SETTINGS, ...places, 'gateway.port': port }).flatMap(([key, value]) => [
          '--set',
          `${key}=${value}`,
        ]);
        const instance = `${service}-${index + 1}`;
        services.push(processOf(instance, ['service', service, '--instance', instance, '--data', folder.path, '--env', 'demo', ...set]));
      }
    // Those that take logins first: a broker keeps nothing for a name that it has never heard.
    for (const service of services) await service.start();
    const rowsOf = async (one: Database): Promise<string> => {
      const [row] = await one.rows<{ logins: number; jobs: number }>(
        'SELECT (SELECT COUNT(*) FROM user_portfolio_priority) AS logins, (SELECT COUNT(*) FROM job_states) AS jobs',
      );
      return `${row?.logins} logins, ${row?.jobs} jobs`;
    };
    return { databases, brokers, services, secrets, db, httpPorts, rowsByNode: () => Promise.all(each.map(rowsOf)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
