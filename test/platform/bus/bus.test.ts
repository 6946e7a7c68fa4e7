/** What the services rely on, on both brokers. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Received } from '../../../services/platform/bus/bus.ts';
import { InputError, type PermanentError } from '../../../services/platform/errors.ts';
import type { Draft } from '../../../services/platform/messages.ts';
import { onEachBroker } from '../../broker/brokers.ts';
import { join } from '../../broker/peers.ts';
import { openBus, proxyTo } from './brokers.ts';

const AT = '2026-01-02T14:30:00Z';
const job = (id: string, symbol = 'AAPL'): Draft<'job'> => ({
  id,
  type: 'fetch',
  queue: 'foreground',
  priority: 1,
  score: 0.5,
  why: { text: 'no prices yet' },
  symbol,
  triggered_by: 'user_login',
  enqueued_at: AT,
});
const status = (id: string): Draft<'status'> => ({ id, type: 'fetch', state: 'running', attempt: 1, at: AT });
const userIds = (count: number) => Array.from({ length: count }, (_, n) => `u${n}`);
const waitFor = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

onEachBroker(({ start, window }) => {
  let broker: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(() => broker.close());

  test('what one service publishes another handles, on the topic that everybody can follow', async () => {
    const sender = openBus(broker.port);
    const listener = openBus(broker.port);
    const heard: Received<'job'>[] = [];
    listener.subscribe('job', {}, (message) => void heard.push(message));
    const monitor = await join(broker.port, 'monitor');
    await monitor.client.subscribeAsync('stock/+/+');
    await Promise.all([sender.online(), listener.online()]);

    await sender.publish('job', job('j1', 'BRK.B'));

    await waitFor(() => expect(heard).toHaveLength(1));
    expect(heard[0]).toEqual({
      kind: 'job',
      params: { area: 'fetch', key: 'BRK.B' },
      body: { v: 1, ...job('j1', 'BRK.B') },
      unknownFields: 0,
      retained: false,
      redelivered: false,
    });
    await waitFor(() => expect(monitor.heard.map(({ topic }) => topic)).toEqual(['stock/fetch/BRK_2EB']));
  });

  test('a filter narrowed by a level hears only that level', async () => {
    const bus = openBus(broker.port);
    const heard: string[] = [];
    bus.subscribe('status', { params: { id: 'j2' } }, ({ body }) => void heard.push(body.id));
    await bus.online();
    for (const id of ['j1', 'j2', 'j3', 'j2']) await bus.publish('status', status(id));
    await waitFor(() => expect(heard).toEqual(['j2', 'j2']));
  });

  test('who only hears is called for every message, also for one that cannot be read', async () => {
    const bus = openBus(broker.port);
    let heard = 0;
    const ear = bus.onDoorbell('job', () => heard++);
    await bus.online();
    await bus.publish('job', job('j1'));
    const stranger = await join(broker.port, 'service');
    await stranger.client.publishAsync('stock/fetch/AAPL', 'no JSON', { qos: 1 });
    await waitFor(() => expect(heard).toBe(2));
    await ear.close();
    await bus.publish('job', job('j2'));
    expect(heard).toBe(2);
  });

  test('what is heard can be read; what cannot be read is counted as refused', async () => {
    const bus = openBus(broker.port);
    const read: (string | undefined)[] = [];
    bus.onDoorbell('job', (message) => void read.push(message.read()?.id));
    await bus.online();
    await bus.publish('job', job('j1'));
    const stranger = await join(broker.port, 'service');
    await stranger.client.publishAsync('stock/fetch/AAPL', 'no JSON', { qos: 1 });
    await waitFor(() => expect(read).toEqual(['j1', undefined]));
    expect(bus.report().counters).toMatchObject({ received: 2, refused: 1 });
  });

  test('a closed subscription hears nothing more, the others go on', async () => {
    const bus = openBus(broker.port);
    const [first, second]: string[][] = [[], []];
    const closed = bus.subscribe('job', {}, ({ body }) => void first!.push(body.id));
    bus.subscribe('job', {}, ({ body }) => void second!.push(body.id));
    await bus.online();
    await bus.publish('job', job('j1'));
    await waitFor(() => expect(second).toEqual(['j1']));
    await closed.close();
    await bus.publish('job', job('j2'));
    await waitFor(() => expect(second).toEqual(['j1', 'j2']));
    expect(first).toEqual(['j1']);
  });

  test('handlers run side by side up to their number, and a handler may publish and wait for it', async () => {
    const bus = openBus(broker.port);
    let running = 0;
    let most = 0;
    let handled = 0;
    bus.subscribe('job', { concurrency: 3 }, async ({ body }) => {
      most = Math.max(most, ++running);
      await bus.publish('alert', { name: body.id, state: 'cleared', value: 0, threshold: 1, since: AT, text: 'fine' });
      running--;
      handled++;
    });
    await bus.online();
    await Promise.all(userIds(30).map((id) => bus.publish('job', job(id))));
    await waitFor(() => expect(handled).toBe(30));
    expect(most).toBe(3);
  });

  describe('a login', () => {
    const persistent = (instance: string) => openBus(broker.port, { instance, persistent: true });

    test('can wait for a commit together with as many others as the broker sends at once', async () => {
      const bus = persistent('batch');
      const batch: string[] = [];
      const commit = Promise.withResolvers<void>();
      bus.subscribe('login', { acknowledge: 'handled', concurrency: 2000 }, async ({ body }) => {
        batch.push(body.userId);
        await commit.promise;
      });
      await bus.online();
      const sender = openBus(broker.port);
      await sender.online();
      await Promise.all(userIds(window).map((userId) => sender.publish('login', { userId })));
      await waitFor(() => expect(batch).toHaveLength(window));
      expect(new Set(batch).size).toBe(window);
      commit.resolve();
      await waitFor(() => expect(bus.report().counters.received).toBe(window));
    });

    test('comes again to the next start when it was not handled, and does not when it was', async () => {
      const first = persistent('restart');
      const seen: string[] = [];
      first.subscribe('login', { acknowledge: 'handled' }, ({ body }) => {
        seen.push(body.userId);
        if (body.userId !== 'u1') throw new Error('database away');
      });
      await first.online();
      const sender = openBus(broker.port);
      await sender.online();
      for (const userId of userIds(3)) await sender.publish('login', { userId });
      await waitFor(() => expect(new Set(seen)).toEqual(new Set(userIds(3))));
      await first.close();
      await sender.publish('login', { userId: 'while away' });

      const second = persistent('restart');
      const again: string[] = [];
      second.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void again.push(body.userId));
      await second.online();
      await sender.publish('login', { userId: 'last' });
      await waitFor(() => expect(again).toContain('last'));
      expect(again.toSorted()).toEqual(['last', 'u0', 'u2', 'while away']);
    });

    test('that fails is tried again without a reconnection until it succeeds', async () => {
      const bus = persistent('retry');
      const redelivered: boolean[] = [];
      bus.subscribe('login', { acknowledge: 'handled' }, (message) => {
        redelivered.push(message.redelivered);
        if (redelivered.length < 3) throw new Error('database away');
      });
      await bus.online();
      await bus.publish('login', { userId: 'u1' });
      await waitFor(() => expect(bus.report().counters).toMatchObject({ received: 1, handlerFailed: 2 }));
      expect(redelivered).toEqual([false, false, false]);
    });

    test('that is malformed or refused is told to the caller, acknowledged, and never comes again', async () => {
      const first = persistent('refuse');
      const refused: string[] = [];
      const options = { acknowledge: 'handled', onRefused: (error: InputError | PermanentError) => void refused.push(error.code) } as const;
      first.subscribe('login', options, ({ body }) => {
        if (body.userId === 'nobody') throw new InputError('user.unknown', 'unknown user "nobody"');
      });
      await first.online();
      const hook = await join(broker.port, 'hook');
      for (const payload of ['not json', '{"userId":7}', '{"userId":"nobody"}', '{"userId":"u1"}']) {
        await hook.client.publishAsync('events/login', payload, { qos: 1 });
      }
      await waitFor(() => expect(first.report().counters.received).toBe(1));
      expect(refused.toSorted()).toEqual(['message.invalid', 'message.invalid_json', 'user.unknown']);
      expect(first.report().counters.refused).toBe(3);
      await first.close();

      const second = persistent('refuse');
      const again: string[] = [];
      second.subscribe('login', options, ({ body }) => void again.push(body.userId));
      await second.online();
      await hook.client.publishAsync('events/login', '{"userId":"last"}', { qos: 1 });
      await waitFor(() => expect(again).toEqual(['last']));
      expect(refused).toHaveLength(3);
    });

    test('may be acknowledged in any order', async () => {
      const first = persistent('order');
      const waiting: (() => void)[] = [];
      first.subscribe('login', { acknowledge: 'handled', concurrency: 20 }, () => new Promise<void>((resolve) => waiting.push(resolve)));
      await first.online();
      const sender = openBus(broker.port);
      await sender.online();
      for (const userId of userIds(10)) await sender.publish('login', { userId });
      await waitFor(() => expect(waiting).toHaveLength(10));
      for (const done of waiting.reverse()) {
        done();
        await nextTurn();
      }
      await waitFor(() => expect(first.report().counters.received).toBe(10));
      await first.close();

      const second = persistent('order');
      const again: string[] = [];
      second.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void again.push(body.userId));
      await second.online();
      await sender.publish('login', { userId: 'last' });
      await waitFor(() => expect(again).toEqual(['last']));
    });

    test('that is being handled when the connection breaks is handled once and acknowledged on the next connection', async () => {
      const proxy = await proxyTo(broker.port);
      const bus = openBus(proxy.port, { instance: 'cut', persistent: true });
      const started: string[] = [];
      const commit = Promise.withResolvers<void>();
      bus.subscribe('login', { acknowledge: 'handled', concurrency: 20 }, async ({ body }) => {
        started.push(body.userId);
        await commit.promise;
      });
      await bus.online();
      const sender = openBus(broker.port);
      await sender.online();
      for (const userId of userIds(5)) await sender.publish('login', { userId });
      await waitFor(() => expect(started).toHaveLength(5));
      const offline = new Promise((resolve) => bus.onState(resolve));
      proxy.cut();
      await offline;
      await bus.online();
      await sender.publish('login', { userId: 'after the cut' });
      await waitFor(() => expect(started).toContain('after the cut'));
      commit.resolve();
      await waitFor(() => expect(bus.report().counters.received).toBe(6));
      expect(started).toHaveLength(6);
      await bus.close();

      const next = persistent('cut');
      const again: string[] = [];
      next.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void again.push(body.userId));
      await next.online();
      await sender.publish('login', { userId: 'last' });
      await waitFor(() => expect(again).toEqual(['last']));
    });

    test('that came while the service was away waits for its subscription, however late that is made', async () => {
      const first = persistent('late');
      first.subscribe('login', { acknowledge: 'handled' }, () => {});
      await first.online();
      await first.close();
      const sender = openBus(broker.port);
      await sender.online();
      await sender.publish('login', { userId: 'while away' });

      const second = persistent('late');
      await second.online();
      await sender.publish('login', { userId: 'not subscribed yet' });
      const heard: string[] = [];
      second.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void heard.push(body.userId));
      await waitFor(() => expect([...new Set(heard)].toSorted()).toEqual(['not subscribed yet', 'while away']));
    });

    test('that comes while its subscription is stopped stays with the broker, and the stop waits for running handlers only', async () => {
      const first = persistent('stopped');
      const running = Promise.withResolvers<void>();
      const seen: string[] = [];
      const logins = first.subscribe('login', { acknowledge: 'handled', concurrency: 1 }, async ({ body }) => {
        seen.push(body.userId);
        await running.promise;
      });
      await first.online();
      const sender = openBus(broker.port);
      await sender.online();
      await sender.publish('login', { userId: 'u1' });
      await waitFor(() => expect(seen).toEqual(['u1']));
      await sender.publish('login', { userId: 'u2' });
      await waitFor(() => expect(first.report().subscriptions.find(({ filter }) => filter === 'events/login')?.waiting).toBe(2));
      let hasStopped = false;
      const stopped = logins.stop().then(() => {
        hasStopped = true;
      });
      await sender.publish('login', { userId: 'u3' });
      expect(hasStopped).toBe(false);
      running.resolve();
      await stopped;
      await first.close();
      await sender.publish('login', { userId: 'u4' });
      expect(seen).toEqual(['u1']);

      const second = persistent('stopped');
      const later: string[] = [];
      second.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void later.push(body.userId));
      await waitFor(() => expect(later.toSorted()).toEqual(['u2', 'u3', 'u4']));
    });

    test('does not wait for a member of a group that has left, the other one gets all', async () => {
      const seen: string[] = [];
      const member = (instance: string) => {
        const bus = openBus(broker.port, { instance, persistent: true, version: '1' });
        const logins = bus.subscribe('login', { acknowledge: 'handled', shared: 'group' }, ({ body }) => void seen.push(body.userId));
        return { bus, logins };
      };
      const [leaving, staying] = [member('leaving'), member('staying')];
      await Promise.all([leaving.bus.online(), staying.bus.online()]);
      await leaving.logins.leave();
      await leaving.bus.close();
      const sender = openBus(broker.port);
      await sender.online();
      await Promise.all(userIds(20).map((userId) => sender.publish('login', { userId })));
      await waitFor(() => expect(seen.toSorted()).toEqual(userIds(20).sort()));
    });

    test('is kept while the service is away, a control message to the service is not', async () => {
      const controls: string[] = [];
      const logins: string[] = [];
      const start = () => {
        const bus = persistent('away');
        bus.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void logins.push(body.userId));
        bus.subscribe('control', { params: { instance: 'away' } }, ({ body }) => void controls.push(body.action));
        return bus;
      };
      const first = start();
      await first.online();
      await first.close();
      const sender = openBus(broker.port);
      await sender.online();
      await sender.publish('control', { instance: 'away', action: 'drain' });
      await sender.publish('login', { userId: 'u1' });
      await start().online();
      await sender.publish('control', { instance: 'away', action: 'reload' });
      await waitFor(() => expect([logins, controls.at(-1)]).toEqual([['u1'], 'reload']));
      expect(controls).toEqual(['reload']);
    });

    test('that finds the queue full is asked for again when there is room', async () => {
      const bus = persistent('full');
      const handled = new Set<string>();
      const gate = Promise.withResolvers<void>();
      bus.subscribe('login', { acknowledge: 'handled', concurrency: 1, queueLimit: 1 }, async ({ body }) => {
        await gate.promise;
        handled.add(body.userId);
      });
      await bus.online();
      const sender = openBus(broker.port);
      await sender.online();
      for (const userId of userIds(4)) await sender.publish('login', { userId });
      await waitFor(() => expect(bus.report().counters.queueFull).toBe(2));
      gate.resolve();
      await waitFor(() => expect([...handled].toSorted()).toEqual(userIds(4)));
    });
  });

  describe('a shared subscription', () => {
    test('deals each message to one member, after the broker has proved that it can', async () => {
      const heard: Record<string, string[]> = { a: [], b: [] };
      const members = ['a', 'b'].map((instance) => openBus(broker.port, { service: 'worker', instance, version: '1' }));
      members.forEach((bus, at) => {
        bus.subscribe('job', { shared: 'workers' }, ({ body }) => void heard['ab'[at]!]!.push(body.id));
      });
      await Promise.all(members.map((bus) => bus.online()));
      expect(members.map((bus) => bus.report().shared)).toEqual([true, true]);
      const ids = userIds(20);
      await Promise.all(ids.map((id) => members[0]!.publish('job', job(id))));
      await waitFor(() => expect(heard.a!.length + heard.b!.length).toBe(20));
      expect([...heard.a!, ...heard.b!].toSorted()).toEqual(ids.toSorted());
      expect(heard.a!.length).toBeGreaterThan(0);
      expect(heard.b!.length).toBeGreaterThan(0);
    });
  });
});
