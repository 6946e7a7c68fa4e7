/** The brokers that everything about the bus is tested on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { startBroker } from '../../broker/embedded.ts';
import { findMosquitto, type MosquittoTls, startMosquitto } from '../../broker/mosquitto.ts';
import { watchCertificate } from '../../services/platform/machine/certificate.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
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
  /** With a second, encrypted port. */
  startTls(files: TlsFiles): Promise<RunningBroker & { tlsPort: number }>;
}

export interface TlsFiles {
  cert_file: string;
  key_file: string;
  client_ca_file?: string;
}

export const startEmbedded = (port = 0) => startBroker({ port, accounts, access: loadAccess(), log: silent });

// aedes has no limit of its own.
const embedded: BrokerKind = {
  ...{ name: 'embedded', window: 1000, maxQos: 1 },
  start: startEmbedded,
  async startTls(files) {
    const certificate = watchCertificate('queue.mqtt.tls', files, silent)!;
    const tls = { host: '127.0.0.1', port: 0, certificate };
    const broker = await startBroker({ port: 0, tls, accounts, access: loadAccess(), log: silent });
    return { ...broker, tlsPort: broker.tlsPort!, close: () => broker.close().then(certificate.close) };
  },
};

const mosquitto: BrokerKind = {
  name: 'Mosquitto',
  // broker/mosquitto.ts sets it.
  window: 64,
  maxQos: 2,
  start: (port) => runMosquitto(port),
  async startTls({ cert_file, key_file, client_ca_file }) {
    const tls = { host: '127.0.0.1', port: await freePort(), certFile: cert_file, keyFile: key_file, clientCaFile: client_ca_file };
    return { ...(await runMosquitto(undefined, tls)), tlsPort: tls.port };
  },
};

async function runMosquitto(port?: number, tls?: MosquittoTls): Promise<RunningBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-mosquitto-'));
  const broker = await startMosquitto({ accounts, access: loadAccess(), folder, tls, ...(port === undefined ? {} : { port }) });
  return { port: broker.port, close: () => broker.close().then(() => rmSync(folder, { recursive: true, force: true })) };
}

/**
 * Declares the suite once for each broker. Where Mosquitto is not installed and may not be, its half is skipped and says so; in CI that is a failure, since the
 * promise is that both behave alike.
 */
export function onEachBroker(suite: (broker: BrokerKind) => void): void {
  describe('on embedded', () => suite(embedded));
  const isThere = findMosquitto() !== undefined || process.env.CI !== undefined;
  describe.skipIf(!isThere)(isThere ? 'on Mosquitto' : 'on Mosquitto (not installed: apt-get install mosquitto)', () => suite(mosquitto));
}
