/** What is asked of each queue that is compared. The parts that enqueue and the parts that work may be in different processes. */

/** About 200 bytes of JSON, the same for everybody. */
export interface Payload {
  symbol: string;
  number: number;
  /** When the enqueuer called, where latency is measured (`monotonicMs`). */
  sentAt?: number;
  note: string;
}

const NOTE =
  'the closing prices of the last two hundred and fifty sessions, adjusted for splits and dividends, with their volumes and the highest and the lowest price of each';

export function payload(number: number, sentAt?: number): Payload {
  return { symbol: `S${number % 500}`, number, ...(sentAt === undefined ? {} : { sentAt }), note: NOTE };
}

/** The side that enqueues, in the bench's own process. */
export interface Producer {
  /** Resolves when the job is as durable as this queue makes it. */
  one(payload: Payload): Promise<void>;
  many(payloads: readonly Payload[]): Promise<void>;
  /** Jobs that are not finished. */
  unfinished(): Promise<number>;
  /** Removes all jobs. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** The side that works, in a process of its own. */
export interface Consumer {
  stop(): Promise<void>;
}

export interface ConsumerOptions {
  concurrency: number;
  /** Low latency of a lone job, or many jobs a second: where a queue recommends different settings for them. */
  purpose: 'latency' | 'throughput';
  /** Called when a job's handler starts; the handler does nothing else. */
  started(payload: Payload): void;
}

export type ContenderName = 'stockmesh' | 'BullMQ' | 'Graphile Worker';

/** How to reach each queue's servers; goes to child processes as JSON. */
export interface Addresses {
  stockmesh: import('./ledger.ts').LedgerAddress;
  BullMQ?: { path: string };
  'Graphile Worker'?: { connectionString: string };
}
