/** What every section gets: the servers, started when first asked for, and how much is to be measured. */
import { availableParallelism, cpus } from 'node:os';
import type { Addresses, ContenderName, Producer } from './contender.ts';
import { bullmqProducer } from './contenders/bullmq.ts';
import { graphileProducer } from './contenders/graphile.ts';
import { ledgerProducer, type Shape } from './contenders/ledger.ts';
import { processorMs } from './cpu.ts';
import { startBrokerProcess } from './processes.ts';
import { print } from './report.ts';
import { startMariaDb, startPostgres, startRedis } from './servers.ts';

export interface Bench {
  /** Small sizes: shows that everything runs, the figures mean little. */
  quick: boolean;
  /** Each contender is measured so often, in turns: on a shared machine neighbours in time are alike, figures of different minutes are not. */
  rounds: number;
  /** Of the main job. */
  workers: number;
  /** Configuration of the main job's services, `key=value`. */
  set: readonly string[];
  addresses(): Promise<Addresses>;
  /** The contenders whose servers are installed, this project first. */
  contenders(): Promise<ContenderName[]>;
  producer(contender: ContenderName, shape?: Shape): Promise<Producer>;
  /** Processor time that the contender's server has used. */
  serverMs(contender: ContenderName): number;
}

export function createBench({ quick, rounds, workers, set }: Pick<Bench, 'quick' | 'rounds' | 'workers' | 'set'>): Bench {
  let started: Promise<Addresses> | undefined;
  const servers = new Map<ContenderName, number>();
  const addresses = (): Promise<Addresses> => {
    started ??= startServers(servers);
    return started;
  };
  return {
    quick,
    rounds,
    workers,
    set,
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

async function startServers(servers: Map<ContenderName, number>): Promise<Addresses> {
  const processor = cpus()[0]?.model ?? 'unknown processor';
  print(
    `Machine     ${availableParallelism()} cores, ${processor}; Node ${process.version}; each server on this machine, over a Unix socket`,
  );
  const mariadb = await startMariaDb();
  print(`stockmesh   MariaDB ${mariadb.version}, ${mariadb.durability}`);
  const redis = await startRedis();
  print(redis === undefined ? missing('BullMQ', 'redis-server') : `BullMQ      Redis ${redis.version}, ${redis.durability}`);
  const postgres = await startPostgres();
  print(
    postgres === undefined
      ? missing('Graphile Worker', 'postgresql')
      : `Graphile W. PostgreSQL ${postgres.version}, ${postgres.durability}`,
  );
  servers.set('stockmesh', mariadb.pid);
  if (redis !== undefined) servers.set('BullMQ', redis.pid);
  if (postgres !== undefined) servers.set('Graphile Worker', postgres.pid);
  return {
    stockmesh: { database: mariadb.address.service, root: mariadb.address.root, broker: await startBrokerProcess() },
    ...(redis === undefined ? {} : { BullMQ: redis.address }),
    ...(postgres === undefined ? {} : { 'Graphile Worker': postgres.address }),
  };
}

function missing(contender: string, packageName: string): string {
  return `${contender} is not measured: its server is not installed; on Debian and Ubuntu: sudo apt-get install --no-install-recommends ${packageName}`;
}
