/**
 * The main job on BullMQ, as its documentation recommends: `addBulk` with `jobId` against doubles (Job Ids; Working with Batches), finished jobs kept for an age, so that
 * their ids count as doubles for as long (Auto-removal of jobs, "What about idempotence?"), retries with a growing pause, completions heard by `QueueEvents` (Events),
 * Redis with an AOF (Going to production). The rows are in MariaDB, written before the job completes.
 */
import { Queue, QueueEvents, Worker } from 'bullmq';
import { CONCURRENCY } from './contestant.ts';
import { mariadbMarket } from './market-mariadb.ts';
import type { Application, PeerOptions, PeerWorker } from './peer.ts';
import { symbolWork } from './symbol-work.ts';

const NAME = 'main-job';
/** Seconds; while a symbol's job is kept, it is not done again. As long as data counts as fresh while the market is open. */
const KEPT = 300;
/** Connections to MariaDB of each process. */
const POOL = CONCURRENCY;

const complain = (error: Error): void => void process.stderr.write(`BullMQ: ${error.message}\n`);

export async function bullmqApplication({ addresses, newest }: PeerOptions): Promise<Application> {
  const { path } = addresses.BullMQ as { path: string };
  const queue = new Queue<{ symbol: string }>(NAME, {
    connection: { path },
    defaultJobOptions: {
      attempts: 3,
      backoff: { type: 'exponential', delay: 1_000 },
      removeOnComplete: { age: KEPT, count: 1_000 },
      removeOnFail: true,
    },
  });
  const events = new QueueEvents(NAME, { connection: { path } });
  queue.on('error', complain);
  events.on('error', complain);
  const market = mariadbMarket(addresses.stockmesh.database, newest, POOL);
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  let onFresh: (symbol: string) => void = () => {};
  // The job's id is the symbol.
  events.on('completed', ({ jobId }) => onFresh(jobId));
  return {
    onFresh: (call) => {
      onFresh = call;
    },
    stale: market.stale,
    enqueue: async (symbols) => {
      await queue.addBulk(symbols.map((symbol) => ({ name: 'refresh', data: { symbol }, opts: { jobId: symbol } })));
    },
    async close() {
      await events.close();
      await queue.close();
      await market.close();
    },
  };
}

export async function bullmqWorker({ addresses, newest }: PeerOptions): Promise<PeerWorker> {
  const { path } = addresses.BullMQ as { path: string };
  const market = mariadbMarket(addresses.stockmesh.database, newest, POOL);
  const work = symbolWork(market.reader);
  const worker = new Worker<{ symbol: string }>(NAME, async ({ data }) => market.store(await work(data.symbol)), {
    connection: { path, maxRetriesPerRequest: null },
    concurrency: CONCURRENCY,
  });
  worker.on('error', complain);
  worker.on('failed', (_, error) => complain(error));
  await worker.waitUntilReady();
  return {
    async stop() {
      await worker.close();
      await market.close();
    },
  };
}

/** Empties the queue, of the finished jobs too. */
export async function clearBullmq({ path }: { path: string }): Promise<void> {
  const queue = new Queue(NAME, { connection: { path } });
  await queue.obliterate({ force: true });
  await queue.close();
}
