/** The two sides of what a user would build: the application that takes the logins, and the worker. They run in processes of their own. */
import type { Addresses } from '../contenders/contender.ts';
import { bullmqApplication, bullmqWorker } from './bullmq.ts';
import { graphileApplication, graphileWorker } from './graphile.ts';

export type PeerName = 'BullMQ' | 'Graphile Worker';

export interface PeerOptions {
  addresses: Addresses;
  /** Date of the newest bar that there is: older ones are stale. */
  newest: string;
}

export interface Application {
  /** From now on calls this listener, and no earlier one, with each symbol whose rows are committed, whichever worker did it. */
  onFresh(listener: (symbol: string) => void): void;
  /** Which symbols of the user are stale, in order: one read. */
  stale(user: string): Promise<string[]>;
  /** Resolves when the queue has taken the jobs of these symbols, or has them already. */
  enqueue(symbols: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export interface PeerWorker {
  stop(): Promise<void>;
}

export function startApplication(peer: PeerName, options: PeerOptions): Promise<Application> {
  return peer === 'BullMQ' ? bullmqApplication(options) : graphileApplication(options);
}

export function startPeerWorker(peer: PeerName, options: PeerOptions): Promise<PeerWorker> {
  return peer === 'BullMQ' ? bullmqWorker(options) : graphileWorker(options);
}
