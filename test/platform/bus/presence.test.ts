import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createPresence, publishOnline, watchPresence } from '../../../services/platform/bus/presence.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import type { Body, Draft } from '../../../services/platform/messages.ts';
import { encodeMessage } from '../../../services/platform/messages.ts';
import { onEachBroker, startEmbedded } from '../../broker/brokers.ts';
import { join, silent } from '../../broker/peers.ts';
import { openBus, proxyTo } from './brokers.ts';

const waitFor = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

onEachBroker(({ start }) => {
  let broker: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(() => broker.close());

  /** What a watcher is told of one instance. */
  async function watch(instance: string): Promise<Body<'presence'>[]> {
    const told: Body<'presence'>[] = [];
    const bus = openBus(broker.port);
    watchPresence(bus, (state) => {
      if (state.instance === instance) told.push(state);
    });
    await bus.online();
    return told;
  }
  const worker = (instance: string, port = broker.port) => openBus(port, { service: 'worker', instance, version: '0.1.0' });
  const states = (told: Body<'presence'>[]) => told.map(({ state }) => state);

  test('a service is online for those who come later, and offline after a clean end', async () => {
    const bus = worker('clean');
    await bus.online();
    let told: Body<'presence'>[] = [];
    await waitFor(() => expect(bus.report().counters.published).toBe(1));
    told = await watch('clean');
    await waitFor(() =>
      expect(told).toMatchObject([{ service: 'worker', state: 'online', session: bus.session, version: '0.1.0', pid: process.pid }]),
    );
    await bus.close();
    await waitFor(() => expect(told.at(-1)).toMatchObject({ state: 'offline', session: bus.session }));
    const late = await watch('clean');
    await waitFor(() => expect(states(late)).toEqual(['offline']));
  });

  test('a service that vanishes is offline by its last will, and online again when it is back', async () => {
    const proxy = await proxyTo(broker.port);
    const bus = worker('vanishing', proxy.port);
    const told = await watch('vanishing');
    await waitFor(() => expect(states(told)).toEqual(['online']));
    proxy.cut();
    await waitFor(() => expect(states(told)).toContain('offline'));
    await waitFor(() => expect(states(told).at(-1)).toBe('online'));
    expect(new Set(told.map(({ session }) => session))).toEqual(new Set([bus.session]));
  });

  test('each start is a session of its own, and the will of an earlier one is ignored', async () => {
    const told = await watch('twice');
    const first = worker('twice');
    await waitFor(() => expect(told).toHaveLength(1));
    const second = worker('twice');
    await waitFor(() => expect(told.map(({ session }) => session)).toEqual([first.session, second.session]));
    await first.close();
    await second.close();
    await waitFor(() => expect(told.at(-1)!.state).toBe('offline'));
    expect(told.map(({ state, session }) => [state, session])).toEqual([
      ['online', first.session],
      ['online', second.session],
      ['offline', second.session],
    ]);
  });

  test('a will that comes after the return is contradicted by the living service', async () => {
    const bus = worker('undead');
    const told = await watch('undead');
    await waitFor(() => expect(states(told)).toEqual(['online']));
    const peer = await join(broker.port, 'service');
    const { at: _, ...will }: Draft<'presence'> = {
      service: 'worker',
      instance: 'undead',
      state: 'offline',
      session: bus.session!,
      version: '0.1.0',
      at: '',
    };
    const { topic, payload } = encodeMessage('presence', { ...will, at: '2026-01-02T14:30:00Z' });
    await peer.client.publishAsync(topic, payload, { qos: 1, retain: true });
    await waitFor(() => expect(states(told)).toEqual(['online', 'offline', 'online']));
  });

  test('changes of the load are published, the newest last, however many there are', async () => {
    const bus = worker('busy');
    const told = await watch('busy');
    await waitFor(() => expect(told).toHaveLength(1));
    for (let running = 0; running <= 200; running++) bus.updatePresence({ capacity: 5, running });
    await waitFor(() => expect(told.at(-1)).toMatchObject({ state: 'online', capacity: 5, running: 200 }));
    expect(told.length).toBeLessThanOrEqual(3);
  });

  test('a state is told when the one before was handled', async () => {
    const first = Promise.withResolvers<void>();
    const told: string[] = [];
    const watching = openBus(broker.port);
    watchPresence(watching, async ({ instance, state }) => {
      if (instance !== 'slow') return;
      told.push(state);
      await first.promise;
    });
    await watching.online();
    const bus = worker('slow');
    await waitFor(() => expect(told).toEqual(['online']));
    await bus.close();
    // The one that is being handled, and the one behind it.
    await waitFor(() => expect(watching.report().subscriptions).toMatchObject([{ waiting: 2 }]));
    expect(told).toEqual(['online']);
    first.resolve();
    await waitFor(() => expect(told).toEqual(['online', 'offline']));
  });

  test('an offline without an earlier online is told: its service may have died while nobody watched', async () => {
    const peer = await join(broker.port, 'service');
    const { topic, payload } = encodeMessage('presence', {
      service: 'worker',
      instance: 'long dead',
      state: 'offline',
      session: randomUUID(),
      version: '0.1.0',
      at: '2026-01-02T14:30:00Z',
    });
    await peer.client.publishAsync(topic, payload, { qos: 1, retain: true });
    const told = await watch('long dead');
    await waitFor(() => expect(states(told)).toEqual(['offline']));
  });
});

