/** Every mix of qualities of service, from publishers to kept sessions, whichever of the two brokers runs. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { onBothBrokers, payloadsOf, until } from './both-brokers.ts';
import { connectPacket, join, type Peer, rawConnection } from './peers.ts';

const TOPIC = 'stock/fetch/AAPL';
type Qos = 0 | 1 | 2;

/** Each quality after each other, twice the same included. */
const mixed: Qos[] = [1, 2, 1, 0, 2, 2, 0, 1, 1, 2, 0, 0];
const sequences: { name: string; qos: Qos[] }[] = [
  { name: 'QoS 0', qos: [0, 0, 0] },
  { name: 'QoS 1', qos: [1, 1, 1] },
  { name: 'QoS 2', qos: [2, 2, 2] },
  { name: 'mixed QoS', qos: mixed },
];

interface Situation {
  name: string;
  /** Whether the subscriber has received and acknowledged what was published before it went away. */
  receives: boolean;
  /** Whether what was sent and not acknowledged is marked as sent again. */
  dup: boolean;
  goAway: (subscriber: Peer) => Promise<void>;
}

const freeze = ({ client }: Peer): void => {
  client.stream.unpipe();
  client.stream.pause();
};
const situations: Situation[] = [
  { name: 'absent', receives: false, dup: false, goAway: ({ client }) => client.endAsync() },
  {
    name: 'cut in flight',
    receives: false,
    dup: true,
    // It reads nothing any more: what the broker sends is never acknowledged.
    goAway: async (subscriber) => freeze(subscriber),
  },
  { name: 'disconnected half-way', receives: true, dup: false, goAway: async () => {} },
];

