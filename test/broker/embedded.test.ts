import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import mqtt from 'mqtt';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { type EmbeddedBroker, type EmbeddedBrokerOptions, startBroker } from '../../broker/embedded.ts';
import { findProgram } from '../../services/platform/machine/programs.ts';
import { accounts, connectPacket, happens, join, rawConnection, refusalOf, silent } from './peers.ts';

const access = loadAccess();
const running: EmbeddedBroker[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((broker) => broker.close()));
});

async function start(options: Partial<EmbeddedBrokerOptions> = {}): Promise<EmbeddedBroker> {
  const broker = await startBroker({ port: 0, accounts, access, log: silent, ...options });
  running.push(broker);
  return broker;
}

/** A log that keeps its lines. */
function keptLog() {
  const lines: { event: string; [field: string]: unknown }[] = [];
  return { lines, log: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) }) };
}

test('a port in use is refused with the port, the option and a free port', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const refused = await start({ port }).catch((error) => error);
  expect(refused).toMatchObject({ name: 'ConfigError', code: 'broker.port_in_use' });
  expect(refused.message).toContain(`port ${port} on 127.0.0.1 is in use`);
  expect(refused.message).toContain('queue.mqtt.port (--mqtt-port)');
  const offered = Number(/for example (\d+)$/.exec(refused.message)?.[1]);
  expect((await start({ port: offered })).port).toBe(offered);
  other.close();
});

test('an address that is not of this machine is refused', async () => {
  // 192.0.2.0/24 is nobody's [RFC 5737].
  await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'broker.cannot_listen' });
});

test('a WebSocket port in use ends the start without leaving the other port open', async () => {
  const first = await start();
  const free = await start();
  await free.close();
  await expect(start({ port: free.port, webSocketPort: first.port })).rejects.toMatchObject({ code: 'broker.port_in_use' });
  expect((await start({ port: free.port })).port).toBe(free.port);
});

test('an account with an unknown role is refused before anything starts', async () => {
  await expect(start({ accounts: { eve: { password: 'x', role: 'admin' } } })).rejects.toMatchObject({ code: 'access.unknown_role' });
});

test('after close the process ends by itself, though clients were connected and one had not named itself', async () => {
  const file = (path: string) => new URL(`../../${path}`, import.meta.url).href;
  const script = `
    import { connect } from 'node:net';
    import mqtt from 'mqtt';
    import { pino } from 'pino';
    import { loadAccess } from '${file('broker/access.ts')}';
    import { startBroker } from '${file('broker/embedded.ts')}';
    const accounts = { service: { password: 'p', role: 'service' } };
    const broker = await startBroker({ port: 0, webSocketPort: 0, accounts, access: loadAccess(), log: pino({ level: 'silent' }) });
    const options = { username: 'service', password: 'p', protocolVersion: 4, reconnectPeriod: 0 };
    await mqtt.connectAsync({ ...options, port: broker.port, host: '127.0.0.1' });
    await mqtt.connectAsync('ws://127.0.0.1:' + broker.webSocketPort, options);
    for (const port of [broker.port, broker.webSocketPort]) await new Promise((resolve) => connect(port, '127.0.0.1', resolve));
    await broker.close();
    console.log('closed');
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 15_000 });
  expect(stdout).toBe('closed\n');
});

test("the broker's own end publishes no wills: no service has died", async () => {
  const broker = await start();
  const monitor = await join(broker.port, 'monitor');
  await monitor.client.subscribeAsync('mesh/#', { qos: 1 });
  await join(broker.port, 'service', { will: { topic: 'mesh/worker/w1/state', payload: Buffer.from('offline'), qos: 1, retain: true } });
  const ended = happens(monitor.client, 'close');
  await broker.close();
  await ended;
  expect(monitor.heard).toEqual([]);
});

test('there is no WebSocket unless it is asked for', async () => {
  expect((await start()).webSocketPort).toBeUndefined();
});

test('over WebSocket the same accounts, rules and payload limit hold', async () => {
  const broker = await start({ webSocketPort: 0 });
  const service = await join(broker.port, 'service');
  await service.client.subscribeAsync(['events/login', 'stock/+/+'], { qos: 1 });
  const url = `ws://127.0.0.1:${broker.webSocketPort}`;
  const hook = await mqtt.connectAsync(url, {
    protocolVersion: 4,
    username: 'hook',
    password: accounts.hook!.password,
    reconnectPeriod: 0,
  });
  await hook.publishAsync('stock/fetch/AAPL', 'forged', { qos: 1 });
  await hook.publishAsync('events/login', 'x'.repeat(1_000_000), { qos: 1 });
  await hook.publishAsync('events/login', 'from a browser', { qos: 1 });
  await expect.poll(() => service.heard).toMatchObject([{ topic: 'events/login', payload: 'from a browser' }]);
  await hook.endAsync();
});

