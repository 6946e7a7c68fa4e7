import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { startBroker } from '../../broker/embedded.ts';
import { findMosquitto, startMosquitto } from '../../broker/mosquitto.ts';
import { accounts, join, type Peer, silent } from './peers.ts';

interface Running {
  port: number;
  close(): Promise<void>;
}

interface Bench {
  /** Runs during the whole suite. */
  broker: { readonly port: number };
  /** Another one of the same kind. */
  start: (port?: number) => Promise<Running>;
  /** A service that hears what happens in the mesh from now on: not the states that other tests left. */
  listener: () => Promise<Peer>;
}

const access = loadAccess();
const folders: string[] = [];

const brokers: { name: string; installed: boolean; start: Bench['start'] }[] = [
  { name: 'embedded', installed: true, start: (port = 0) => startBroker({ port, accounts, access, log: silent }) },
  {
    name: 'Mosquitto',
    installed: findMosquitto() !== undefined,
    start: (port) => {
      const folder = mkdtempSync(joinPath(tmpdir(), 'stockmesh-mosquitto-'));
      folders.push(folder);
      return startMosquitto({ accounts, access, folder, ...(port === undefined ? {} : { port }) });
    },
  },
];

/** Declares the suite once for each broker. */
export function onBothBrokers(suite: (bench: Bench) => void): void {
  describe.each(brokers)('$name', ({ name, installed, start }) => {
    if (!installed) {
      test.skip(`${name} is not installed: apt-get install mosquitto`);
      return;
    }
    let running: Running;
    beforeAll(async () => {
      running = await start();
    });
    afterAll(async () => {
      await running.close();
      for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
    });
    const broker = {
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
  vi.waitFor(() => expect(payloadsOf(peer)).toContain(payload), { timeout: 10_000, interval: 5 });
