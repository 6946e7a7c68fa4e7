/** What happens when the broker is away, silent, hostile, or does less than it says. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { Aedes } from 'aedes';
import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { loadAccess } from '../../../broker/access.ts';
import { startBroker } from '../../../broker/embedded.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import type { Draft } from '../../../services/platform/messages.ts';
import { startEmbedded } from '../../broker/brokers.ts';
import { silent } from '../../broker/peers.ts';
import { answerTo, asQos0, closing, openBus, PACKET, proxyTo, scriptedBroker } from './brokers.ts';

const AT = '2026-01-02T14:30:00Z';
const alert: Draft<'alert'> = { name: 'queue', state: 'raised', value: 2, threshold: 1, since: AT, text: 'too deep' };
const status: Draft<'status'> = { id: 'j1', type: 'fetch', state: 'running', attempt: 1, at: AT };
const waitFor = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const coded = (code: string) => expect.objectContaining({ name: 'TransientError', code });

function recorded() {
  const lines: { level: number; msg: string }[] = [];
  return { lines, log: pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) }) };
}

describe('without a broker', () => {
  test('the bus starts, says so once however often it tries, and is online as soon as there is one', async () => {
    const port = await freePort();
    const { lines, log } = recorded();
    const bus = openBus(port, { log });
    const heard: string[] = [];
    bus.subscribe('status', {}, ({ body }) => void heard.push(body.id));
    await waitFor(() => expect(bus.report().reason).toContain('ECONNREFUSED'));
    await expect(bus.online(AbortSignal.timeout(90))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(bus.state).toBe('offline');

    closing(await startEmbedded(port));
    await bus.online();
    await bus.publish('status', status);
    await waitFor(() => expect(heard).toEqual(['j1']));
    expect(lines.filter(({ level }) => level >= 40)).toHaveLength(1);
    expect(lines.map(({ msg }) => msg).at(-1)).toBe('broker connected');
  });

  test('what may be lost is dropped and counted, what must arrive is rejected at once', async () => {
    const bus = openBus(await freePort());
    await bus.publish('status', status);
    await expect(bus.publish('alert', alert)).rejects.toEqual(coded('bus.offline'));
    expect(bus.report().counters).toMatchObject({ dropped: 1, failed: 1, published: 0 });
  });

  test('who waits for it is told when the bus closes', async () => {
    const bus = openBus(await freePort());
    const waiting = expect(bus.online()).rejects.toEqual(coded('bus.closed'));
    await bus.close();
    await waiting;
    await expect(bus.online()).rejects.toEqual(coded('bus.closed'));
  });
});

test('a refused password is the reason in the one warning, and the bus keeps trying', async () => {
  const broker = closing(await startEmbedded());
  const { lines, log } = recorded();
  const bus = openBus(broker.port, { password: 'wrong', log });
  await waitFor(() => expect(broker.stats().refusedConnections).toBeGreaterThanOrEqual(6));
  expect(bus.report().reason).toContain('Not authorized');
  expect(lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)).toEqual([expect.stringContaining('Not authorized')]);
});

test('the reason of an outage is its own, not that of the one before', async () => {
  const port = await freePort();
  const { lines, log } = recorded();
  const bus = openBus(port, { log });
  await waitFor(() => expect(bus.report().reason).toContain('ECONNREFUSED'));
  const broker = await startEmbedded(port);
  await bus.online();
  await broker.close();
  const warnings = () => lines.filter(({ level }) => level >= 40).map(({ msg }) => msg);
  await waitFor(() => expect(warnings()).toHaveLength(2));
  expect(warnings()).toEqual([expect.stringContaining('ECONNREFUSED'), expect.stringContaining('the broker closed the connection')]);
});

test('a login with two handlers is acknowledged when both are done', async () => {
  const broker = closing(await startEmbedded());
  const options = { instance: 'two', persistent: true };
  const bus = openBus(broker.port, options);
  const done: string[] = [];
  bus.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void done.push(body.userId));
  bus.subscribe('login', { acknowledge: 'handled' }, () => {
    throw new Error('database away');
  });
  await bus.online();
  const sender = openBus(broker.port);
  await sender.online();
  await sender.publish('login', { userId: 'half done' });
  await waitFor(() => expect(done).toEqual(['half done']));
  await bus.close();

  const next = openBus(broker.port, options);
  const again: string[] = [];
  next.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void again.push(body.userId));
  await next.online();
  await sender.publish('login', { userId: 'last' });
  await waitFor(() => expect(again).toEqual(['half done', 'last']));
});

test('a restarted broker finds its subscriptions and the presence again, without a restart of the service', async () => {
  const first = await startEmbedded();
  const bus = openBus(first.port, { service: 'worker', instance: 'w1', version: '1' });
  const heard: string[] = [];
  bus.subscribe('status', {}, ({ body }) => void heard.push(body.id));
  await bus.online();
  const offline = new Promise((resolve) => bus.onState(resolve));
  await first.close();
  expect(await offline).toBe('offline');

  closing(await startEmbedded(first.port));
  await bus.online();
  await bus.publish('status', status);
  await waitFor(() => expect(heard).toEqual(['j1']));
  const watcher = openBus(first.port);
  const present: string[] = [];
  watcher.subscribe('presence', {}, ({ body }) => void present.push(`${body.instance} ${body.state}`));
  await waitFor(() => expect(present).toContain('w1 online'));
});

describe('a publish', () => {
  test('that the broker answers by hanging up is sent once, not again after every reconnection', async () => {
    const broker = await scriptedBroker((type, _packet, socket) => {
      if (type === PACKET.publish) socket.destroy();
    });
    const bus = openBus(broker.port);
    await bus.online();
    const states: string[] = [];
    bus.onState((state) => states.push(state));
    await expect(bus.publish('alert', alert)).rejects.toEqual(coded('bus.offline'));
    const connections = broker.count(PACKET.connect);
    await waitFor(() => expect(broker.count(PACKET.connect)).toBeGreaterThan(connections));
    await bus.online();
    expect(broker.count(PACKET.publish)).toBe(1);
    // The other connection stayed.
    expect(states).toEqual(['offline', 'online']);
    expect(bus.report().counters).toMatchObject({ published: 0, failed: 1 });
  });

  test('that is never acknowledged ends with its time limit, and makes room for the next', async () => {
    const arrived = Promise.withResolvers<void>();
    const broker = await scriptedBroker((_type, packet) => {
      if (packet.includes('alerts/last')) arrived.resolve();
    });
    const bus = openBus(broker.port, { publishTimeoutMs: 50 });
    await bus.online();
    // More than are let in flight: nothing would ever be sent again if a silent one kept its place.
    const publishes = Array.from({ length: 100 }, () => bus.publish('alert', alert));
    for (const outcome of await Promise.allSettled(publishes))
      expect(outcome).toEqual({ status: 'rejected', reason: coded('bus.timeout') });
    await expect(bus.publish('alert', { ...alert, name: 'last' })).rejects.toEqual(coded('bus.timeout'));
    await arrived.promise;
    expect(bus.report().counters).toMatchObject({ published: 0, failed: 101 });
  });

  test('waits for its turn while 64 are in flight', async () => {
    const held: Buffer[] = [];
    let acknowledgeAtOnce = false;
    const broker = await scriptedBroker((type, packet, socket) => {
      if (type !== PACKET.publish) return;
      const acknowledgement = answerTo(packet);
      if (acknowledgeAtOnce) socket.write(acknowledgement);
      else held.push(acknowledgement);
      if (held.length === 64 && !acknowledgeAtOnce) {
        acknowledgeAtOnce = true;
        setImmediate(() => socket.write(Buffer.concat(held)));
      }
    });
    const bus = openBus(broker.port);
    await bus.online();
    await Promise.all(Array.from({ length: 200 }, () => bus.publish('alert', alert)));
    expect(held).toHaveLength(64);
    expect(bus.report().counters).toMatchObject({ published: 200, failed: 0 });
  });

  test('under way when the connection breaks is rejected, and the bus publishes again afterwards', async () => {
    const broker = closing(await startEmbedded());
    const proxy = await proxyTo(broker.port);
    const bus = openBus(proxy.port);
    await bus.online();
    const outcome = bus.publish('alert', alert).then(
      () => 'published',
      (error) => error.code,
    );
    proxy.cut();
    expect(['bus.offline', 'published']).toContain(await outcome);
    await bus.online();
    await bus.publish('alert', alert);
  });
});

test('a subscription that the broker refuses is tried again until it is granted', async () => {
  let refusals = 2;
  const broker = await scriptedBroker((type, packet, socket) => {
    if (type === PACKET.subscribe) socket.write(answerTo(packet, refusals-- > 0 ? 0x80 : 1));
  });
  const { lines, log } = recorded();
  const bus = openBus(broker.port, { log });
  const subscription = bus.subscribe('job', {}, () => {});
  await bus.online();
  expect(bus.report().subscriptions).toEqual([{ filter: 'stock/+/+', granted: false, waiting: 0 }]);
  await subscription.ready;
  expect(bus.report().subscriptions).toEqual([{ filter: 'stock/+/+', granted: true, waiting: 0 }]);
  expect(broker.count(PACKET.subscribe)).toBe(3);
  expect(lines.filter(({ level }) => level >= 40)).toHaveLength(1);
});

test("a login is acknowledged on the connection that brought it: elsewhere its id may be another message's", async () => {
  const login = (userId: string) => {
    const [topic, payload] = [Buffer.from('events/login'), Buffer.from(JSON.stringify({ userId }))];
    const head = [0x32, 2 + topic.length + 2 + payload.length, 0, topic.length];
    return Buffer.concat([Buffer.from(head), topic, Buffer.from([0, 1]), payload]);
  };
  const users = ['first', 'second'];
  let socketNow: Socket | undefined;
  const broker = await scriptedBroker((type, packet, socket) => {
    if (type !== PACKET.subscribe) return;
    socketNow = socket;
    socket.write(Buffer.concat([answerTo(packet, 1), login(users.shift()!)]));
  });
  const bus = openBus(broker.port, { persistent: true });
  const handling = new Map<string, () => void>();
  bus.subscribe('login', { acknowledge: 'handled' }, ({ body }) => new Promise<void>((resolve) => handling.set(body.userId, resolve)));
  await waitFor(() => expect([...handling.keys()]).toEqual(['first']));
  socketNow!.destroy();
  await waitFor(() => expect([...handling.keys()]).toEqual(['first', 'second']));

  handling.get('first')!();
  await waitFor(() => expect(bus.report().counters.received).toBe(1));
  handling.get('second')!();
  await waitFor(() => expect(bus.report().counters.received).toBe(2));
  await bus.close();
  await waitFor(() => expect(broker.count(PACKET.disconnect)).toBe(2));
  expect(broker.count(PACKET.puback)).toBe(1);
});

test('where shared subscriptions are granted but never delivered to, every member hears every message', async () => {
  // aedes by itself is such a broker.
  const aedes = await Aedes.createBroker();
  const server = createServer(aedes.handle);
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
  closing({
    async close() {
      server.close();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  });
  const bus = openBus(port, { service: 'worker', instance: 'w1', version: '1' });
  const heard: string[] = [];
  bus.subscribe('alert', { shared: 'workers' }, ({ body }) => void heard.push(body.name));
  await bus.online();
  expect(bus.report()).toMatchObject({
    shared: false,
    subscriptions: expect.arrayContaining([{ filter: 'alerts/+', granted: true, waiting: 0 }]),
  });
  await bus.publish('alert', alert);
  await waitFor(() => expect(heard).toEqual(['queue']));
  // One that publishes and one that listens: the one that asked has gone.
  await waitFor(() => expect(aedes.connectedClients).toBe(2));
});

test('a shared subscription that is refused, though sharing works, is made without sharing', async () => {
  const broker = await scriptedBroker((type, packet, socket) => {
    if (type === PACKET.subscribe) socket.write(answerTo(packet, packet.includes('$share/logins-') ? 0x80 : 1));
    // Everybody hears what they send: the probe finds that sharing works.
    if (type === PACKET.publish) socket.write(Buffer.concat([answerTo(packet), asQos0(packet)]));
  });
  const bus = openBus(broker.port, { service: 'portfolio-priority', instance: 'p1', version: '1' });
  bus.subscribe('login', { shared: 'logins', acknowledge: 'handled' }, () => {});
  await bus.online();
  expect(bus.report()).toMatchObject({
    shared: true,
    subscriptions: expect.arrayContaining([{ filter: 'events/login', granted: true, waiting: 0 }]),
  });
});

test('a full queue drops and counts messages that need no acknowledgement', async () => {
  const broker = closing(await startEmbedded());
  const bus = openBus(broker.port);
  const gate = Promise.withResolvers<void>();
  const heard: string[] = [];
  bus.subscribe('status', { concurrency: 1, queueLimit: 2 }, async ({ body }) => {
    await gate.promise;
    heard.push(body.id);
  });
  await bus.online();
  for (const id of ['a', 'b', 'c', 'd', 'e']) await bus.publish('status', { ...status, id });
  await waitFor(() => expect(bus.report().counters.queueFull).toBe(2));
  gate.resolve();
  await waitFor(() => expect(heard).toEqual(['a', 'b', 'c']));
});

describe("the broker's address", () => {
  test('is taken from the url, with a password that needs escaping', async () => {
    const broker = closing(
      await startBroker({
        port: 0,
        accounts: { service: { password: 'p@ss/w%rd:1', role: 'service' } },
        access: loadAccess(),
        log: silent,
      }),
    );
    const bus = openBus(1, {
      url: `mqtt://service:${encodeURIComponent('p@ss/w%rd:1')}@127.0.0.1:${broker.port}`,
      password: 'not this one',
    });
    await bus.online();
  });

  test.each([
    'localhost:1883',
    'http://localhost',
    'mqtt://',
    '',
    'amqp://u:secret@h',
    'mqtt://u:secret%@h',
    'mqtt://%ff:secret@h',
    'toString://u:secret@h',
  ])('is refused when it is none, without repeating its password: %j', (url) => {
    expect(() => openBus(1, { url })).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'bus.invalid_url', message: expect.not.stringContaining('secret') }),
    );
  });

  const openssl = findProgram(['openssl']);
  test.skipIf(openssl === undefined)(
    "may be encrypted: the broker's certificate is checked against the given authority (needs openssl)",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'stockmesh-tls-'));
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
      execFileSync(
        openssl!,
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-keyout',
          key,
          '-out',
          cert,
          '-subj',
          '/CN=broker',
          '-addext',
          'subjectAltName=IP:127.0.0.1',
        ],
        { stdio: 'ignore' },
      );
      const [keyText, ca] = [readFileSync(key, 'utf8'), readFileSync(cert, 'utf8')];
      rmSync(folder, { recursive: true });
      const broker = closing(await startEmbedded());
      const server = createTlsServer({ key: keyText, cert: ca }, (socket) => {
        const onwards = connect(broker.port, '127.0.0.1');
        socket.pipe(onwards).pipe(socket);
        socket.on('error', () => {}).on('close', () => onwards.destroy());
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      closing({ close: async () => void server.close() });
      const { port } = server.address() as { port: number };

      const stranger = openBus(port, { tls: {} });
      await waitFor(() => expect(stranger.report().reason).toMatch(/self.signed certificate/));
      await openBus(port, { tls: { ca } }).online();
    },
  );
});