test('it counts what came in, went out, and was refused', async () => {
  const broker = await start();
  const service = await join(broker.port, 'service');
  const monitor = await join(broker.port, 'monitor');
  await service.client.subscribeAsync('#', { qos: 1 });
  await monitor.client.subscribeAsync('#', { qos: 1 });
  await service.client.publishAsync('stock/fetch/AAPL', 'to both', { qos: 1 });
  await service.client.publishAsync('control/worker-1', 'to one', { qos: 1 });
  await service.client.publishAsync('mesh/stats', 'x'.repeat(70_000), { qos: 1 });
  await monitor.client.publishAsync('mesh/stats', 'forged', { qos: 1 });
  await refusalOf(broker.port, {});
  await expect
    .poll(() => broker.stats())
    .toEqual({
      clients: 2,
      messagesIn: 2,
      // Three, and what it says of both refused publishes to each of the two.
      messagesOut: 3 + 4,
      denied: 1,
      oversize: 1,
      withheld: 1,
      refusedConnections: 1,
      held: 0,
      heldBytes: 0,
      heldOldestMs: 0,
      heldFull: undefined,
      heldRefused: 0,
      unauthenticated: 0,
      limitsMet: {},
    });
});

test('a denied publish is logged once a topic, and of many topics the first five', async () => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  const monitor = await join(broker.port, 'monitor', { clientId: 'curious' });
  for (let i = 0; i < 5; i++) await monitor.client.publishAsync('stock/fetch/AAPL', 'forged', { qos: 1 });
  expect(lines).toMatchObject([{ event: 'broker.publish_denied', clientId: 'curious', account: 'monitor', topic: 'stock/fetch/AAPL' }]);
  for (let i = 0; i < 50; i++) await monitor.client.publishAsync(`stock/fetch/S${i}`, 'forged', { qos: 1 });
  expect(lines).toHaveLength(5);
  expect(broker.stats().denied).toBe(55);
});

test("an account cannot take over another account's connection by its client id", async () => {
  const broker = await start();
  const service = await join(broker.port, 'service', { clientId: 'portfolio-priority-1' });
  const { password } = accounts.hook!;
  // 2: identifier rejected [MQTT-3.2.2.3]
  expect(await refusalOf(broker.port, { clientId: 'portfolio-priority-1', username: 'hook', password })).toBe(2);
  await service.client.publishAsync('events/login', 'still connected', { qos: 1 });
  const ended = happens(service.client, 'close');
  await service.client.endAsync();
  await ended;
  await expect.poll(() => broker.stats().clients).toBe(0);
  await join(broker.port, 'hook', { clientId: 'portfolio-priority-1' });
});

