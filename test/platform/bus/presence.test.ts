import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createPresence, publishOnline, watchPresence } from '../../../services/platform/bus/presence.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import type { Body, Draft } from '../../../services/platform/messages.ts';
import { encodeMessage } from '../../../services/platform/messages.ts';
import { onEachBroker } from '../../broker/brokers.ts';
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