test('what changes nothing is no change, so nothing is published for it', () => {
  const presence = createPresence('worker', 'w1', '0.1.0', systemClock);
  expect([presence.update({ running: 1 }), presence.update({ running: 1 }), presence.update({ running: 2 })]).toEqual([true, false, true]);
  expect(presence.update({ capacity: 5 })).toBe(true);
  expect(presence.load).toEqual({ running: 2, capacity: 5 });
});

/** Publishes `online` on a clock of the test; `outcome` decides on each publish. */
function publishing(outcome: (publish: number) => void = () => {}) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const at = { published: 0, isOnline: true };
  const warnings: string[] = [];
  const log = { ...silent, warn: (_: object, text: string) => void warnings.push(text) };
  const { request, stop } = publishOnline(createPresence('worker', 'w1', '0.1.0', systemClock), {
    publish: async () => outcome(++at.published),
    isOnline: () => at.isOnline,
    log: log as unknown as typeof silent,
  });
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  return { at, warnings, request, stop, pass };
}

test('the second one is not published within a second of the first', async () => {
  const { at, request, pass } = publishing();
  await pass(5_000);
  request();
  await pass(0);
  expect(at.published).toBe(1);
  request();
  await pass(999);
  expect(at.published).toBe(1);
  await pass(1);
  expect(at.published).toBe(2);
});

test('one that fails is published again after a second, and said', async () => {
  const { at, warnings, request, pass } = publishing((publish) => {
    if (publish === 1) throw new TransientError('bus.timeout', 'no acknowledgement');
  });
  await pass(5_000);
  request();
  await pass(0);
  expect([at.published, warnings]).toEqual([1, ['presence not published, trying again: no acknowledgement']]);
  await pass(1_000);
  expect([at.published, warnings.length]).toEqual([2, 1]);
});

test('without a broker nothing is published or said, and nothing after the end', async () => {
  const { at, warnings, request, stop, pass } = publishing(() => {
    at.isOnline = false;
    throw new TransientError('bus.offline', 'the connection was lost');
  });
  await pass(5_000);
  request();
  await pass(5_000);
  expect([at.published, warnings]).toEqual([1, []]);
  request();
  at.isOnline = true;
  await pass(5_000);
  expect(at.published).toBe(1);
  request();
  stop();
  await pass(5_000);
  expect(at.published).toBe(1);
});

test('a service whose state the broker repeats does not publish it again', async () => {
  const broker = await startEmbedded();
  onTestFinished(() => broker.close());
  const bus = openBus(broker.port, { service: 'worker', instance: 'calm', version: '1' });
  await bus.online();
  await waitFor(() => expect(bus.report().counters).toMatchObject({ published: 1, received: 1 }));
  // Longer than the pause between two of them: a second one would be here.
  await delay(1_300);
  expect(bus.report().counters.published).toBe(1);
});

test('many requests at once publish once, and those of the next second once more', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let published = 0;
  const publish = async () => void published++;
  const { request } = publishOnline(createPresence('worker', 'w1', '0.1.0', systemClock), { publish, isOnline: () => true, log: silent });
  for (const expected of [1, 2]) {
    for (let requests = 0; requests < 5; requests++) request();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(published).toBe(expected);
  }
});
