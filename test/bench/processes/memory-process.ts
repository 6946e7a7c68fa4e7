/** A worker that collects its garbage and says how much memory it holds after every so many jobs. Started with --expose-gc. */
import { type LedgerAddress, ledgerConsumer } from '../contenders/ledger.ts';
import type { Sample } from '../memory.ts';

export interface MemoryOrder {
  address: LedgerAddress;
  jobs: number;
  every: number;
}

// The bench is gone: nobody would say stop.
process.once('disconnect', () => process.exit());
process.once('message', async ({ address, jobs, every }: MemoryOrder) => {
  const samples: Sample[] = [];
  let done = 0;
  const finished = Promise.withResolvers<void>();
  const sample = (): void => {
    global.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    samples.push({ jobs: done, heapUsed, rss });
  };
  const consumer = await ledgerConsumer(address, {
    concurrency: 100,
    purpose: 'throughput',
    started() {
      if (done % every === 0) sample();
      if (++done === jobs) finished.resolve();
    },
  });
  await finished.promise;
  await consumer.stop();
  sample();
  process.send?.({ samples });
  process.disconnect?.();
});
