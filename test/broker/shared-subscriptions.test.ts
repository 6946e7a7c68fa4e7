/** Groups of the embedded broker, beyond what both brokers have in common. */
import { afterEach, expect, test } from 'vitest';
import { type RunningBroker, startEmbedded } from './brokers.ts';
import { join } from './peers.ts';

const running: RunningBroker[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((broker) => broker.close()));
});
async function start(): Promise<RunningBroker> {
  const broker = await startEmbedded();
  running.push(broker);
  return broker;
}

test('a member of a group gets a message at the lower of its own QoS and that of the message', async () => {
  const broker = await start();
  const [once, atMostOnce] = [await join(broker.port, 'service'), await join(broker.port, 'service')];
  await once.client.subscribeAsync('$share/once/stock/fetch/+', { qos: 1 });
  await atMostOnce.client.subscribeAsync('$share/most/stock/fetch/+', { qos: 0 });
  const publisher = await join(broker.port, 'service');
  await publisher.client.publishAsync('stock/fetch/AAPL', 'sent at 1', { qos: 1 });
  await publisher.client.publishAsync('stock/fetch/AAPL', 'sent at 0', { qos: 0 });
  const heardBy = ({ heard }: typeof once) => heard.map(({ payload, qos }) => [payload, qos]);
  await expect
    .poll(() => [heardBy(once), heardBy(atMostOnce)])
    .toEqual([
      [
        ['sent at 1', 1],
        ['sent at 0', 0],
      ],
      [
        ['sent at 1', 0],
        ['sent at 0', 0],
      ],
    ]);
});

test('a member that subscribes to its group again is still one member, with the QoS that it asked for last', async () => {
  const broker = await start();
  const [again, other] = [await join(broker.port, 'service'), await join(broker.port, 'service')];
  for (const qos of [1, 1, 0] as const) await again.client.subscribeAsync('$share/workers/stock/fetch/+', { qos });
  await other.client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 1 });
  const publisher = await join(broker.port, 'service');
  for (let i = 0; i < 8; i++) await publisher.client.publishAsync('stock/fetch/AAPL', `job ${i}`, { qos: 1 });
  await expect.poll(() => again.heard.length + other.heard.length).toBe(8);
  // In turn, so a double would get more than its half.
  expect([again.heard.map(({ qos }) => qos), other.heard.map(({ qos }) => qos)]).toEqual([
    [0, 0, 0, 0],
    [1, 1, 1, 1],
  ]);
});

test('a kept session that comes back and subscribes to its group again hears each message once', async () => {
  const broker = await start();
  const session = { clientId: 'worker', clean: false };
  const first = await join(broker.port, 'service', session);
  await first.client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 1 });
  await first.client.endAsync();
  const back = await join(broker.port, 'service', session);
  await back.client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 1 });
  const publisher = await join(broker.port, 'service');
  for (let i = 0; i < 4; i++) await publisher.client.publishAsync('stock/fetch/AAPL', `job ${i}`, { qos: 1 });
  await expect.poll(() => back.heard.map(({ payload }) => payload)).toEqual(['job 0', 'job 1', 'job 2', 'job 3']);
});

test('nothing waits for an absent member that asked for QoS 0', async () => {
  const broker = await start();
  const session = { clientId: 'worker', clean: false };
  const first = await join(broker.port, 'service', session);
  await first.client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 0 });
  await first.client.endAsync();
  const publisher = await join(broker.port, 'service');
  await publisher.client.publishAsync('stock/fetch/AAPL', 'while it was away', { qos: 1 });
  const back = await join(broker.port, 'service', session);
  await back.client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 0 });
  await publisher.client.publishAsync('stock/fetch/AAPL', 'now', { qos: 1 });
  await expect.poll(() => back.heard.at(-1)?.payload).toBe('now');
  expect(back.heard.map(({ payload }) => payload)).toEqual(['now']);
});

test('a member that does not read is passed over as long as there is another', async () => {
  const broker = await start();
  const [frozen, reading] = [await join(broker.port, 'service'), await join(broker.port, 'service')];
  for (const { client } of [frozen, reading]) await client.subscribeAsync('$share/workers/stock/fetch/+', { qos: 0 });
  await frozen.client.subscribeAsync('data/+/+', { qos: 0 });
  frozen.client.stream.unpipe();
  frozen.client.stream.pause();
  const publisher = await join(broker.port, 'service');
  // More than the buffers of both sockets hold.
  for (let i = 0; i < 10_000; i++) publisher.client.publish('data/AAPL/bars', Buffer.alloc(1000));
  const jobs = Array.from({ length: 10 }, (_, i) => `job ${i}`);
  for (const job of jobs) await publisher.client.publishAsync('stock/fetch/AAPL', job, { qos: 1 });
  await expect.poll(() => reading.heard.map(({ payload }) => payload)).toEqual(jobs);
});
