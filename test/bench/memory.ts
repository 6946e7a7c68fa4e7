/** e. Whether a worker's memory stays flat over many jobs. */
import { openDatabase } from '../../services/platform/database/database.ts';
import { clearLedger, countUnfinished } from './contenders/ledger.ts';
import { storeWaiting } from './growth/fill.ts';
import { startMemoryProcess } from './processes/processes.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { slope } from './report/statistics.ts';

const STEPS = 10;
/** Compiled code and filled caches are not a leak: the first steps do not count. */
const SETTLED_AFTER = 3;
/** Bytes a job that the live heap may grow by: less than the smallest object that could be kept of each. */
const FLAT = 8;
const MB = 1024 * 1024;

export interface Sample {
  jobs: number;
  heapUsed: number;
  rss: number;
}

export async function memorySection(bench: Bench): Promise<unknown> {
  const jobs = bench.quick ? 20_000 : 100_000;
  const stockmesh = await bench.ledger();
  await clearLedger(stockmesh.root);
  const root = openDatabase({ ...stockmesh.root, maxConnections: 1 });
  progress(`e. memory: storing ${figure(jobs)} jobs`);
  await storeWaiting(root, jobs);
  progress('e. memory: the worker runs');
  const samples = await startMemoryProcess({ address: stockmesh, jobs, every: jobs / STEPS });
  const left = await countUnfinished(root);
  await root.close();
  await clearLedger(stockmesh.root);
  progress('');
  if (left !== 0) throw new Error(`${left} of ${jobs} jobs are left`);

  const settled = samples.slice(SETTLED_AFTER);
  const grows = {
    heap: slope(settled.map(({ jobs: x, heapUsed: y }) => ({ x, y }))),
    rss: slope(settled.map(({ jobs: x, rss: y }) => ({ x, y }))),
  };
  print(`\ne. Memory of one worker process over ${figure(jobs)} jobs, announcing each over MQTT; megabytes after a garbage collection\n`);
  print(
    table(
      ['jobs done', 'live heap', 'resident'],
      samples.map((sample) => [figure(sample.jobs), sample.heapUsed / MB, sample.rss / MB]),
    ),
  );
  print(
    `  Slope after the first ${SETTLED_AFTER} samples: heap ${figure(grows.heap)} bytes a job, resident ${figure(grows.rss)} bytes a job.`,
  );
  print(
    `\n${verdicts([{ aim: `live heap flat (under ${FLAT} bytes a job)`, measured: `${figure(grows.heap)} bytes a job`, met: Math.abs(grows.heap) < FLAT || grows.heap < 0 }])}`,
  );
  return { samples, bytesPerJob: grows };
}
