/** The brokers that everything about the bus is tested on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { startBroker } from '../../broker/embedded.ts';
import { findMosquitto, startMosquitto } from '../../broker/mosquitto.ts';
import { accounts, silent } from './peers.ts';

export interface RunningBroker {
  port: number;
  close(): Promise<void>;
}

export interface BrokerKind {
  name: string;
  /** As many unacknowledged messages as it sends at once. */
  window: number;
  /** The largest QoS that it delivers. */
  maxQos: 1 | 2;
  start(port?: number): Promise<RunningBroker>;
}

export const startEmbedded = (port = 0) => startBroker({ port, accounts, access: loadAccess(), log: silent });

// aedes has no limit of its own.
const embedded: BrokerKind = { name: 'embedded', window: 1000, maxQos: 1, start: startEmbedded };

const mosquitto: BrokerKind = {
  name: 'Mosquitto',
  // broker/mosquitto.ts sets it.
  window: 64,
  maxQos: 2,
  async start(port) {
    const folder = mkdtempSync(join(tmpdir(), 'stockmesh-mosquitto-'));
    const broker = await startMosquitto({ accounts, access: loadAccess(), folder, ...(port === undefined ? {} : { port }) });
    return { port: broker.port, close: () => broker.close().then(() => rmSync(folder, { recursive: true, force: true })) };
  },
};

/**
 * Declares the suite once for each broker. Where Mosquitto is not installed and may not be, its half is skipped and says so; in CI that is a failure, since the
 * promise is that both behave alike.
 */
export function onEachBroker(suite: (broker: BrokerKind) => void): void {
  describe('on embedded', () => suite(embedded));
  const isThere = findMosquitto() !== undefined || process.env.CI !== undefined;
  describe.skipIf(!isThere)(isThere ? 'on Mosquitto' : 'on Mosquitto (not installed: apt-get install mosquitto)', () => suite(mosquitto));
}
