/** What one client or account can take from the others. The embedded broker's own limits come second: Mosquitto 2.0 knows none by account. */
import { once } from 'node:events';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import type { BrokerLimits } from '../../broker/edge/limits.ts';
import { startBroker } from '../../broker/embedded.ts';
import { onBothBrokers } from './both-brokers.ts';
import { accounts, connectPacket, join, rawConnection, refusalOf } from './peers.ts';

onBothBrokers(({ broker, listener }) => {
  test('while one client publishes without pause, the login of another is acknowledged and delivered', async () => {
    const service = await listener();
    const [flood, hook] = await Promise.all([join(broker.port, 'hook'), join(broker.port, 'hook')]);
    let flooding = true;
    const pump = (): void => {
      for (let i = 0; i < 500; i++) flood.client.publish('events/none', 'x', { qos: 0 });
      if (flooding) setImmediate(pump);
    };
    pump();
    onTestFinished(() => {
      flooding = false;
    });
    await hook.client.publishAsync('events/login', 'through the flood', { qos: 1 });
    flooding = false;
    await expect.poll(() => service.heard.map(({ payload }) => payload)).toContain('through the flood');
  });

  test('a hundred connections that say nothing, or half a CONNECT, keep nobody out', async () => {
    const half = connectPacket('hook', 'half', 60).subarray(0, 9);
    for (let i = 0; i < 100; i++) {
      const socket = await rawConnection(broker.port);
      if (i % 2 === 0) socket.write(half);
    }
    const { client } = await join(broker.port, 'hook');
    expect(client.connected).toBe(true);
  });

  test('whatever a client publishes faster than it is taken is acknowledged and delivered all the same', async () => {
    const service = await listener();
    const { client } = await join(broker.port, 'hook');
    const payloads = Array.from({ length: 2000 }, (_, i) => `login ${i}`);
    await Promise.all(payloads.map((payload) => client.publishAsync('events/login', payload, { qos: 1 })));
    await expect.poll(() => service.heard.map(({ payload }) => payload), { timeout: 10_000 }).toEqual(payloads);
  });
});

