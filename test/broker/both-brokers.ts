import { afterAll, beforeAll, expect } from 'vitest';
import { onEachBroker, type RunningBroker } from './brokers.ts';
import { join, type Peer } from './peers.ts';

interface Bench {
  /** Runs during the whole suite. */
  broker: { readonly port: number; readonly maxQos: 1 | 2 };
  /** Another one of the same kind. */
  start: (port?: number) => Promise<RunningBroker>;
  /** A service that hears what happens in the mesh from now on: not the states that other tests left. */
  listener: () => Promise<Peer>;
}

/** Declares the suite once for each broker, with one of it running. */
export function onBothBrokers(suite: (bench: Bench) => void): void {
  onEachBroker(({ start, maxQos }) => {
    let running: RunningBroker;
    beforeAll(async () => {
      running = await start();
    });
    afterAll(() => running.close());
    const broker = {
      maxQos,
      get port() {
        return running.port;
      },
    };
    suite({
      broker,
      start,
      listener: async () => {
        const service = await join(broker.port, 'service', {}, { live: true });
        await service.client.subscribeAsync(['events/login', 'stock/+/+', 'mesh/#', 'control/+', 'alerts/+', 'data/+/+'], { qos: 1 });
        return service;
      },
    });
  });
}

export const topicsOf = ({ heard }: Peer): string[] => heard.map(({ topic }) => topic);
export const payloadsOf = ({ heard }: Peer): string[] => heard.map(({ payload }) => payload);
/** Resolves once the payload has arrived. */
export const until = (peer: Peer, payload: string): Promise<void> =>
  expect.poll(() => payloadsOf(peer), { timeout: 10_000, interval: 5 }).toContain(payload);