onBothBrokers(({ broker }) => {
  const publishAll = async (qos: Qos[], label: string) => {
    const publisher = await join(broker.port, 'service');
    for (const [i, each] of qos.entries()) publisher.client.publish(TOPIC, `${label} ${i}`, { qos: each });
    await publisher.client.endAsync();
  };
  const granted = (published: Qos, subscribed: Qos) => Math.min(published, subscribed, broker.maxQos);
  /** The payloads published with each QoS: only among these is there an order [MQTT-4.6.0-6]. Mosquitto passes a QoS 2 message on at its PUBREL. */
  const byQos = (payloads: string[], qos: Qos[]) =>
    ([0, 1, 2] as const).map((each) => payloads.filter((payload) => qos[Number(payload.split(' ')[1])] === each));

  describe.each(situations)('a subscriber that is $name', ({ name, receives, dup, goAway }) => {
    describe.each(sequences)('while $name are published', ({ name: published, qos }) => {
      test.each([0, 1, 2] as const)(
        'gets after its return what QoS %i entitles it to, in order, and then what follows',
        async (subscribed) => {
          const session = { clientId: `${name}-${published}-${subscribed}`.replaceAll(' ', '-'), clean: false };
          const first = await join(broker.port, 'service', session);
          await first.client.subscribeAsync(TOPIC, { qos: subscribed });
          if (receives) {
            await publishAll(qos, 'before');
            await expect
              .poll(() => byQos(payloadsOf(first), qos))
              .toEqual(
                byQos(
                  qos.map((_, i) => `before ${i}`),
                  qos,
                ),
              );
            await first.client.endAsync();
          }
          await goAway(first);
          const witness = await join(broker.port, 'service');
          await witness.client.subscribeAsync(TOPIC, { qos: 0 });
          await publishAll(qos, 'missed');
          // Where the subscriber is frozen, the broker has sent it all of what a later one has received.
          await expect.poll(() => witness.heard).toHaveLength(qos.length);
          first.client.stream.destroy();

          const again = await join(broker.port, 'service', session);
          const missed = qos
            .map((each, i) => ({ payload: `missed ${i}`, qos: granted(each, subscribed) }))
            .filter((message) => message.qos > 0);
          const expectedPayloads = missed.map(({ payload }) => payload);
          await expect.poll(() => byQos(payloadsOf(again), qos)).toEqual(byQos(expectedPayloads, qos));
          for (const { payload, qos: expected } of missed)
            expect(again.heard.find((message) => message.payload === payload)).toMatchObject({ qos: expected, dup, retain: false });

          await publishAll(qos, 'live');
          const live = qos.map((_, i) => `live ${i}`);
          await expect.poll(() => byQos(payloadsOf(again), qos)).toEqual(byQos([...expectedPayloads, ...live], qos));
          for (const [i, each] of qos.entries())
            expect(again.heard.find(({ payload }) => payload === `live ${i}`)).toMatchObject({
              qos: granted(each, subscribed),
              dup: false,
            });
          await again.client.unsubscribeAsync(TOPIC);
        },
      );
    });
  });

  test('a subscription is granted the QoS that is delivered', async () => {
    const { client } = await join(broker.port, 'service');
    const grants = await client.subscribeAsync({ 'stock/a/b': { qos: 0 }, 'stock/b/b': { qos: 1 }, 'stock/c/b': { qos: 2 } });
    expect(grants.map(({ qos }) => qos)).toEqual([0, 1, broker.maxQos]);
  });

  test('what is published while a session gets its backlog comes after it', async () => {
    const session = { clientId: 'long-backlog', clean: false };
    const first = await join(broker.port, 'service', session);
    await first.client.subscribeAsync(TOPIC, { qos: 1 });
    await first.client.endAsync();
    const publisher = await join(broker.port, 'service');
    const payloads = Array.from({ length: 2000 }, (_, i) => `message ${i}`);
    await Promise.all(payloads.slice(0, 1000).map((payload) => publisher.client.publishAsync(TOPIC, payload, { qos: 1 })));
    const returning = join(broker.port, 'service', session);
    for (const payload of payloads.slice(1000)) await publisher.client.publishAsync(TOPIC, payload, { qos: 1 });
    const again = await returning;
    await until(again, 'message 1999');
    expect(payloadsOf(again)).toEqual(payloads);
  });

  test('a QoS 2 message that its publisher sends again before and after a reconnect is delivered once', async () => {
    const subscriber = await join(broker.port, 'service');
    await subscriber.client.subscribeAsync(TOPIC, { qos: 2 });
    const say = async (socket: Socket, bytes: Buffer) => {
      socket.write(bytes);
      const [answer] = await once(socket, 'data');
      return [...(answer as Buffer)];
    };
    const publish = (dup: boolean, payload: string) =>
      Buffer.concat([
        Buffer.from([0x34 | (dup ? 8 : 0), 2 + TOPIC.length + 2 + payload.length, 0, TOPIC.length]),
        Buffer.from(TOPIC),
        Buffer.from([0, 7]),
        Buffer.from(payload),
      ]);
    const connect = connectPacket('service', 'exactly-once', 60, { clean: false });
    const first = await rawConnection(broker.port);
    await say(first, connect);
    expect(await say(first, publish(false, 'once'))).toEqual([0x50, 2, 0, 7]);
    expect(await say(first, publish(true, 'once'))).toEqual([0x50, 2, 0, 7]);
    first.destroy();
    const second = await rawConnection(broker.port);
    await say(second, connect);
    expect(await say(second, publish(true, 'once'))).toEqual([0x50, 2, 0, 7]);
    // PUBREL is answered by PUBCOMP, and frees the identifier for the next message.
    expect(await say(second, Buffer.from([0x62, 2, 0, 7]))).toEqual([0x70, 2, 0, 7]);
    expect(await say(second, publish(false, 'next'))).toEqual([0x50, 2, 0, 7]);
    expect(await say(second, Buffer.from([0x62, 2, 0, 7]))).toEqual([0x70, 2, 0, 7]);
    await until(subscriber, 'next');
    expect(payloadsOf(subscriber)).toEqual(['once', 'next']);
  });
});
