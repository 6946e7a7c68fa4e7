/** c. How long an idle system takes from the call that enqueues a job to the start of its handler in another process. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ContenderName, type Producer, payload } from './contenders/contender.ts';
import { ledgerProducer } from './contenders/ledger.ts';
import { startWorkerProcess, type WorkerProcess } from './processes/processes.ts';
import { diskSyncMs } from './processes/servers.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, ratio, table, verdicts } from './report/report.ts';
import { monotonicMs, spread } from './report/statistics.ts';

const CONCURRENCY = 10;
/** Milliseconds between two jobs, at random so that no timer of anybody's keeps step with it. */
const PAUSE = { least: 5, more: 20 };
/** A job whose announcement was lost is found by polling. */
const LOST_MS = 5_000;
const AIM_MS = 1.5;

export async function latencySection(bench: Bench): Promise<unknown> {
  const samples = bench.quick ? 60 : 500;
  const warmUp = bench.quick ? 30 : 200;
  const turn = 50;
  const addresses = await bench.addresses();
  const contenders = await bench.contenders();
  const measured = new Map<
    ContenderName,
    {
      producer: Producer;
      worker: WorkerProcess;
      measure: () => Promise<{ start: number; answer: number }>;
      start: number[];
      answer: number[];
    }
  >();
  for (const contender of contenders) {
    const worker = await startWorkerProcess({ contender, addresses, concurrency: CONCURRENCY, purpose: 'latency' });
    const producer = contender === 'stockmesh' ? await ledgerProducer(addresses.stockmesh) : await bench.producer(contender);
    measured.set(contender, { producer, worker, measure: measureWith(producer, worker), start: [], answer: [] });
  }
  for (const { measure } of measured.values()) for (let sample = 0; sample < warmUp; sample++) await measure();
  for (let taken = 0; taken < samples; taken += turn)
    for (const [contender, { measure, start, answer }] of measured) {
      progress(`c. from enqueue to start: ${taken} of ${samples}, ${contender}`);
      for (let sample = 0; sample < Math.min(turn, samples - taken); sample++) {
        const one = await measure();
        start.push(one.start);
        answer.push(one.answer);
      }
    }
  progress('');
  for (const { worker, producer } of measured.values()) {
    await worker.stop();
    await producer.clear();
    await producer.close();
  }

  const result = Object.fromEntries(
    [...measured].map(([contender, { start, answer }]) => [contender, { start: spread(start), answer: spread(answer) }]),
  );
  const ours = result.stockmesh?.start.p50 as number;
  print(`\nc. From enqueue to start: milliseconds, ${samples} jobs one at a time in an idle system, in turns of ${turn}\n`);
  print(
    table(
      ['', 'start p50', 'p90', 'p99', 'max', 'stockmesh is', 'enqueued p50', 'p99'],
      Object.entries(result).map(([contender, { start, answer }]) => [
        contender,
        start.p50,
        start.p90,
        start.p99,
        start.max,
        contender === 'stockmesh' ? '' : ratio(start.p50, ours),
        answer.p50,
        answer.p99,
      ]),
    ),
  );
  print(
    '  Enqueuer, worker and server are a process each; stockmesh has its broker in one more, through which the worker hears of the job. "Enqueued" is the enqueuer\'s own wait.',
  );
  const disk = diskSyncMs();
  print(
    `  With stockmesh and Graphile Worker two commits lie between the call and the start, and each waits for the disk: ${figure(2 * disk)} ms of the time, at ${figure(disk)} ms a write.`,
  );
  const graphile = result['Graphile Worker']?.start.p50;
  print(
    `\n${verdicts([
      { aim: `start latency p50 under ${AIM_MS} ms`, measured: `${ours.toFixed(2)} ms`, met: ours < AIM_MS },
      ...(graphile === undefined
        ? []
        : [{ aim: "start latency p50 at most Graphile Worker's", measured: ratio(graphile, ours), met: ours <= graphile }]),
    ])}`,
  );
  return { ...result, diskSyncMs: disk };
}

/** One job: milliseconds to the start of its handler, and to the answer that the enqueuer got. */
function measureWith(producer: Producer, worker: WorkerProcess): () => Promise<{ start: number; answer: number }> {
  let number = 0;
  let waiting: { number: number; resolve: (ms: number) => void } | undefined;
  worker.onReport((report) => {
    if (report.kind === 'latency' && report.number === waiting?.number) waiting.resolve(report.ms);
  });
  return async () => {
    await delay(PAUSE.least + Math.random() * PAUSE.more);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    waiting = { number: ++number, resolve };
    const lost = setTimeout(() => reject(new Error(`job ${number} did not start within ${LOST_MS} ms`)), LOST_MS);
    const calledAt = monotonicMs();
    await producer.one(payload(number, calledAt));
    const answer = monotonicMs() - calledAt;
    const start = await promise;
    clearTimeout(lost);
    return { start, answer };
  };
}
