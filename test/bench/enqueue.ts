/** a. How many jobs a second are taken in so that they survive a crash. */
import type { Bench } from './bench.ts';
import { type ContenderName, type Payload, type Producer, payload } from './contender.ts';
import type { Shape } from './contenders/ledger.ts';
import { median, timed } from './figures.ts';
import { print, progress, ratio, table, type Verdict, verdicts } from './report.ts';

const CALLERS = 64;
const BATCH = 100;
const BATCH_CALLERS = 4;

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

type Kind = 'one' | 'many';

export async function enqueueSection(bench: Bench): Promise<unknown> {
  const jobs = bench.quick ? { one: 2_000, many: 4_000 } : { one: 20_000, many: 40_000 };
  const present = await bench.contenders();
  const entries = ENTRIES.filter(({ contender }) => present.includes(contender));
  const rates = new Map(entries.map(({ label }) => [label, { one: [] as number[], many: [] as number[] }]));
  const producers = new Map<string, Producer>();
  for (const { label, contender, shape } of entries) producers.set(label, await bench.producer(contender, shape));

  // Round 0 warms everybody up and does not count.
  for (let round = 0; round <= bench.rounds; round++)
    for (const { label } of entries)
      for (const kind of ['one', 'many'] as const) {
        progress(`a. enqueue: round ${round} of ${bench.rounds}, ${label}`);
        const producer = producers.get(label) as Producer;
        const count = round === 0 ? Math.ceil(jobs[kind] / 4) : jobs[kind];
        const ms = await timed(() => load(producer, kind, count));
        const stored = await producer.unfinished();
        if (stored !== count) throw new Error(`${label} holds ${stored} jobs after ${count} were enqueued`);
        await producer.clear();
        if (round > 0) rates.get(label)?.[kind].push((count / ms) * 1000);
      }
  progress('');
  await Promise.all([...producers.values()].map((producer) => producer.close()));

  const result = Object.fromEntries(
    [...rates].map(([label, { one, many }]) => [label, { one: median(one), many: median(many), rounds: { one, many } }]),
  );
  print(
    `\na. Durable enqueue: jobs a second, median of ${bench.rounds} rounds; ${JSON.stringify(payload(1)).length} bytes of payload; the enqueuer is one process\n`,
  );
  const ours = result.stockmesh as { one: number; many: number };
  print(
    table(
      ['', `${CALLERS} callers, a job each`, 'stockmesh is', `${BATCH_CALLERS} callers, ${BATCH} jobs each`, 'stockmesh is'],
      Object.entries(result).map(([label, { one, many }]) => [
        label,
        one,
        label === 'stockmesh' ? '' : ratio(ours.one, one),
        many,
        label === 'stockmesh' ? '' : ratio(ours.many, many),
      ]),
    ),
  );
  const { BullMQ } = result;
  const judged: Verdict[] =
    BullMQ === undefined
      ? []
      : (['one', 'many'] as const).map((kind) => ({
          aim: `durable enqueue (${kind === 'one' ? 'a job a call' : 'in batches'}) faster than BullMQ`,
          measured: ratio(ours[kind], BullMQ[kind]),
          met: ours[kind] > BullMQ[kind],
        }));
  print(`\n${verdicts(judged)}`);
  return result;
}

/** Each caller waits for its own answer before it asks again. */
async function load(producer: Producer, kind: Kind, jobs: number): Promise<void> {
  let next = 0;
  const caller = async (size: number): Promise<void> => {
    while (next < jobs) {
      const batch: Payload[] = [];
      while (batch.length < size && next < jobs) batch.push(payload(next++));
      await (kind === 'one' ? producer.one(batch[0] as Payload) : producer.many(batch));
    }
  };
  await Promise.all(Array.from({ length: kind === 'one' ? CALLERS : BATCH_CALLERS }, () => caller(kind === 'one' ? 1 : BATCH)));
}
