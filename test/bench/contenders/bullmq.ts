/** BullMQ: its client batches concurrent commands into one write by itself (ioredis), and bulk adds are its own `addBulk`. */
import { Queue, Worker } from 'bullmq';
import type { Consumer, ConsumerOptions, Payload, Producer } from './contender.ts';

const NAME = 'bench';
export async function bullmqProducer({ path }: { path: string }): Promise<Producer> {
  const queue = new Queue<Payload>(NAME, { connection: { path } });
  await queue.waitUntilReady();
  return {
    async one(payload) {
      await queue.add('fetch', payload);
    },
    async many(payloads) {
      await queue.addBulk(payloads.map((data) => ({ name: 'fetch', data })));
    },
    async unfinished() {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    clear: () => queue.obliterate({ force: true }),
    close: () => queue.close(),
  };
}

export async function bullmqConsumer({ path }: { path: string }, { concurrency, started }: ConsumerOptions): Promise<Consumer> {
  const worker = new Worker<Payload>(
    NAME,
    async ({ data }) => {
      started(data);
    },
    { connection: { path, maxRetriesPerRequest: null }, concurrency },
  );
  worker.on('error', (error) => process.stderr.write(`BullMQ: ${error.message}\n`));
  await worker.waitUntilReady();
  return { stop: () => worker.close() };
}
