/** b. How many jobs a second are taken, run by a handler that does nothing, and finished. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { claim } from '../../services/ledger/run/claim.ts';
import { complete } from '../../services/ledger/run/complete.ts';
import { type Addresses, type ContenderName, type Producer, payload } from './contenders/contender.ts';
import { openLedger } from './contenders/ledger.ts';
import { startWorkerProcess } from './processes/processes.ts';
import type { Report } from './processes/worker-process.ts';
import type { Bench } from './report/bench.ts';
import { processorMs } from './report/cpu.ts';
import { figure, print, progress, ratio, table, verdicts } from './report/report.ts';
import { median, monotonicMs } from './report/statistics.ts';

const CONCURRENCY = 100;
const OURS = 'stockmesh worker';
const GRAPHILE = 'Graphile Worker, local queue of 500';

interface Entry {
  label: string;
  contender: ContenderName;
  /** With the broker every change of state is published as well. */
  broker?: boolean;
  /** Claims and completes in batches of so many, without the worker loop. */
  batch?: number;
}

const ENTRIES: readonly Entry[] = [
  { label: OURS, contender: 'stockmesh' },
  { label: `${OURS}, announcing over MQTT`, contender: 'stockmesh', broker: true },
  { label: 'stockmesh claim and complete, 50 a time', contender: 'stockmesh', batch: 50 },
  { label: 'stockmesh claim and complete, 500 a time', contender: 'stockmesh', batch: 500 },
  { label: 'BullMQ worker', contender: 'BullMQ' },
  { label: GRAPHILE, contender: 'Graphile Worker' },
];
const PROCESSES = [1, 2] as const;

/** Of one round: milliseconds by the clock, and of processor time. */
interface Drained {
  ms: number;
  workerMs: number;
  serverMs: number;
}

export async function claimCompleteSection(bench: Bench): Promise<unknown> {
  const jobs = bench.quick ? 3_000 : 20_000;
  const addresses = await bench.addresses();
  const present = await bench.contenders();
  const entries = ENTRIES.filter(({ contender }) => present.includes(contender));
  const rounds = new Map(PROCESSES.map((processes) => [processes, new Map(entries.map(({ label }) => [label, [] as Drained[]]))]));

  // Round 0 warms the servers up and does not count.
  for (let round = 0; round <= bench.rounds; round++)
    for (const processes of PROCESSES)
      for (const entry of entries) {
        progress(`b. claim and complete: round ${round} of ${bench.rounds}, ${entry.label}, processes: ${processes}`);
        const producer = await bench.producer(entry.contender);
        await fill(producer, jobs);
        const server = bench.serverMs(entry.contender);
        const drain =
          entry.batch === undefined
            ? drainByWorkers(entry, addresses, processes, jobs, producer)
            : drainByHand(entry.batch, addresses, processes, jobs);
        const one = { ...(await drain), serverMs: bench.serverMs(entry.contender) - server };
        const left = await producer.unfinished();
        if (left !== 0) throw new Error(`${entry.label}: ${left} of ${jobs} jobs are left`);
        await producer.clear();
        await producer.close();
        if (round > 0) rounds.get(processes)?.get(entry.label)?.push(one);
      }
  progress('');

  print(
    `\nb. Claim and complete: median of ${bench.rounds} rounds; ${figure(jobs)} jobs waiting; workers with ${CONCURRENCY} jobs at once; the handler does nothing`,
  );
  const result = Object.fromEntries([...rounds].map(([processes, byLabel]) => [processes, tableOf(processes, byLabel, jobs)]));
  print(
    '\n  By hand the "processes" are callers in one process. Graphile Worker keeps no finished job; stockmesh and BullMQ keep each with its result.',
  );
  const judged = Object.entries(result).flatMap(([processes, rates]) => {
    const [ours, theirs] = [rates[OURS]?.rate, rates[GRAPHILE]?.rate];
    return ours === undefined || theirs === undefined
      ? []
      : [
          {
            aim: `claim and complete faster than Graphile Worker's local queue, processes: ${processes}`,
            measured: ratio(ours, theirs),
            met: ours > theirs,
          },
        ];
  });
  print(`\n${verdicts(judged)}`);
  return result;
}

function tableOf(processes: number, byLabel: ReadonlyMap<string, readonly Drained[]>, jobs: number) {
  const of = (rounds: readonly Drained[], key: keyof Drained) => (median(rounds.map((one) => one[key])) * 1000) / jobs;
  const medians = new Map(
    [...byLabel].map(([label, all]) => [
      label,
      { rate: 1e6 / of(all, 'ms'), workerUs: of(all, 'workerMs'), serverUs: of(all, 'serverMs') },
    ]),
  );
  const ours = medians.get(OURS)?.rate as number;
  print(`\n  ${processes === 1 ? '1 process' : `${processes} processes`}\n`);
  print(
    table(
      ['', 'jobs/s', `${OURS} is`, 'processor: workers, µs a job', 'server, µs a job'],
      [...medians].map(([label, { rate, workerUs, serverUs }]) => [
        label,
        rate,
        label === OURS ? '' : ratio(ours, rate),
        workerUs,
        serverUs,
      ]),
    ),
  );
  return Object.fromEntries(medians);
}

async function fill(producer: Producer, jobs: number): Promise<void> {
  for (let next = 0; next < jobs; next += 500)
    await producer.many(Array.from({ length: Math.min(500, jobs - next) }, (_, index) => payload(next + index)));
}

/** From the first start of a handler until no job is left; the processor time is that since the workers were ready. */
async function drainByWorkers(
  entry: Entry,
  addresses: Addresses,
  processes: number,
  jobs: number,
  producer: Producer,
): Promise<Omit<Drained, 'serverMs'>> {
  const handled = new Map<number, { jobs: number; firstAt: number }>();
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
  const workers = await Promise.all(Array.from({ length: processes }, (_, index) => startWorkerProcess(order, listen(index))));
  const processor = () => workers.reduce((sum, { pid }) => sum + processorMs(pid), 0);
  const before = processor();
  await allHandled.promise;
  while ((await producer.unfinished()) > 0) await delay(5);
  const finishedAt = monotonicMs();
  const workerMs = processor() - before;
  await Promise.all(workers.map((worker) => worker.stop()));
  return { ms: finishedAt - Math.min(...[...handled.values()].map(({ firstAt }) => firstAt)), workerMs };
}

async function drainByHand(batch: number, { stockmesh }: Addresses, callers: number, jobs: number): Promise<Omit<Drained, 'serverMs'>> {
  const { ledger, close } = await openLedger({ ...stockmesh, broker: undefined }, 'caller');
  const own = process.cpuUsage();
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
  const { user, system } = process.cpuUsage(own);
  await close();
  return { ms, workerMs: (user + system) / 1000 };
}