describe('the embedded broker with low limits', () => {
  async function start(limits: Partial<BrokerLimits>) {
    const lines: { limit?: string }[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const broker = await startBroker({ port: 0, webSocketPort: 0, accounts, access: loadAccess(), log, limits });
    onTestFinished(() => broker.close());
    return { broker, lines, said: (limit: string) => lines.filter((line) => line.limit === limit) };
  }
  const account = (name: string) => ({ username: name, password: accounts[name]!.password });

  test('a limit that is met is told, with the limit as its code', async () => {
    const { broker } = await start({ connectionsPerAccount: 1 });
    const { heard, client } = await join(broker.port, 'monitor');
    await client.subscribeAsync('events/refused', { qos: 1 });
    await join(broker.port, 'hook');
    await refusalOf(broker.port, account('hook'));
    await expect
      .poll(() => heard.map(({ payload }) => JSON.parse(payload)))
      .toMatchObject([{ code: 'broker.limit.connections_per_account', count: 1, text: expect.stringContaining('(hook)') }]);
  });

  test('an account that sends too fast is told of', async () => {
    const { broker } = await start({ messagesPerSecond: 10 });
    const { client } = await join(broker.port, 'hook');
    for (let i = 0; i < 20; i++) client.publish('events/none', 'x', { qos: 0 });
    await expect.poll(() => broker.stats().limitsMet.messages_per_second, { timeout: 10_000 }).toBeGreaterThan(0);
  });

  test('never more connections are taken than the process may open files', async () => {
    const { said, lines } = await start({ connections: 1_000_000_000 });
    expect(said('connections')).toEqual([]);
    expect(lines[0]).toMatchObject({ msg: expect.stringMatching(/queue\.mqtt\.limits\.connections.*LimitNOFILE/) });
  });

  test('connections of one account: more get the return code 3, those of others and a known id get in', async () => {
    const { broker, said } = await start({ connectionsPerAccount: 2 });
    await join(broker.port, 'hook', { clientId: 'one' });
    await join(broker.port, 'hook', { clientId: 'two' });
    expect(await refusalOf(broker.port, { ...account('hook'), clientId: 'three' })).toBe(3);
    await join(broker.port, 'hook', { clientId: 'two' });
    await join(broker.port, 'monitor');
    expect(said('connections_per_account')).toMatchObject([{ subject: 'hook', times: 1 }]);
    expect(broker.stats().limitsMet).toEqual({ connections_per_account: 1 });
  });

  test('connections in all: more are closed at once', async () => {
    const { broker } = await start({ connections: 1 });
    await join(broker.port, 'hook');
    const closed = await rawConnection(broker.port);
    await once(closed.resume(), 'close');
    expect(broker.stats().limitsMet).toEqual({ connections: 1 });
  });

  test('kept sessions of one account: more get the return code 3, clean ones and a known id get in', async () => {
    const { broker } = await start({ sessionsPerAccount: 1 });
    const first = await join(broker.port, 'monitor', { clientId: 'kept', clean: false });
    await first.client.endAsync();
    expect(await refusalOf(broker.port, { ...account('monitor'), clientId: 'more', clean: false })).toBe(3);
    await join(broker.port, 'monitor', { clientId: 'more' });
    await join(broker.port, 'monitor', { clientId: 'kept', clean: false });
    expect(broker.stats().limitsMet).toEqual({ sessions_per_account: 1 });
  });

  test('subscriptions of one client: more are refused, the same again is not, and one that ends makes room', async () => {
    const { broker } = await start({ subscriptions: 2 });
    const { client } = await join(broker.port, 'monitor');
    const granted = async (filters: string[]) => {
      const answer = await client.subscribeAsync(filters, { qos: 1 }).catch((error) => error);
      return Array.isArray(answer);
    };
    expect(await granted(['stock/+/+', 'alerts/+'])).toBe(true);
    expect(await granted(['mesh/#'])).toBe(false);
    expect(await granted(['alerts/+'])).toBe(true);
    await client.unsubscribeAsync('alerts/+');
    expect(await granted(['mesh/#'])).toBe(true);
    expect(broker.stats().limitsMet).toEqual({ subscriptions: 1 });
  });

  test.each(['port', 'webSocketPort'] as const)(
    'silence on %s: the oldest ends when there are too many, whoever names itself gets in',
    async (port) => {
      const { broker } = await start({ unauthenticated: 3, connectSeconds: 3600 });
      const silent = [];
      for (let i = 0; i < 5; i++) silent.push(await rawConnection(broker[port]!));
      await Promise.all(silent.slice(0, 2).map((socket) => socket.closed || once(socket.resume(), 'close')));
      await join(broker.port, 'hook');
      await expect.poll(() => broker.stats().unauthenticated).toBeLessThanOrEqual(3);
      expect(silent.at(-1)!.closed).toBe(false);
    },
  );

  test.each<[string, 'port' | 'webSocketPort', Buffer]>([
    ['nothing', 'port', Buffer.alloc(0)],
    ['half a CONNECT', 'port', connectPacket('hook', 'half', 60).subarray(0, 9)],
    ['half an upgrade', 'webSocketPort', Buffer.from('GET / HTTP/1.1\r\nUpgrade: websocket\r\n')],
    ['a request that asks for no upgrade', 'webSocketPort', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ])('a connection that says %s is ended', async (_, port, bytes) => {
    const { broker } = await start({ connectSeconds: 0.2 });
    const socket = await rawConnection(broker[port]!);
    socket.write(bytes);
    await once(socket.resume(), 'close');
    await expect.poll(() => broker.stats()).toMatchObject({ unauthenticated: 0, limitsMet: { connect_timeout: 1 } });
  });

  test('queues of absent clients: bounded for an account together', async () => {
    const { broker } = await start({ queuedBytesPerAccount: 30_000 });
    for (const clientId of ['absent-1', 'absent-2']) {
      const { client } = await join(broker.port, 'service', { clientId, clean: false });
      await client.subscribeAsync('mesh/#', { qos: 1 });
      await client.endAsync();
    }
    const { client } = await join(broker.port, 'service');
    for (let i = 0; i < 3; i++) await client.publishAsync('mesh/stats', 'x'.repeat(10_000), { qos: 1 });
    const heard = await Promise.all(
      ['absent-1', 'absent-2'].map(async (clientId) => (await join(broker.port, 'service', { clientId, clean: false })).heard),
    );
    // 10,000 bytes of payload and 300 beside: two of the six have room in 30,000.
    await expect.poll(() => heard.flat().length).toBe(2);
  });

  test('many wrong passwords from this machine are answered, and the right one at once', async () => {
    const { broker } = await start({ wrongPasswords: 1 });
    for (let i = 0; i < 2; i++) expect(await refusalOf(broker.port, { username: 'hook', password: 'wrong' })).toBe(5);
    await join(broker.port, 'hook');
  });
});