test('the client id of a kept session stays that of its account while nobody is connected', async () => {
  const broker = await start();
  const service = await join(broker.port, 'service', { clientId: 'portfolio-priority-1', clean: false });
  await service.client.subscribeAsync('events/login', { qos: 1 });
  await service.client.endAsync();
  await expect.poll(() => broker.stats().clients).toBe(0);
  const { password } = accounts.hook!;
  // 2: identifier rejected [MQTT-3.2.2.3]. A clean session of the hook would end the kept one, with the logins that wait in it.
  expect(await refusalOf(broker.port, { clientId: 'portfolio-priority-1', username: 'hook', password })).toBe(2);
  const hook = await join(broker.port, 'hook');
  const sent = hook.client.publishAsync('events/login', 'for the kept session', { qos: 1 });
  const back = await join(broker.port, 'service', { clientId: 'portfolio-priority-1', clean: false });
  await expect.poll(() => back.heard).toMatchObject([{ payload: 'for the kept session' }]);
  await sent;
});

test('an MQTT 5 client is told that its version is not supported, and the log names the way out', async () => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  const account = { username: 'hook', password: accounts.hook!.password };
  // 0x84: unsupported protocol version [MQTT 5, 3.2.2.2].
  expect(await refusalOf(broker.port, { ...account, clientId: 'modern', protocolVersion: 5 })).toBe(0x84);
  const [refused] = lines.filter(({ event }) => event === 'broker.connection_refused');
  expect(refused).toMatchObject({ clientId: 'modern', account: 'hook', reason: expect.stringContaining('set the client to 3.1.1') });
  expect(broker.stats()).toMatchObject({ clients: 0, refusedConnections: 1 });
  await join(broker.port, 'hook', { clientId: 'modern' });
});

test('mosquitto_pub with MQTT 5 ends at once with an error', async (context) => {
  const publish = findProgram(['mosquitto_pub']);
  if (publish === undefined) return context.skip('mosquitto_pub is not installed');
  const broker = await start();
  const login = [
    '-V',
    'mqttv5',
    '-p',
    `${broker.port}`,
    '-u',
    'hook',
    '-P',
    accounts.hook!.password,
    '-t',
    'events/login',
    '-m',
    '{}',
    '-q',
    '1',
  ];
  const failure = await promisify(execFile)(publish, login, { timeout: 10_000 }).catch((error) => error);
  expect(failure).toMatchObject({ code: 0x84, killed: false, stderr: expect.stringContaining('Unsupported Protocol Version') });
});

test('a kept session may not subscribe to more than its role may see', async () => {
  const broker = await start();
  const monitor = await join(broker.port, 'monitor', { clientId: 'kept', clean: false });
  await expect(monitor.client.subscribeAsync('#', { qos: 1 })).rejects.toThrow('Subscribe error');
  await monitor.client.subscribeAsync('stock/+/+', { qos: 1 });
});

test.each(['$share/', '$share/group', '$share/group/', '$share//stock/fetch/AAPL'])(
  'the malformed shared filter %s is refused',
  async (filter) => {
    const broker = await start();
    const service = await join(broker.port, 'service');
    await expect(service.client.subscribeAsync(filter, { qos: 1 })).rejects.toThrow();
  },
);

test('a group gets no retained messages', async () => {
  const broker = await start();
  const service = await join(broker.port, 'service');
  await service.client.publishAsync('alerts/depth', 'raised before', { qos: 1, retain: true });
  await service.client.subscribeAsync('$share/alerts/alerts/+', { qos: 1 });
  await service.client.publishAsync('alerts/depth', 'raised now', { qos: 1, retain: true });
  await expect.poll(() => service.heard).toMatchObject([{ payload: 'raised now', retain: false }]);
});

test('a member that may not see a topic is passed over', async () => {
  const broker = await start();
  const monitor = await join(broker.port, 'monitor');
  const service = await join(broker.port, 'service');
  for (const { client } of [monitor, service]) await client.subscribeAsync('$share/mixed/#', { qos: 1 });
  for (let i = 0; i < 4; i++) await service.client.publishAsync('control/worker-1', `order ${i}`, { qos: 1 });
  await expect.poll(() => service.heard).toHaveLength(4);
});

