/** How the connection to a broker is made, lost and ended. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { loadAccess } from '../../../broker/access.ts';
import { startBroker } from '../../../broker/embedded.ts';
import { clientOptions, endConnection, openConnection } from '../../../services/platform/bus/connection.ts';
import { sharedWorks } from '../../../services/platform/bus/shared.ts';
import { accounts, silent } from '../../broker/peers.ts';
import { closing, PACKET, scriptedBroker } from './brokers.ts';

const ignored = { up: () => {}, down: () => {} };

test('without an address it is the broker of this machine, by MQTT 3.1.1, and its certificate would be checked', () => {
  expect(clientOptions({})).toMatchObject({
    ...{ protocol: 'mqtt', host: '127.0.0.1', port: 1883, keepalive: 60, protocolVersion: 4, rejectUnauthorized: true },
  });
  expect(clientOptions({})).not.toHaveProperty('username');
});

test('an encrypted one has the port for that, the authority that was given, and its certificate is checked unless trials turn it off', () => {
  expect(clientOptions({ host: 'mq', tls: { ca: 'PEM' } })).toMatchObject({
    protocol: 'mqtts',
    port: 8883,
    ca: 'PEM',
    rejectUnauthorized: true,
  });
  expect(clientOptions({ host: 'mq', tls: {} })).not.toHaveProperty('ca');
  expect(clientOptions({ host: 'mq', port: 1, tls: { verify: false } })).toMatchObject({ port: 1, rejectUnauthorized: false });
});

test.each([
  ['mqtt://mq', { protocol: 'mqtt', host: 'mq', port: 1883 }],
  ['mqtts://[::1]', { protocol: 'mqtts', host: '::1', port: 8883 }],
  ['ws://mq/bus?a=1', { protocol: 'ws', host: 'mq', port: 80, path: '/bus?a=1' }],
  ['wss://mq:8443/', { protocol: 'wss', host: 'mq', port: 8443, path: '/' }],
])('%s is read as %j', (url, options) => {
  expect(clientOptions({ url })).toMatchObject(options);
});

test.each([
  ['by URL', { url: 'mqtt://u:p@mq1:1884,mq2,[::1]:1885' }],
  ['by host', { host: 'mq1:1884, mq2,[::1]:1885' }],
])('nodes of a cluster are named %s, each with its port or that of the protocol', (_name, address) => {
  expect(clientOptions(address)).toMatchObject({
    ...{ protocol: 'mqtt', host: 'mq1', port: 1884 },
    servers: [
      { host: 'mq1', port: 1884 },
      { host: 'mq2', port: 1883 },
      { host: '::1', port: 1885 },
    ],
  });
});

test.each([['mq1,,mq2'], ['mq1:0'], ['::1:1883x'], ['mq1:70000']])('%s is no list of hosts', (host) => {
  expect(() => clientOptions({ host })).toThrow(
    expect.objectContaining({ name: 'ConfigError', code: 'bus.bad_host', message: expect.stringContaining(JSON.stringify(host)) }),
  );
});

test('of several hosts it gets in at the first that answers, and when that one is lost at the next', async () => {
  const [first, second] = [await scriptedBroker(() => {}), await scriptedBroker(() => {})];
  let ups = 0;
  const host = `127.0.0.1:9,127.0.0.1:${first.port},127.0.0.1:${second.port}`;
  const client = openConnection({ host }, { clientId: 'c', persistent: false }, { ...ignored, up: () => ups++ });
  onTestFinished(() => void client.end(true));
  await vi.waitFor(() => expect(ups).toBe(1), 5_000);
  expect([first.count(PACKET.connect), second.count(PACKET.connect)]).toEqual([1, 0]);
  await first.close();
  await vi.waitFor(() => expect(ups).toBe(2), 5_000);
  expect(second.count(PACKET.connect)).toBe(1);
});

test('whether shared subscriptions work is asked at the host that answers', async () => {
  const first = await scriptedBroker(() => {});
  await first.close();
  const { port } = closing(await startBroker({ port: 0, access: loadAccess(), accounts, log: silent }));
  const address = { host: `127.0.0.1:${first.port},127.0.0.1:${port}`, username: 'service', password: accounts.service!.password };
  const message = { topic: 'mesh/test/probe/state', payload: 'p', qos: 1, retain: false } as const;
  expect(await sharedWorks(address, 'stockmesh-probe', message)).toBe(true);
});

test('the account in a url wins, and one without an account leaves that of the configuration', () => {
  const configured = { username: 'u', password: 'p' };
  expect(clientOptions({ url: 'mqtt://other:secret@mq', ...configured })).toMatchObject({ username: 'other', password: 'secret' });
  expect(clientOptions({ url: 'mqtt://mq', ...configured })).toMatchObject(configured);
  expect(clientOptions({ host: 'mq', ...configured })).toMatchObject(configured);
});

test.each([
  [{ persistent: false, protocolVersion: 5 }, true, undefined],
  [{ persistent: true, protocolVersion: 4 }, false, undefined],
  // MQTT 5 would end the session with its connection.
  [{ persistent: true, protocolVersion: 5 }, false, { sessionExpiryInterval: 7 * 24 * 3600 }],
] as const)('a session is kept by the broker where that is asked for: %j', ({ persistent, protocolVersion }, clean, properties) => {
  const client = openConnection({ host: '127.0.0.1', port: 9, protocolVersion }, { clientId: 'c', persistent }, ignored);
  onTestFinished(() => void client.end(true));
  expect(client.options.clean).toBe(clean);
  expect(client.options.properties).toEqual(properties);
});

test('a lost connection is tried again after 100 ms, then with doubled pauses of at most 2 s, a quarter of each random', async () => {
  const broker = await scriptedBroker(() => {});
  const up = Promise.withResolvers<void>();
  const client = openConnection({ port: broker.port }, { clientId: 'c', persistent: false }, { ...ignored, up: up.resolve });
  onTestFinished(() => void client.end(true));
  await up.promise;
  const tried = (): number => {
    client.emit('reconnect');
    return client.options.reconnectPeriod!;
  };
  expect(client.options.reconnectPeriod).toBe(100);
  const random = vi.spyOn(Math, 'random').mockReturnValue(1);
  onTestFinished(() => random.mockRestore());
  expect([tried(), tried(), tried(), tried(), tried(), tried()]).toEqual([200, 400, 800, 1600, 2000, 2000]);
  random.mockReturnValue(0);
  expect(tried()).toBe(1500);
  client.emit('connect', { cmd: 'connack', sessionPresent: false });
  expect(client.options.reconnectPeriod).toBe(100);
});

test('the end does not wait for ever for a broker that reads nothing any more', async () => {
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        socket.write(Buffer.from([0x20, 2, 0, 0]));
        socket.pause();
      });
    closing({ close: async () => void socket.destroy() });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing({ close: async () => void server.close() });
  const up = Promise.withResolvers<void>();
  const { port } = server.address() as AddressInfo;
  const client = openConnection({ port }, { clientId: 'c', persistent: false }, { ...ignored, up: up.resolve });
  await up.promise;
  await endConnection(client);
  expect(client.stream.destroyed).toBe(true);
});
