/** a. How many jobs a second are taken in so that they survive a crash. */

import { type ContenderName, type Payload, type Producer, payload } from './contenders/contender.ts';
import type { Shape } from './contenders/ledger.ts';
import type { Bench } from './report/bench.ts';
import { print, progress, ratio, table, verdicts } from './report/report.ts';
import { median, timed } from './report/statistics.ts';

interface Entry {
  label: string;
  contender: ContenderName;
  shape?: Shape;
}

const ENTRIES: readonly Entry[] = [
  { label: 'stockmesh', contender: 'stockmesh' },
  { label: 'stockmesh, with dedupe key and user', contender: 'stockmesh', shape: 'with key and user' },
  { label: 'BullMQ', contender: 'BullMQ' },
  { label: 'Graphile Worker', contender: 'Graphile Worker' },
];

interface Load {
  name: string;
  callers: number;
  /** Jobs of one call. */
  size: number;
  /** At most so many, and for `LONGEST_MS` at most: one contender needs a minute for what takes another a second. */
  jobs: number;
}

const LONGEST_MS = 4_000;

/** Of one round: jobs a second, and microseconds of processor time a job. */
interface Measured {
  rate: number;
  enqueuerUs: number;
  serverUs: number;
}

export async function enqueueSection(bench: Bench): Promise<unknown> {
  const jobs = bench.quick ? 2_000 : 20_000;
  const loads: readonly Load[] = [
    { name: '64 callers, each waits for its own job', callers: 64, size: 1, jobs },
    { name: '512 callers, each waits for its own job', callers: 512, size: 1, jobs: 2 * jobs },
    { name: '4 callers, each waits for a batch of 100', callers: 4, size: 100, jobs: 2 * jobs },
  ];
  const present = await bench.contenders();
  const entries = ENTRIES.filter(({ contender }) => present.includes(contender));
  const producers = new Map<string, Producer>();
  for (const { label, contender, shape } of entries) producers.set(label, await bench.producer(contender, shape));
  const rounds = new Map(loads.map(({ name }) => [name, new Map(entries.map(({ label }) => [label, [] as Measured[]]))]));

  // Round 0 warms everybody up and does not count.
  for (let round = 0; round <= bench.rounds; round++)
    for (const load of loads)
      for (const { label, contender } of entries) {
        progress(`a. enqueue: round ${round} of ${bench.rounds}, ${load.name}, ${label}`);
        const sized = round === 0 ? { ...load, jobs: Math.ceil(load.jobs / 4) } : load;
        const one = await measure(producers.get(label) as Producer, sized, () => bench.serverMs(contender));
        if (round > 0) rounds.get(load.name)?.get(label)?.push(one);
      }
  progress('');
  await Promise.all([...producers.values()].map((producer) => producer.close()));

  print(
    `\na. Durable enqueue: median of ${bench.rounds} rounds; ${JSON.stringify(payload(1)).length} bytes of payload; the enqueuer is one process`,
  );
  const result = Object.fromEntries([...rounds].map(([name, byLabel]) => [name, tableOf(name, byLabel)]));
  const judged = Object.entries(result).flatMap(([name, medians]) => {
    const [ours, theirs] = [medians.stockmesh?.rate, medians.BullMQ?.rate];
    return ours === undefined || theirs === undefined
      ? []
      : [{ aim: `durable enqueue faster than BullMQ, ${name}`, measured: ratio(ours, theirs), met: ours > theirs }];
  });
  print(`\n${verdicts(judged)}`);
  return result;
}

async function measure(producer: Producer, load: Load, serverMs: () => number): Promise<Measured> {
  const server = serverMs();
  const own = process.cpuUsage();
  let jobs = 0;
  const ms = await timed(async () => {
    jobs = await run(producer, load);
  });
  const { user, system } = process.cpuUsage(own);
  const stored = await producer.unfinished();
  if (stored !== jobs) throw new Error(`${stored} jobs are stored after ${jobs} were enqueued`);
  const measured = {
    rate: (jobs / ms) * 1000,
    enqueuerUs: (user + system) / jobs,
    serverUs: ((serverMs() - server) * 1000) / jobs,
  };
  await producer.clear();
  return measured;
}

/** Each caller waits for its own answer before it asks again. Resolves with the number of jobs. */
async function run(producer: Producer, { callers, size, jobs }: Load): Promise<number> {
  const until = performance.now() + LONGEST_MS;
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < jobs && performance.now() < until) {
      const batch: Payload[] = [];
      while (batch.length < size && next < jobs) batch.push(payload(next++));
      await (size === 1 ? producer.one(batch[0] as Payload) : producer.many(batch));
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return next;
}

function tableOf(name: string, byLabel: ReadonlyMap<string, readonly Measured[]>): Record<string, Measured> {
  const of = (rounds: readonly Measured[], key: keyof Measured) => median(rounds.map((one) => one[key]));
  const medians = new Map(
    [...byLabel].map(([label, all]) => [
      label,
      { rate: of(all, 'rate'), enqueuerUs: of(all, 'enqueuerUs'), serverUs: of(all, 'serverUs') },
    ]),
  );
  const ours = medians.get('stockmesh')?.rate as number;
  print(`\n  ${name}\n`);
  print(
    table(
      ['', 'jobs/s', 'stockmesh is', 'processor: enqueuer, µs a job', 'server, µs a job'],
      [...medians].map(([label, { rate, enqueuerUs, serverUs }]) => [
        label,
        rate,
        label === 'stockmesh' ? '' : ratio(ours, rate),
        enqueuerUs,
        serverUs,
      ]),
    ),
  );
  return Object.fromEntries(medians);
}
