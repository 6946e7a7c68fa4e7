/** What arrives, where and how often, whichever of the two brokers runs. */
import { describe, expect, test } from 'vitest';
import { onBothBrokers, payloadsOf, topicsOf, until } from './both-brokers.ts';
import { connectPacket, happens, join, type Peer, rawConnection } from './peers.ts';

onBothBrokers(({ broker, start, listener }) => {
  describe('retained state', () => {
    test('a late subscriber gets the last state, marked as retained', async () => {
      const worker = await join(broker.port, 'service');
      await worker.client.publishAsync('mesh/worker/w7/state', 'starting', { qos: 1, retain: true });
      await worker.client.publishAsync('mesh/worker/w7/state', 'online', { qos: 1, retain: true });
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync('mesh/+/+/state', { qos: 1 });
      const online = { topic: 'mesh/worker/w7/state', payload: 'online', qos: 1, retain: true, dup: false };
      await expect.poll(() => monitor.heard).toContainEqual(online);
    });

    test('an empty payload clears it', async () => {
      const worker = await join(broker.port, 'service');
      await worker.client.publishAsync('mesh/worker/w8/state', 'online', { qos: 1, retain: true });
      await worker.client.publishAsync('mesh/worker/w8/state', '', { qos: 1, retain: true });
      await worker.client.publishAsync('mesh/worker/w9/state', 'online', { qos: 1, retain: true });
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync('mesh/#', { qos: 1 });
      await expect.poll(() => topicsOf(monitor)).toContain('mesh/worker/w9/state');
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
      socket.write(connectPacket('service', 'silent', 1, { will: { topic: 'mesh/worker/silent/state', payload: 'fell silent' } }));
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
      await expect.poll(() => workers.flatMap(payloadsOf).sort()).toEqual(expected(30, 'job'));
      expect(service.heard).toHaveLength(30);
      expect(workers.map(({ heard }) => heard.length)).toEqual([10, 10, 10]);
    });

    test('two groups hear a message once each', async () => {
      const first = await members(2, 'one');
      const second = await members(2, 'two');
      const service = await listener();
      await ring(service, 10, 'job');
      await expect.poll(() => first.flatMap(payloadsOf).sort()).toEqual(expected(10, 'job'));
      await expect.poll(() => second.flatMap(payloadsOf).sort()).toEqual(expected(10, 'job'));
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
      await expect.poll(() => living.flatMap(payloadsOf).sort()).toEqual(expected(20, 'after'));
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
      await expect.poll(() => payloadsOf(staying!).sort()).toEqual(expected(10, 'after'));
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
      for (const subscriber of subscribers) await expect.poll(() => payloadsOf(subscriber), { timeout: 10_000 }).toEqual(payloads);
    });
  });

  test('clients reconnect to a broker that restarts on the same port, and events flow again', async () => {
    const before = await start();
    const started = [before];
    try {
      const service = await join(before.port, 'service', { reconnectPeriod: 20 });
      await service.client.subscribeAsync('events/login', { qos: 1 });
      const hook = await join(before.port, 'hook', { reconnectPeriod: 20 });
      const offline = [happens(service.client, 'close'), happens(hook.client, 'close')];
      await before.close();
      await Promise.all(offline);
      const resubscribed = new Promise<void>((resolve) => service.client.on('packetreceive', ({ cmd }) => cmd === 'suback' && resolve()));
      started.push(await start(before.port));
      await resubscribed;
      await hook.client.publishAsync('events/login', 'after the restart', { qos: 1 });
      await until(service, 'after the restart');
      await Promise.all([service.client.endAsync(true), hook.client.endAsync(true)]);
    } finally {
      for (const running of started) await running.close();
    }
  });
});
