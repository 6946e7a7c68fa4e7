/** What the embedded broker refuses, and what it says of it. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import mqtt from 'mqtt';
import { pino } from 'pino';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { loadAccess } from '../../../broker/access.ts';
import { type EmbeddedBroker, type EmbeddedBrokerOptions, startBroker } from '../../../broker/embedded.ts';
import { watchCertificate } from '../../../services/platform/machine/certificate.ts';
import { accounts, connectPacket, join, rawConnection, refusalOf, silent } from '../peers.ts';
import { shown, testCertificates } from './certificates.ts';

const running: EmbeddedBroker[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((broker) => broker.close()));
});

async function start(options: Partial<EmbeddedBrokerOptions> = {}): Promise<EmbeddedBroker> {
  const broker = await startBroker({ port: 0, accounts, access: loadAccess(), log: silent, ...options });
  running.push(broker);
  return broker;
}

function keptLog() {
  const lines: { event: string; [field: string]: unknown }[] = [];
  return { lines, log: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) }) };
}

test.each([
  [{}, undefined, 'no user name'],
  [{ username: 'eve', password: 'x' }, 'eve', 'unknown user or wrong password'],
  [{ username: 'hook', password: 'x' }, 'hook', 'unknown user or wrong password'],
  [{ username: 'hook' }, 'hook', 'unknown user or wrong password'],
])('the log says why %j was refused', async (account, name, reason) => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  await refusalOf(broker.port, { clientId: 'c1', ...account });
  const refused = lines.filter(({ event }) => event === 'broker.connection_refused');
  expect(refused).toMatchObject([{ clientId: 'c1', reason, msg: `connection refused: ${reason}` }]);
  expect(refused[0]!.account).toBe(name);
});

test('of what the clients of one account may not publish the log says five lines a minute, and no long topic whole', async () => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  for (let i = 0; i < 7; i++) {
    const { client } = await join(broker.port, 'hook');
    await client.publishAsync(`stock/fetch/${'x'.repeat(5000)}`, '{}', { qos: 1 });
  }
  const denied = lines.filter(({ event }) => event === 'broker.publish_denied');
  expect(denied.map(({ topic }) => String(topic).length)).toEqual([200, 200, 200, 200, 200]);
  expect(broker.stats().denied).toBe(7);
});

test('what is no MQTT ends its connection, and the log says why', async () => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  const socket = await rawConnection(broker.port);
  const closed = once(socket, 'close');
  // SUBSCRIBE, remaining length 0x80 0x80 0x80 0x30 = 100,663,296, before any CONNECT
  socket.write(Buffer.from([0x82, 0x80, 0x80, 0x80, 0x30]));
  await closed;
  await expect
    .poll(() => lines)
    .toMatchObject([{ event: 'broker.connection_error', reason: 'a packet of 100663301 bytes that is no publish' }]);
});

test.each([
  ['as large as a payload may be is published', 'x'.repeat(10), ['x'.repeat(10)], 0],
  ['larger than that is dropped and counted', 'x'.repeat(11), [], 1],
])('a will %s', async (_, payload, heard, oversize) => {
  const broker = await start({ maxPayloadBytes: 10 });
  const monitor = await join(broker.port, 'monitor');
  await monitor.client.subscribeAsync('mesh/#', { qos: 1 });
  const socket = await rawConnection(broker.port);
  socket.write(connectPacket('service', 'dying', 60, { will: { topic: 'mesh/worker/w1/state', payload } }));
  await once(socket, 'data');
  socket.destroy();
  await expect.poll(() => broker.stats().clients).toBe(1);
  const service = await join(broker.port, 'service');
  await service.client.publishAsync('mesh/stats', 'after', { qos: 1 });
  await expect.poll(() => monitor.heard.map((message) => message.payload)).toEqual([...heard, 'after']);
  expect(broker.stats().oversize).toBe(oversize);
});

test('two connections from one port, to two addresses of the broker, count as two', async () => {
  const broker = await start({ host: '0.0.0.0', limits: { connections: 2 } });
  const from = async (localPort: number | undefined, host: string) => {
    const socket = connectTcp({ host, port: broker.port, localAddress: '127.0.0.1', ...(localPort === undefined ? {} : { localPort }) });
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const { localPort } = await from(undefined, '127.0.0.1');
  await from(localPort, '127.0.0.2');
  const third = await from(undefined, '127.0.0.1');
  await once(third.resume(), 'close', { signal: AbortSignal.timeout(10_000) });
  expect(broker.stats().limitsMet).toEqual({ connections: 1 });
});

test('the log says why a client certificate was refused', async () => {
  const certificates = testCertificates();
  onTestFinished(() => certificates.remove());
  const authority = certificates.authority('authority');
  const certificate = watchCertificate('queue.mqtt.tls', { ...certificates.issue('server'), client_ca_file: authority.cert_file }, silent)!;
  onTestFinished(() => certificate.close());
  const { lines, log } = keptLog();
  const broker = await start({ tls: { host: '127.0.0.1', port: 0, certificate }, log });
  const socket = connectTls({ port: broker.tlsPort!, rejectUnauthorized: false, ...shown(certificates.issue('self-made')) });
  await once(socket.resume(), 'close');
  await expect
    .poll(() => lines.find(({ event }) => event === 'broker.handshake_refused'))
    .toMatchObject({ reason: 'client certificate: DEPTH_ZERO_SELF_SIGNED_CERT' });
});

test('a WebSocket with TLS speaks MQTT', async () => {
  const certificates = testCertificates();
  onTestFinished(() => certificates.remove());
  const files = certificates.issue('server');
  const certificate = watchCertificate('queue.mqtt.tls', files, silent)!;
  onTestFinished(() => certificate.close());
  const broker = await start({ tls: { host: '127.0.0.1', port: 0, webSocketPort: 0, certificate } });
  const account = { username: 'service', password: accounts.service!.password, protocolVersion: 4 as const, reconnectPeriod: 0 };
  const client = await mqtt.connectAsync(`wss://127.0.0.1:${broker.tlsWebSocketPort}`, { ...account, ca: readFileSync(files.cert_file) });
  expect(client.connected).toBe(true);
  await client.endAsync();
});

test('a plain request to the WebSocket port is told to upgrade', async () => {
  const broker = await start({ webSocketPort: 0 });
  const answer = await fetch(`http://127.0.0.1:${broker.webSocketPort}/`);
  expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket']);
});

test('a WebSocket speaks the protocol "mqtt", whatever else its client offers, and no other [MQTT-6.0.0-3]', async () => {
  const broker = await start({ webSocketPort: 0 });
  const url = `ws://127.0.0.1:${broker.webSocketPort}`;
  const both = new WebSocket(url, ['chat', 'mqtt']);
  await once(both, 'open');
  expect(both.protocol).toBe('mqtt');
  const [error] = await once(new WebSocket(url, ['chat']), 'error');
  expect((error as Error).message).toMatch(/subprotocol/);
});

test.each([
  [true, 'sees only what its role may'],
  [false, 'subscription refused'],
])('the log says what became of a filter beyond a role, with a clean session (%s): %s', async (clean, msg) => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  const monitor = await join(broker.port, 'monitor', { clientId: 'curious', clean });
  await monitor.client.subscribeAsync('#', { qos: 1 }).catch(() => {});
  const told = { event: 'broker.subscription_filtered', clientId: 'curious', account: 'monitor', topic: '#', msg };
  expect(lines.filter(({ event }) => event === 'broker.subscription_filtered')).toMatchObject([told]);
});
