/** When a message that the broker keeps is acknowledged, and what is read meanwhile. */
import type { Socket } from 'node:net';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { startEmbedded } from '../../broker/brokers.ts';
import { answerTo, openBus, PACKET, scriptedBroker } from './brokers.ts';

const waitFor = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

let port: number;
let sender: ReturnType<typeof openBus>;
beforeEach(async () => {
  const broker = await startEmbedded();
  onTestFinished(() => broker.close());
  ({ port } = broker);
  sender = openBus(port);
  await sender.online();
});
const persistent = (instance: string) => openBus(port, { instance, persistent: true, version: '1' });

test('beside a handler that acknowledges, one that only listens holds nothing back', async () => {
  const first = persistent('both');
  const heard: string[] = [];
  first.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void heard.push(`handled ${body.userId}`));
  first.subscribe('login', {}, ({ body }) => void heard.push(`heard ${body.userId}`));
  await first.online();
  await sender.publish('login', { userId: 'ada' });
  await waitFor(() => expect(heard.toSorted()).toEqual(['handled ada', 'heard ada']));
  await first.close();

  const second = persistent('both');
  const again: string[] = [];
  second.subscribe('login', { acknowledge: 'handled' }, ({ body }) => void again.push(body.userId));
  await second.online();
  await sender.publish('login', { userId: 'last' });
  await waitFor(() => expect(again).toEqual(['last']));
});

test('a login that waits for its subscription does not keep other messages from being read', async () => {
  const first = persistent('early');
  first.subscribe('login', { acknowledge: 'handled' }, () => {});
  await first.online();
  await first.close();
  await sender.publish('login', { userId: 'while away' });

  const second = persistent('early');
  const orders: string[] = [];
  second.subscribe('control', { params: { instance: 'early' } }, ({ body }) => void orders.push(body.action));
  await second.online();
  await sender.publish('control', { instance: 'early', action: 'drain' });
  await waitFor(() => expect(orders).toEqual(['drain']));
});

test('a subscription that leaves its group handles what has arrived before it ends', async () => {
  const bus = persistent('leaving');
  const gate = Promise.withResolvers<void>();
  const handled: string[] = [];
  const logins = bus.subscribe('login', { acknowledge: 'handled', shared: 'group', concurrency: 1 }, async ({ body }) => {
    await gate.promise;
    handled.push(body.userId);
  });
  await bus.online();
  for (const userId of ['ada', 'bob', 'eve']) await sender.publish('login', { userId });
  const ofLogins = () => bus.report().subscriptions.find(({ filter }) => filter.endsWith('events/login'));
  await waitFor(() => expect(ofLogins()).toMatchObject({ waiting: 3 }));
  let hasLeft = false;
  const left = logins.leave().then(() => {
    hasLeft = true;
  });
  // Another member of the group would get it.
  const other = persistent('other');
  const elsewhere: string[] = [];
  other.subscribe('login', { acknowledge: 'handled', shared: 'group' }, ({ body }) => void elsewhere.push(body.userId));
  await other.online();
  await sender.publish('login', { userId: 'next' });
  await waitFor(() => expect(elsewhere).toEqual(['next']));
  expect([hasLeft, handled]).toEqual([false, []]);
  gate.resolve();
  await left;
  expect(handled).toEqual(['ada', 'bob', 'eve']);
});

test('the bus is online when its subscriptions were answered, and not before', async () => {
  const answers: (() => void)[] = [];
  const broker = await scriptedBroker((type, packet, socket) => {
    if (type === PACKET.subscribe) answers.push(() => socket.write(answerTo(packet, 1)));
  });
  const bus = openBus(broker.port);
  bus.subscribe('job', {}, () => {});
  await waitFor(() => expect([broker.count(PACKET.connect), answers.length]).toEqual([2, 1]));
  expect(bus.state).toBe('offline');
  answers[0]!();
  await bus.online();
});

test('a bus that hears nothing any more is offline, though it could publish', async () => {
  let listening: Socket | undefined;
  const broker = await scriptedBroker((type, packet, socket) => {
    if (type !== PACKET.subscribe) return;
    listening = socket;
    socket.write(answerTo(packet, 1));
  });
  const bus = openBus(broker.port);
  bus.subscribe('job', {}, () => {});
  await bus.online();
  const states: string[] = [];
  bus.onState((state) => states.push(state));
  listening!.destroy();
  await waitFor(() => expect(states).toEqual(['offline', 'online']));
});