test('a clean session ends the group membership that a kept one of the same id had', async () => {
  const broker = await start();
  const kept = await join(broker.port, 'service', { clientId: 'worker', clean: false });
  await kept.client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 1 });
  await kept.client.endAsync();
  const clean = await join(broker.port, 'service', { clientId: 'worker' });
  await clean.client.endAsync();
  const publisher = await join(broker.port, 'service');
  await publisher.client.publishAsync('stock/fetch/AAPL', 'for nobody', { qos: 1 });
  const again = await join(broker.port, 'service', { clientId: 'worker', clean: false });
  await again.client.subscribeAsync('stock/fetch/+', { qos: 1 });
  await publisher.client.publishAsync('stock/fetch/AAPL', 'for the new one', { qos: 1 });
  await expect.poll(() => again.heard).toMatchObject([{ payload: 'for the new one' }]);
});

test('what merely waited for an absent session is not marked as sent again', async () => {
  const broker = await start();
  const first = await join(broker.port, 'service', { clientId: 'away', clean: false });
  await first.client.subscribeAsync('stock/fetch/+', { qos: 1 });
  await first.client.endAsync();
  const publisher = await join(broker.port, 'service');
  await publisher.client.publishAsync('stock/fetch/AAPL', 'waited', { qos: 1 });
  const again = await join(broker.port, 'service', { clientId: 'away', clean: false });
  await expect.poll(() => again.heard).toMatchObject([{ payload: 'waited', dup: false }]);
});

test('the queue of an absent session is bounded, and says once that it is full', async () => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  const first = await join(broker.port, 'service', { clientId: 'never-back', clean: false });
  await first.client.subscribeAsync('data/+/+', { qos: 1 });
  await first.client.endAsync();
  const publisher = await join(broker.port, 'service');
  const payload = 'x'.repeat(65_000);
  await Promise.all(Array.from({ length: 300 }, () => publisher.client.publishAsync('data/AAPL/bars', payload, { qos: 1 })));
  // A quick machine sends so much within a second that the account's limit is told as well.
  const full = () => lines.filter((line) => (line as { limit?: string }).limit === 'queued_bytes');
  expect(full()).toMatchObject([{ subject: 'never-back' }]);
  const again = await join(broker.port, 'service', { clientId: 'never-back', clean: false });
  // 16 MiB ÷ (65,000 + 300 bytes)
  await expect.poll(() => again.heard, { timeout: 10_000 }).toHaveLength(256);
  await publisher.client.publishAsync('data/AAPL/bars', 'room again', { qos: 1 });
  await expect.poll(() => again.heard.at(-1)?.payload).toBe('room again');
  // A second absence that fills it is said again.
  await again.client.endAsync();
  await expect.poll(() => broker.stats().clients).toBe(1);
  await Promise.all(Array.from({ length: 300 }, () => publisher.client.publishAsync('data/AAPL/bars', payload, { qos: 1 })));
  expect(full()).toMatchObject([{ limit: 'queued_bytes' }, { subject: 'never-back' }]);
});

test('a packet identifier is not used again by the next connection of a kept session: a late acknowledgement must not hit another message', async () => {
  const broker = await start();
  const publisher = await join(broker.port, 'service');
  const ids: (number | undefined)[] = [];
  for (const payload of ['first', 'second', 'third']) {
    const kept = await join(broker.port, 'service', { clientId: 'kept', clean: false });
    kept.client.on('packetreceive', (packet) => packet.cmd === 'publish' && ids.push(packet.messageId));
    await kept.client.subscribeAsync('stock/fetch/+', { qos: 1 });
    await publisher.client.publishAsync('stock/fetch/AAPL', payload, { qos: 1 });
    await expect.poll(() => kept.heard.map((message) => message.payload)).toEqual([payload]);
    await kept.client.endAsync();
  }
  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(3);
});

