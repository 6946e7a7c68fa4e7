/** A process that works for one queue: told what to do by its first message, it reports the jobs that it started. */
import type { Addresses, Consumer, ConsumerOptions, ContenderName, Payload } from '../contenders/contender.ts';
import { monotonicMs } from '../report/statistics.ts';

export interface Order {
  contender: ContenderName;
  addresses: Addresses;
  concurrency: number;
  purpose: ConsumerOptions['purpose'];
}

export type Report =
  | { kind: 'ready' }
  /** Jobs whose handler has run, and when the first one did (`monotonicMs`). */
  | { kind: 'handled'; jobs: number; firstAt: number }
  /** Milliseconds from the enqueuer's call to the start of the handler. */
  | { kind: 'latency'; number: number; ms: number };

const REPORT_MS = 20;

const say = (report: Report): void => {
  process.send?.(report);
};

async function consume(order: Order, options: ConsumerOptions): Promise<Consumer> {
  // Only the one that is measured is loaded.
  const { contender, addresses } = order;
  if (contender === 'stockmesh') return (await import('../contenders/ledger.ts')).ledgerConsumer(addresses.stockmesh, options);
  if (contender === 'BullMQ')
    return (await import('../contenders/bullmq.ts')).bullmqConsumer(addresses.BullMQ as { path: string }, options);
  return (await import('../contenders/graphile.ts')).graphileConsumer(
    addresses['Graphile Worker'] as { connectionString: string },
    options,
  );
}

// The bench is gone: nobody would say stop.
process.once('disconnect', () => process.exit());
process.once('message', async (order: Order) => {
  let jobs = 0;
  let told = 0;
  let firstAt = 0;
  const started = (payload: Payload): void => {
    const now = monotonicMs();
    if (order.purpose === 'latency') say({ kind: 'latency', number: payload.number, ms: now - (payload.sentAt as number) });
    else if (jobs++ === 0) firstAt = now;
  };
  const reporting = setInterval(() => {
    if (jobs === told) return;
    told = jobs;
    say({ kind: 'handled', jobs, firstAt });
  }, REPORT_MS);
  const consumer = await consume(order, { concurrency: order.concurrency, purpose: order.purpose, started });
  say({ kind: 'ready' });
  process.once('message', async () => {
    clearInterval(reporting);
    await consumer.stop();
    process.disconnect?.();
  });
});
