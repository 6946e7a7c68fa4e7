/** What every section gets: the servers, started when first asked for, and how much is to be measured. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { bullmqProducer } from '../contenders/bullmq.ts';
import type { Addresses, ContenderName, Producer } from '../contenders/contender.ts';
import { graphileProducer } from '../contenders/graphile.ts';
import { type LedgerAddress, ledgerProducer, type Shape } from '../contenders/ledger.ts';
import { startBrokerProcess } from '../processes/processes.ts';
import { diskSyncMs, startMariaDb, startPostgres, startRedis } from '../processes/servers.ts';
import { processorMs } from './cpu.ts';
import { figure, print } from './report.ts';

export interface Bench {
  /** Small sizes: shows that everything runs, the measurements mean little. */
  quick: boolean;
  /** Each contender is measured so often, in turns: on a shared machine neighbours in time are alike, measurements of different minutes are not. */
  rounds: number;
  /** Of the main job. */
  workers: number;
  /** Configuration of the main job's services, `key=value`. */
  set: readonly string[];
  /** This project's servers alone. */
  ledger(): Promise<LedgerAddress>;
  /** Those of all contenders that are installed. */
  addresses(): Promise<Addresses>;
  /** The contenders whose servers are installed, this project first. */
  contenders(): Promise<ContenderName[]>;
  producer(contender: ContenderName, shape?: Shape): Promise<Producer>;
  /** Processor time that the contender's server has used. */
  serverMs(contender: ContenderName): number;
}

export function createBench({ quick, rounds, workers, set }: Pick<Bench, 'quick' | 'rounds' | 'workers' | 'set'>): Bench {
  const servers = new Map<ContenderName, number>();
  let ours: Promise<LedgerAddress> | undefined;
  let all: Promise<Addresses> | undefined;
  const ledger = (): Promise<LedgerAddress> => {
    ours ??= startOurs(servers);
    return ours;
  };
  const addresses = (): Promise<Addresses> => {
    all ??= ledger().then(async (stockmesh) => ({ stockmesh, ...(await startOthers(servers)) }));
    return all;
  };
  return {
    quick,
    rounds,
    workers,
    set,
    ledger,
    addresses,
    serverMs: (contender) => processorMs(servers.get(contender) ?? 0),
    contenders: async () => Object.keys(await addresses()) as ContenderName[],
    async producer(contender, shape) {
      const known = await addresses();
      // Without the broker: none of the others tells anybody but its workers.
      if (contender === 'stockmesh') return ledgerProducer({ ...known.stockmesh, broker: undefined }, shape);
      if (contender === 'BullMQ') return bullmqProducer(known.BullMQ as { path: string });
      return graphileProducer(known['Graphile Worker'] as { connectionString: string });
    },
  };
}

async function startOurs(servers: Map<ContenderName, number>): Promise<LedgerAddress> {
  const processor = cpus()[0]?.model ?? 'unknown processor';
  print(
    `Machine     ${availableParallelism()} cores, ${processor}; Node ${process.version}; each server on this machine, over a Unix socket`,
  );
  print(`Disk        a write is on the disk after ${figure(diskSyncMs())} ms: every durable commit waits for one`);
  const mariadb = await startMariaDb();
  servers.set('stockmesh', mariadb.pid);
  print(`stockmesh   MariaDB ${mariadb.version}, ${mariadb.durability}`);
  return { database: mariadb.address.service, root: mariadb.address.root, broker: await startBrokerProcess() };
}

async function startOthers(servers: Map<ContenderName, number>): Promise<Omit<Addresses, 'stockmesh'>> {
  const redis = await startRedis();
  if (redis !== undefined) servers.set('BullMQ', redis.pid);
  print(
    redis === undefined
      ? missing('BullMQ', 'redis-server')
      : `BullMQ      ${packageVersion('bullmq')} on Redis ${redis.version}, ${redis.durability}`,
  );
  const postgres = await startPostgres();
  if (postgres !== undefined) servers.set('Graphile Worker', postgres.pid);
  print(
    postgres === undefined
      ? missing('Graphile Worker', 'postgresql')
      : `Graphile W. ${packageVersion('graphile-worker')} on PostgreSQL ${postgres.version}, ${postgres.durability}`,
  );
  return {
    ...(redis === undefined ? {} : { BullMQ: redis.address }),
    ...(postgres === undefined ? {} : { 'Graphile Worker': postgres.address }),
  };
}

function packageVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(new URL(`../../../node_modules/${name}/package.json`, import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

function missing(contender: string, packageName: string): string {
  return `${contender} is not measured: its server is not installed; on Debian and Ubuntu: sudo apt-get install --no-install-recommends ${packageName}`;
}
