/** What a client may rely on, whichever of the two brokers runs. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { startBroker } from '../../broker/embedded.ts';
import { findMosquitto, startMosquitto } from '../../broker/mosquitto.ts';
import { findProgram } from '../../services/platform/programs.ts';
import { accounts, connectPacket, happens, join, type Peer, rawConnection, refusalOf, silent } from './peers.ts';

const access = loadAccess();
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const brokers = [
  { name: 'embedded', installed: true, start: (port?: number) => startBroker({ port: port ?? 0, accounts, access, log: silent }) },
  {
    name: 'Mosquitto',
    installed: findMosquitto() !== undefined,
    start: (port?: number) => {
      const folder = mkdtempSync(joinPath(tmpdir(), 'stockmesh-mosquitto-'));
      folders.push(folder);
      return startMosquitto({ accounts, access, folder, ...(port === undefined ? {} : { port }) });
    },
  },
];

describe.each(brokers)('$name', ({ name, installed, start }) => {
  if (!installed) {
    test.skip(`${name} is not installed: apt-get install mosquitto`);
    return;
  }
  let broker: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(() => broker.close());

  const topicsOf = ({ heard }: Peer) => heard.map(({ topic }) => topic);
  const payloadsOf = ({ heard }: Peer) => heard.map(({ payload }) => payload);
  const until = (peer: Peer, payload: string) =>
    vi.waitFor(() => expect(payloadsOf(peer)).toContain(payload), { timeout: 10_000, interval: 5 });

  /** A service that hears what happens in the mesh from now on: not the states that other tests left. */
  async function listener(): Promise<Peer> {
    const service = await join(broker.port, 'service', {}, { live: true });
    await service.client.subscribeAsync(['events/login', 'stock/+/+', 'mesh/#', 'control/+', 'alerts/+', 'data/+/+'], { qos: 1 });
    return service;
  }

  describe('accounts', () => {
    test('a wrong password is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, { username: 'service', password: 'wrong' })).toBe(5);
    });

    test('an unknown user is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, { username: 'constructor', password: 'x' })).toBe(5);
    });

    test('a user without a password is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, { username: 'service' })).toBe(5);
    });

    test('an anonymous connection is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, {})).toBe(5);
    });

    test('a second connection with the same client id takes over from the first', async () => {
      const first = await join(broker.port, 'service', { clientId: 'twin' });
      const closed = happens(first.client, 'close');
      const second = await join(broker.port, 'service', { clientId: 'twin' });
      await closed;
      await second.client.subscribeAsync('control/+', { qos: 1 });
      await second.client.publishAsync('control/twin', 'still here', { qos: 1 });
      await until(second, 'still here');
    });
  });

  describe('access', () => {
    test("the hook's login reaches a service", async () => {
      const service = await listener();
      const hook = await join(broker.port, 'hook');
      await hook.client.publishAsync('events/login', '{"userId":"ada"}', { qos: 1 });
      await until(service, '{"userId":"ada"}');
    });

    test.each(['stock/fetch/AAPL', 'control/worker-1', 'mesh/worker/w1/state', 'events/logout', 'events/login/more'])(
      'what the hook publishes on %s is acknowledged and reaches nobody',
      async (topic) => {
        const service = await listener();
        await service.client.subscribeAsync('#', { qos: 1 });
        const hook = await join(broker.port, 'hook');
        await hook.client.publishAsync(topic, 'forged', { qos: 1, retain: true });
        await hook.client.publishAsync(topic, 'forged', { qos: 0 });
        await hook.client.publishAsync(topic, 'forged', { qos: 2 });
        await hook.client.publishAsync('events/login', 'sentinel', { qos: 1 });
        await until(service, 'sentinel');
        expect(payloadsOf(service)).not.toContain('forged');
        const late = await join(broker.port, 'service');
        await late.client.subscribeAsync('#', { qos: 1 });
        await late.client.publishAsync('events/login', 'late sentinel', { qos: 1 });
        await until(late, 'late sentinel');
        expect(payloadsOf(late)).not.toContain('forged');
      },
    );

    test('the hook sees nothing, not even its own events, whatever it subscribes to', async () => {
      const hook = await join(broker.port, 'hook');
      await hook.client.subscribeAsync(['#', 'events/login', 'stock/+/+', '+/+/+', '$SYS/#']);
      const service = await listener();
      await hook.client.publishAsync('events/login', 'mine', { qos: 1 });
      await service.client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
      await until(service, 'mine');
      await until(service, 'job');
      // An answer to a ping comes after everything that was on its way.
      const answered = new Promise<void>((resolve) => hook.client.on('packetreceive', ({ cmd }) => cmd === 'pingresp' && resolve()));
      hook.client.sendPing();
      await answered;
      expect(hook.heard).toEqual([]);
    });

    test('the monitor sees every job on stock/+/+', async () => {
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync('stock/+/+', { qos: 1 });
      const service = await join(broker.port, 'service');
      const jobs = ['stock/fetch/AAPL', 'stock/fetch/batch', 'stock/analysis/BRK_2EB', 'stock/picks/ada'];
      for (const topic of jobs) await service.client.publishAsync(topic, 'job', { qos: 1 });
      await vi.waitFor(() => expect(topicsOf(monitor)).toEqual(jobs));
    });

    test('what the monitor publishes is acknowledged and reaches nobody', async () => {
      const service = await listener();
      const monitor = await join(broker.port, 'monitor');
      for (const topic of ['stock/fetch/AAPL', 'events/login', 'mesh/stats'])
        await monitor.client.publishAsync(topic, 'forged', { qos: 1 });
      // Its own order to the same receiver is the only proof, so the sentinel follows once all three are acknowledged.
      await service.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(payloadsOf(service)).not.toContain('forged');
    });

    test('a monitor that subscribes to # sees what it may and nothing else', async () => {
      const service = await join(broker.port, 'service');
      await service.client.publishAsync('control/worker-9', 'retained secret', { qos: 1, retain: true });
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync(['#', '+/+', 'control/+', 'events/#'], { qos: 1 });
      for (const topic of ['control/worker-1', 'events/login', 'stock/fetch/AAPL', 'mesh/worker/w1/state', 'alerts/depth'])
        await service.client.publishAsync(topic, topic, { qos: 1 });
      await vi.waitFor(() => expect(payloadsOf(monitor)).toContain('alerts/depth'));
      expect(new Set(topicsOf(monitor))).toEqual(new Set(['stock/fetch/AAPL', 'mesh/worker/w1/state', 'alerts/depth']));
      await service.client.publishAsync('control/worker-9', '', { qos: 1, retain: true });
    });

    test("nobody sees the broker's own $SYS topics", async () => {
      const service = await listener();
      await service.client.subscribeAsync(['$SYS/#'], { qos: 1 });
      await join(broker.port, 'monitor');
      await service.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(topicsOf(service).filter((topic) => topic.startsWith('$'))).toEqual([]);
    });

    const tools = findProgram(['mosquitto_sub']) !== undefined && findProgram(['mosquitto_pub']) !== undefined;
    test.skipIf(!tools)('the command line tools watch as monitor and sign in as hook', async () => {
      const account = (user: string) => ['-p', `${broker.port}`, '-u', user, '-P', accounts[user]!.password];
      const service = await listener();
      await promisify(execFile)('mosquitto_pub', [...account('hook'), '-t', 'events/login', '-m', '{"userId":"bob"}', '-q', '1']);
      await until(service, '{"userId":"bob"}');
      const watch = spawn('mosquitto_sub', [...account('monitor'), '-t', 'stock/+/+', '-v', '-C', '1'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let shown = '';
      watch.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        shown += chunk;
      });
      const ended = once(watch, 'exit');
      // It does not say when its subscription stands, and ends with the first message.
      await vi.waitFor(async () => {
        await service.client.publishAsync('stock/fetch/AAPL', '{"why":"login"}', { qos: 1 });
        expect(watch.exitCode).toBe(0);
      });
      await ended;
      expect(shown).toContain('stock/fetch/AAPL {"why":"login"}');
    });
  });

  describe('size', () => {
    test('a payload of 64 KiB is delivered, one byte more is acknowledged and dropped, and the connection goes on', async () => {
      const service = await listener();
      const hook = await join(broker.port, 'hook');
      await hook.client.publishAsync('events/login', 'x'.repeat(65_537), { qos: 1 });
      await hook.client.publishAsync('events/login', 'y'.repeat(65_536), { qos: 1 });
      await hook.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(service.heard.map(({ payload }) => `${payload[0]}${payload.length}`)).toEqual(['y65536', 's8']);
    });

    test.each([0, 1, 2] as const)(
      'a publish of 1 MB at QoS %i is not delivered, not retained, and harms neither its sender nor others',
      async (qos) => {
        const service = await listener();
        const other = await join(broker.port, 'service');
        const sender = await join(broker.port, 'service');
        const topic = `mesh/worker/large-${qos}/state`;
        const published = sender.client.publishAsync(topic, Buffer.alloc(1_000_000, 'x'), { qos, retain: true });
        await other.client.publishAsync('events/login', 'meanwhile', { qos: 1 });
        await published;
        await sender.client.publishAsync('events/login', 'afterwards', { qos: 1 });
        await until(service, 'afterwards');
        await until(service, 'meanwhile');
        expect(topicsOf(service)).toEqual(['events/login', 'events/login']);
        const late = await join(broker.port, 'service');
        await late.client.subscribeAsync(['mesh/#', 'events/login'], { qos: 1 });
        await late.client.publishAsync('events/login', 'sentinel', { qos: 1 });
        await until(late, 'sentinel');
        expect(topicsOf(late)).not.toContain(topic);
      },
    );

    test('garbage instead of MQTT ends its own connection only', async () => {
      const service = await listener();
      const socket = await rawConnection(broker.port);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await closed;
      await service.client.publishAsync('events/login', 'goes on', { qos: 1 });
      await until(service, 'goes on');
    });

    test('a subscriber that stops reading keeps nothing from the others', async () => {
      const frozen = await join(broker.port, 'service');
      await frozen.client.subscribeAsync('data/+/+', { qos: 0 });
      frozen.client.stream.unpipe();
      frozen.client.stream.pause();
      const service = await listener();
      const publisher = await join(broker.port, 'service');
      const payload = 'x'.repeat(60_000);
      for (let i = 0; i < 300; i++) publisher.client.publish('data/AAPL/bars', payload);
      await publisher.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(service.heard).toHaveLength(301);
    });
  });

  describe('retained state', () => {
    test('a late subscriber gets the last state, marked as retained', async () => {
      const worker = await join(broker.port, 'service');
      await worker.client.publishAsync('mesh/worker/w7/state', 'starting', { qos: 1, retain: true });
      await worker.client.publishAsync('mesh/worker/w7/state', 'online', { qos: 1, retain: true });
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync('mesh/+/+/state', { qos: 1 });
      await vi.waitFor(() =>
        expect(monitor.heard).toContainEqual({ topic: 'mesh/worker/w7/state', payload: 'online', qos: 1, retain: true, dup: false }),
      );
    });

    test('an empty payload clears it', async () => {
      const worker = await join(broker.port, 'service');
      await worker.client.publishAsync('mesh/worker/w8/state', 'online', { qos: 1, retain: true });
      await worker.client.publishAsync('mesh/worker/w8/state', '', { qos: 1, retain: true });
      await worker.client.publishAsync('mesh/worker/w9/state', 'online', { qos: 1, retain: true });
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync('mesh/#', { qos: 1 });
      await vi.waitFor(() => expect(topicsOf(monitor)).toContain('mesh/worker/w9/state'));
      expect(topicsOf(monitor)).not.toContain('mesh/worker/w8/state');
    });

    test('a retained message and the plain one written right after it both arrive, in order', async () => {
      const service = await listener();
      const publisher = await join(broker.port, 'service');
      publisher.client.stream.cork();
      publisher.client.publish('mesh/worker/w1/state', 'retained', { qos: 0, retain: true });
      publisher.client.publish('data/AAPL/bars', 'plain', { qos: 0 });
      publisher.client.stream.uncork();
      await until(service, 'plain');
      expect(payloadsOf(service)).toEqual(['retained', 'plain']);
    });

    test('encoded topic levels arrive as they were sent', async () => {
      const service = await listener();
      await service.client.publishAsync('stock/fetch/BRK_2EB', 'encoded', { qos: 1 });
      await until(service, 'encoded');
      expect(topicsOf(service)).toEqual(['stock/fetch/BRK_2EB']);
    });
  });

  describe('last wills', () => {
    const will = (instance: string) => ({
      topic: `mesh/worker/${instance}/state`,
      payload: Buffer.from(`offline ${instance}`),
      qos: 1 as const,
      retain: true,
    });

    test('a connection that breaks publishes its will, and it is retained', async () => {
      const service = await listener();
      const worker = await join(broker.port, 'service', { will: will('broken') });
      worker.client.stream.destroy();
      await until(service, 'offline broken');
      const late = await join(broker.port, 'service');
      await late.client.subscribeAsync('mesh/worker/broken/state', { qos: 1 });
      await until(late, 'offline broken');
    });

    test('a clean end publishes none', async () => {
      const service = await listener();
      const worker = await join(broker.port, 'service', { will: will('clean') });
      await worker.client.endAsync();
      const another = await join(broker.port, 'service', { will: will('marker') });
      another.client.stream.destroy();
      await until(service, 'offline marker');
      expect(payloadsOf(service)).toEqual(['offline marker']);
    });

    test('a client that falls silent is cut after one and a half keep-alives, and its will published', async () => {
      const service = await listener();
      const socket = await rawConnection(broker.port);
      socket.write(connectPacket('service', 'silent', 1, { topic: 'mesh/worker/silent/state', payload: 'fell silent' }));
      await until(service, 'fell silent');
    });

    test('a will on a topic that the account may not publish reaches nobody', async () => {
      const service = await listener();
      const hook = await join(broker.port, 'hook', { will: will('forged') });
      hook.client.stream.destroy();
      const worker = await join(broker.port, 'service', { will: will('genuine') });
      worker.client.stream.destroy();
      await until(service, 'offline genuine');
      expect(payloadsOf(service)).toEqual(['offline genuine']);
    });
  });

  describe('shared subscriptions', () => {
    async function members(count: number, group: string): Promise<Peer[]> {
      const peers = await Promise.all(Array.from({ length: count }, () => join(broker.port, 'service')));
      for (const { client } of peers) await client.subscribeAsync(`$share/${group}/stock/fetch/+`, { qos: 1 });
      return peers;
    }
    const ring = async (from: Peer, count: number, label: string) => {
      for (let i = 0; i < count; i++) await from.client.publishAsync('stock/fetch/AAPL', `${label} ${i}`, { qos: 1 });
    };
    const expected = (count: number, label: string) => Array.from({ length: count }, (_, i) => `${label} ${i}`).sort();

    test('each message reaches exactly one member, every member has its turn, and others hear all', async () => {
      const workers = await members(3, 'turns');
      const service = await listener();
      await ring(service, 30, 'job');
      await vi.waitFor(() => expect(workers.flatMap(payloadsOf).sort()).toEqual(expected(30, 'job')));
      expect(service.heard).toHaveLength(30);
      expect(workers.map(({ heard }) => heard.length)).toEqual([10, 10, 10]);
    });

    test('two groups hear a message once each', async () => {
      const first = await members(2, 'one');
      const second = await members(2, 'two');
      const service = await listener();
      await ring(service, 10, 'job');
      await vi.waitFor(() => expect(first.flatMap(payloadsOf).sort()).toEqual(expected(10, 'job')));
      await vi.waitFor(() => expect(second.flatMap(payloadsOf).sort()).toEqual(expected(10, 'job')));
    });

    test('when a member dies the others get all that follows', async () => {
      const [dying, ...living] = await members(3, 'dying');
      const will = { topic: 'mesh/worker/dying/state', payload: Buffer.from('dead') };
      const companion = await join(broker.port, 'service', { will });
      const service = await listener();
      dying!.client.stream.destroy();
      companion.client.stream.destroy();
      await until(service, 'dead');
      await ring(service, 20, 'after');
      await vi.waitFor(() => expect(living.flatMap(payloadsOf).sort()).toEqual(expected(20, 'after')));
      expect(dying!.heard).toEqual([]);
    });

    test('a member that unsubscribes gets no more, and its plain subscription stays', async () => {
      const [leaving, staying] = await members(2, 'leaving');
      await leaving!.client.subscribeAsync('stock/analysis/+', { qos: 1 });
      await leaving!.client.unsubscribeAsync('$share/leaving/stock/fetch/+');
      const service = await listener();
      await ring(service, 10, 'after');
      await service.client.publishAsync('stock/analysis/AAPL', 'plain', { qos: 1 });
      await until(leaving!, 'plain');
      await vi.waitFor(() => expect(payloadsOf(staying!).sort()).toEqual(expected(10, 'after')));
      expect(payloadsOf(leaving!)).toEqual(['plain']);
    });

    test('a member whose session outlives its connection gets at QoS 1 what came while nobody was there', async () => {
      const session = { clientId: 'kept-member', clean: false };
      const first = await join(broker.port, 'service', session);
      await first.client.subscribeAsync('$share/kept/stock/fetch/+', { qos: 1 });
      await first.client.endAsync();
      const service = await join(broker.port, 'service');
      await ring(service, 3, 'missed');
      const again = await join(broker.port, 'service', session);
      await until(again, 'missed 2');
      await ring(service, 2, 'live');
      await until(again, 'live 1');
      expect(payloadsOf(again)).toEqual([...expected(3, 'missed'), ...expected(2, 'live')]);
      await again.client.unsubscribeAsync('$share/kept/stock/fetch/+');
    });

    test('a group shows a monitor nothing that it may not see', async () => {
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync(['$share/watch/control/+', '$share/watch/stock/fetch/+'], { qos: 1 });
      const service = await listener();
      await service.client.publishAsync('control/worker-1', 'secret', { qos: 1 });
      await service.client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
      await until(monitor, 'job');
      expect(payloadsOf(monitor)).toEqual(['job']);
    });
  });

  describe('sessions', () => {
    test('a session that outlives its connection gets at QoS 1 what it missed, once', async () => {
      const session = { clientId: 'keeps-its-session', clean: false };
      const first = await join(broker.port, 'service', session);
      await first.client.subscribeAsync('stock/fetch/+', { qos: 1 });
      await first.client.endAsync();
      const service = await join(broker.port, 'service');
      for (const payload of ['one', 'two', 'three']) await service.client.publishAsync('stock/fetch/AAPL', payload, { qos: 1 });
      const again = await join(broker.port, 'service', session);
      await until(again, 'three');
      expect(payloadsOf(again)).toEqual(['one', 'two', 'three']);
      await again.client.publishAsync('stock/fetch/AAPL', 'live', { qos: 1 });
      await until(again, 'live');
      expect(payloadsOf(again)).toEqual(['one', 'two', 'three', 'live']);
    });

    test('what a session had not acknowledged is sent again, and marked so', async () => {
      const session = { clientId: 'slow-to-acknowledge', clean: false };
      const first = await join(broker.port, 'service', session);
      await first.client.subscribeAsync('stock/fetch/+', { qos: 1 });
      const arrived = new Promise<void>((resolve) => {
        first.client.handleMessage = () => resolve();
      });
      const service = await join(broker.port, 'service');
      await service.client.publishAsync('stock/fetch/AAPL', 'unacknowledged', { qos: 1 });
      await arrived;
      first.client.stream.destroy();
      const again = await join(broker.port, 'service', session);
      await until(again, 'unacknowledged');
      expect(again.heard).toMatchObject([{ payload: 'unacknowledged', dup: true }]);
    });

    test('a thousand messages in one go reach three subscribers, in order', async () => {
      const subscribers = await Promise.all([listener(), listener(), listener()]);
      const hook = await join(broker.port, 'hook');
      const payloads = Array.from({ length: 1000 }, (_, i) => `login ${i}`);
      await Promise.all(payloads.map((payload) => hook.client.publishAsync('events/login', payload, { qos: 1 })));
      for (const subscriber of subscribers) await vi.waitFor(() => expect(payloadsOf(subscriber)).toEqual(payloads), { timeout: 10_000 });
    });
  });

  test('clients reconnect to a broker that restarts on the same port, and events flow again', async () => {
    const before = await start();
    const service = await join(before.port, 'service', { reconnectPeriod: 20 });
    await service.client.subscribeAsync('events/login', { qos: 1 });
    const hook = await join(before.port, 'hook', { reconnectPeriod: 20 });
    const offline = [happens(service.client, 'close'), happens(hook.client, 'close')];
    await before.close();
    await Promise.all(offline);
    const resubscribed = new Promise<void>((resolve) => service.client.on('packetreceive', ({ cmd }) => cmd === 'suback' && resolve()));
    const after = await start(before.port);
    try {
      await resubscribed;
      await hook.client.publishAsync('events/login', 'after the restart', { qos: 1 });
      await until(service, 'after the restart');
    } finally {
      await Promise.all([service.client.endAsync(true), hook.client.endAsync(true)]);
      await after.close();
    }
  });
});