test('while a frozen subscriber is waited for, messages between others flow', async () => {
  const broker = await start();
  const frozen = await join(broker.port, 'service');
  await frozen.client.subscribeAsync('data/+/+', { qos: 0 });
  frozen.client.stream.unpipe();
  frozen.client.stream.pause();
  const flooding = await Promise.all(Array.from({ length: 4 }, () => join(broker.port, 'service')));
  for (let i = 0; i < 20_000; i++) flooding[i % 4]!.client.publish('data/AAPL/bars', Buffer.alloc(1000));
  const other = await join(broker.port, 'service');
  await other.client.subscribeAsync('events/login', { qos: 1 });
  let longest = 0;
  // Cut after a second without reading.
  for (let i = 1; broker.stats().clients === 6; i++) {
    const sent = performance.now();
    await other.client.publishAsync('events/login', `${i}`, { qos: 1 });
    await expect.poll(() => other.heard, { interval: 1, timeout: 5000 }).toHaveLength(i);
    longest = Math.max(longest, performance.now() - sent);
  }
  expect(other.heard.length).toBeGreaterThan(10);
  expect(longest).toBeLessThan(700);
});

test('a connection that is cut while many deliveries wait for it is one line in the log', async () => {
  const { lines, log } = keptLog();
  const broker = await start({ log });
  const frozen = await join(broker.port, 'service', { clientId: 'frozen' });
  await frozen.client.subscribeAsync('data/+/+', { qos: 1 });
  frozen.client.stream.unpipe();
  frozen.client.stream.pause();
  const publisher = await join(broker.port, 'service');
  for (let i = 0; i < 10_000; i++) publisher.client.publish('data/AAPL/bars', Buffer.alloc(1000));
  const ended = () => lines.filter(({ event, clientId }) => event === 'broker.client_error' && clientId === 'frozen');
  await expect.poll(ended, { timeout: 5000 }).not.toEqual([]);
  await expect.poll(() => broker.stats().clients).toBe(1);
  // The other deliveries fail in turns of the event loop of their own.
  await publisher.client.publishAsync('data/AAPL/bars', 'after', { qos: 1 });
  expect(ended()).toHaveLength(1);
});

test('a publish that claims 200 MB takes no memory while it comes in, and everybody else goes on', async () => {
  const broker = await start();
  const service = await join(broker.port, 'service');
  await service.client.subscribeAsync('events/login', { qos: 1 });
  const socket = await rawConnection(broker.port);
  socket.write(connectPacket('hook', 'greedy', 60));
  await once(socket, 'data');
  setFlagsFromString('--expose-gc');
  const collectGarbage: () => void = runInNewContext('gc');
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  // QoS 1, remaining length 0x7f 0xff 0xff 0xff = 268,435,455, topic "events/login", packet id 1
  socket.write(Buffer.concat([Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f, 0, 12]), Buffer.from('events/login'), Buffer.from([0, 1])]));
  const chunk = Buffer.alloc(1_000_000);
  for (let sent = 0; sent < 200; sent++) if (!socket.write(chunk)) await once(socket, 'drain');
  collectGarbage();
  // Collected, it would be 200 MB; the sockets of both sides have some read and unwritten chunks.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(80_000_000);
  await service.client.publishAsync('events/login', 'goes on', { qos: 1 });
  await expect.poll(() => service.heard).toMatchObject([{ payload: 'goes on' }]);
  expect(broker.stats().oversize).toBe(1);
});

test('a packet of 100 MB that is no publish ends its connection at its first bytes', async () => {
  const broker = await start();
  const socket = await rawConnection(broker.port);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // CONNECT, remaining length 0x80 0x80 0x80 0x30 = 100,663,296
  socket.write(Buffer.from([0x10, 0x80, 0x80, 0x80, 0x30]));
  await closed;
});
