/** Stockmesh as `stockmesh up` starts it; the bench is the login hook and a monitor. */
import { loadConfig } from '../../../services/platform/config/load.ts';
import { databaseOptions } from '../../../services/platform/connections.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { readSecrets } from '../../../services/platform/machine/datafolder.ts';
import { type Status, startMesh, watchMesh } from '../main-job.ts';
import { restore, storeBefore } from '../main-job-data.ts';
import { childrenOf, commandOf } from '../report/cpu.ts';
import { CONCURRENCY, type Contestant, type Spent } from './contestant.ts';
import { SEED } from './symbol-work.ts';
import { NOTE_WRITES_MARIADB, readStale, readWrites } from './writes.ts';

export async function startStockmesh(
  held: ReadonlyMap<string, readonly string[]>,
  workers: number,
  set: readonly string[],
): Promise<Contestant> {
  const mesh = await startMesh('mesh-beside-peers', workers, [
    'stock_jobs.data_fetch.sources=simulated',
    'stock_jobs.data_fetch.simulated.enabled=true',
    `stock_jobs.data_fetch.simulated.seed=${SEED}`,
    `worker.max_concurrent_jobs=${CONCURRENCY}`,
    ...set,
  ]);
  const { config } = loadConfig({ environment: 'development', files: [] });
  const options = databaseOptions(config, mesh.dataFolder, 'service');
  const root = openDatabase({ ...options, user: 'root', password: readSecrets(mesh.dataFolder).database.root, maxConnections: 4 });
  const { newest } = await storeBefore(root, root, held, SEED);
  for (const statement of NOTE_WRITES_MARIADB) await root.run(statement);
  const watch = await watchMesh(config, mesh.dataFolder);
  return {
    name: 'stockmesh',
    async restore() {
      await restore(root);
      await root.run('TRUNCATE TABLE bench_writes');
    },
    login: ({ users, ...order }) =>
      watch.measure(new Map(users.map((user) => [user, held.get(user) ?? []])), {
        ...order,
        // Messages are lost with a worker only.
        ...(order.midway && { ended: () => root.rows<Status>("SELECT type, state, symbol FROM job_states WHERE state = 'completed'") }),
      }),
    spent: () => spentBy(mesh.processor()),
    killWorker: async () => {
      const worker = childrenOf(mesh.pid).find((pid) => commandOf(pid).includes('service worker'));
      // `stockmesh up` starts it again.
      process.kill(worker as number, 'SIGKILL');
    },
    writes: () => readWrites(root.rows),
    stale: () => readStale(root.rows, newest),
    async stop() {
      await watch.close();
      await root.close();
      await mesh.stop();
    },
  };
}

/** Everything that is neither a worker nor a server has to do with logins; the bench's own part, hook and monitor, counts as well. */
function spentBy(processor: Record<string, number>): Spent {
  const { worker = 0, database = 0, broker = 0, ...logins } = processor;
  return { workers: worker, servers: database + broker, logins: Object.values(logins).reduce((sum, ms) => sum + ms, 0) };
}
