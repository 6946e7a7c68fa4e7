/** b. How many jobs a second are taken, run by a handler that does nothing, and finished. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { claim } from '../../services/jobs/claim.ts';
import { complete } from '../../services/jobs/finish.ts';
import type { Bench } from './bench.ts';
import { type Addresses, type ContenderName, type Producer, payload } from './contender.ts';
import { openLedger } from './contenders/ledger.ts';
import { median } from './figures.ts';
import { startWorkerProcess, type WorkerProcess } from './processes.ts';
import { figure, print, progress, ratio, table, verdicts } from './report.ts';
import type { Report } from './worker-process.ts';

const CONCURRENCY = 100;

interface Entry {
  label: string;
  contender: ContenderName;
  /** With the broker every change of state is published as well. */
  broker?: boolean;
  /** Claims and completes in batches of so many, without the worker loop. */
  batch?: number;
}

const ENTRIES: readonly Entry[] = [
  { label: 'stockmesh worker', contender: 'stockmesh' },
  { label: 'stockmesh worker, announcing over MQTT', contender: 'stockmesh', broker: true },
  { label: 'stockmesh claim and complete, 50 a time', contender: 'stockmesh', batch: 50 },
  { label: 'stockmesh claim and complete, 500 a time', contender: 'stockmesh', batch: 500 },
  { label: 'BullMQ worker', contender: 'BullMQ' },
  { label: 'Graphile Worker, local queue of 500', contender: 'Graphile Worker' },
];
const PROCESSES = [1, 2] as const;

export async function claimCompleteSection(bench: Bench): Promise<unknown> {
  const jobs = bench.quick ? 3_000 : 20_000;
  const addresses = await bench.addresses();
  const present = await bench.contenders();
  const entries = ENTRIES.filter(({ contender }) => present.includes(contender));
  const rates = new Map(entries.map(({ label }) => [label, PROCESSES.map((): number[] => [])]));

  for (let round = 0; round <= bench.rounds; round++)
    for (const entry of entries)
      for (const [column, processes] of PROCESSES.entries()) {
        progress(`b. claim and complete: round ${round} of ${bench.rounds}, ${entry.label}, ${processes} of ${PROCESSES.length} processes`);
        const producer = await bench.producer(entry.contender);
        await fill(producer, jobs);
        const ms =
          entry.batch === undefined
            ? await drainByWorkers(entry, addresses, processes, jobs, producer)
            : await drainByHand(entry.batch, addresses, processes, jobs);
        const left = await producer.unfinished();
        if (left !== 0) throw new Error(`${entry.label}: ${left} of ${jobs} jobs are left`);
        await producer.clear();
        await producer.close();
        if (round > 0) rates.get(entry.label)?.[column]?.push((jobs / ms) * 1000);
      }
  progress('');

  const result = Object.fromEntries([...rates].map(([label, columns]) => [label, { medians: columns.map(median), rounds: columns }]));
  const ours = result['stockmesh worker']?.medians as number[];
  const rest = (label: string, medians: readonly number[]) =>
    medians.flatMap((rate, column) => [rate, label === 'stockmesh worker' ? '' : ratio(ours[column] as number, rate)]);
  print(
    `\nb. Claim and complete: jobs a second, median of ${bench.rounds} rounds; ${figure(jobs)} jobs waiting; workers with ${CONCURRENCY} jobs at once; the handler does nothing\n`,
  );
  print(
    table(
      ['', '1 process', 'stockmesh worker is', '2 processes', 'stockmesh worker is'],
      Object.entries(result).map(([label, { medians }]) => [label, ...rest(label, medians)]),
    ),
  );
  print(
    '  By hand the processes are callers in the process of the bench. BullMQ and Graphile Worker keep no finished job, stockmesh keeps each with its result.',
  );
  const graphile = result['Graphile Worker, local queue of 500']?.medians;
  if (graphile !== undefined)
    print(
      `\n${verdicts(
        PROCESSES.map((processes, column) => ({
          aim: `claim and complete faster than Graphile Worker's local queue (${processes} process${processes === 1 ? '' : 'es'})`,
          measured: ratio(ours[column] as number, graphile[column] as number),
          met: (ours[column] as number) > (graphile[column] as number),
        })),
      )}`,
    );
  return result;
}

async function fill(producer: Producer, jobs: number): Promise<void> {
  for (let next = 0; next < jobs; next += 500)
    await producer.many(Array.from({ length: Math.min(500, jobs - next) }, (_, index) => payload(next + index)));
}

/** Milliseconds from the first start of a handler until no job is left. */
async function drainByWorkers(entry: Entry, addresses: Addresses, processes: number, jobs: number, producer: Producer): Promise<number> {
  const handled = new Map<number, { jobs: number; firstAt: string }>();
  const allHandled = Promise.withResolvers<void>();
  const listen = (index: number) => (report: Report) => {
    if (report.kind !== 'handled') return;
    handled.set(index, report);
    const total = [...handled.values()].reduce((sum, one) => sum + one.jobs, 0);
    if (total >= jobs) allHandled.resolve();
  };
  const { stockmesh } = addresses;
  const order = {
    contender: entry.contender,
    addresses: entry.broker ? addresses : { ...addresses, stockmesh: { ...stockmesh, broker: undefined } },
    concurrency: CONCURRENCY,
    purpose: 'throughput' as const,
  };
  const workers: WorkerProcess[] = await Promise.all(
    Array.from({ length: processes }, (_, index) => startWorkerProcess(order, listen(index))),
  );
  await allHandled.promise;
  while ((await producer.unfinished()) > 0) await delay(5);
  const finishedAt = process.hrtime.bigint();
  await Promise.all(workers.map((worker) => worker.stop()));
  const firstAt = [...handled.values()].map((one) => BigInt(one.firstAt)).reduce((a, b) => (a < b ? a : b));
  return Number(finishedAt - firstAt) / 1e6;
}

async function drainByHand(batch: number, { stockmesh }: Addresses, callers: number, jobs: number): Promise<number> {
  const { ledger, close } = await openLedger({ ...stockmesh, broker: undefined }, 'caller');
  const started = performance.now();
  let done = 0;
  const caller = async (): Promise<void> => {
    const worker = `by-hand-${randomUUID().slice(0, 8)}`;
    while (done < jobs) {
      const taken = await claim(ledger, worker, batch);
      if (taken.jobs.length === 0) {
        await delay(1);
        continue;
      }
      const finished = await complete(
        ledger,
        worker,
        taken.jobs.map((job) => ({ job, result: {} })),
      );
      done += finished.changes.length;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const ms = performance.now() - started;
  await close();
  return ms;
}
