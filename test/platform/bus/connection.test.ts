/** How the connection to a broker is made, lost and ended. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { clientOptions, endConnection, openConnection } from '../../../services/platform/bus/connection.ts';
import { closing, scriptedBroker } from './brokers.ts';

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
