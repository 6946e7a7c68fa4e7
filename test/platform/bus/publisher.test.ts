/** What becomes of a publish, by what the client answers. The client is the test's. */
import type { MqttClient, PacketCallback } from 'mqtt';
import { expect, test } from 'vitest';
import { createPublisher, type PublishLimits } from '../../../services/platform/bus/publisher.ts';

const message = (qos: 0 | 1, topic = 'alerts/depth') => ({ topic, payload: '{}', qos, retain: false });

/** `answer`: what the broker says to each publish; without it nothing. */
function publisher(answer?: (done: PacketCallback) => void, limits: PublishLimits = {}, isUp = true) {
  const client = { outgoing: {}, publish: (_topic: string, _payload: string, _options: object, done: PacketCallback) => answer?.(done) };
  return createPublisher(client as unknown as MqttClient, () => isUp, limits);
}
const refusing = (code: number) => (done: PacketCallback) => done(Object.assign(new Error('refused'), { code }));

test('what the access rules of a broker of MQTT 5 do not allow will never work, everything else may work later', async () => {
  // 135: not authorized [MQTT 5, 3.4.2.1].
  const refused = publisher(refusing(135));
  await expect(refused.publish(message(1))).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'bus.refused',
    message: "alerts/depth: the broker's access rules do not allow it to this account",
  });
  await expect(publisher(refusing(136)).publish(message(1))).rejects.toMatchObject({
    name: 'TransientError',
    code: 'bus.not_published',
    message: 'alerts/depth: refused',
  });
  expect(refused.counters).toEqual({ published: 0, failed: 1, dropped: 0 });
});

test('a message that may be lost is dropped and counted where another would be rejected', async () => {
  const lost = publisher(refusing(136));
  await lost.publish(message(0));
  const offline = publisher(undefined, {}, false);
  await offline.publish(message(0));
  await expect(offline.publish(message(1))).rejects.toMatchObject({
    code: 'bus.offline',
    message: 'alerts/depth: not published, there is no connection to the broker',
  });
  expect([lost.counters, offline.counters]).toEqual([
    { published: 0, failed: 0, dropped: 1 },
    { published: 0, failed: 1, dropped: 1 },
  ]);
});

test('a message of QoS 0 whose sender must know rejects where another would be dropped', async () => {
  const silent = publisher(undefined, { maxInFlight: 1, publishTimeoutMs: 1 });
  const offline = publisher(undefined, {}, false);
  await expect(silent.publish(message(0), { orReject: true })).rejects.toMatchObject({ code: 'bus.timeout' });
  await expect(offline.publish(message(0), { orReject: true })).rejects.toMatchObject({ code: 'bus.offline' });
  expect([silent.counters.dropped, offline.counters.dropped]).toEqual([1, 1]);
});

test('10,000 wait behind those in flight, and the next one is refused', async () => {
  const silent = publisher(undefined, { maxInFlight: 3 });
  const outcomes: string[] = [];
  const publishes = Array.from({ length: 10_004 }, () => silent.publish(message(1)).catch(({ code }) => outcomes.push(code)));
  await publishes.at(-1);
  expect(outcomes).toEqual(['bus.busy']);
  silent.connectionLost('cut');
  await Promise.all(publishes);
  expect(outcomes.filter((code) => code === 'bus.offline')).toHaveLength(10_003);
  expect(silent.counters).toEqual({ published: 0, failed: 10_004, dropped: 0 });
});

test('an answer that comes after the time limit changes nothing', async () => {
  const answers: PacketCallback[] = [];
  const slow = publisher((done) => answers.push(done), { publishTimeoutMs: 1 });
  await expect(slow.publish(message(1))).rejects.toMatchObject({
    code: 'bus.timeout',
    message: 'alerts/depth: the broker did not acknowledge it within 1 ms',
  });
  for (const done of answers) done();
  expect(slow.counters).toEqual({ published: 0, failed: 1, dropped: 0 });
});

test('a message that must not wait has left the writer before its sender goes on', () => {
  const sent: string[] = [];
  const client = {
    ...{ outgoing: {}, publish: (topic: string) => void sent.push(topic) },
    stream: { uncork: () => void sent.push('let go') },
  };
  const { publish } = createPublisher(client as unknown as MqttClient, () => true, {});
  void publish(message(0, 'mesh/stats'));
  void publish(message(0, 'mesh/work'), { now: true });
  expect(sent).toEqual(['mesh/stats', 'mesh/work', 'let go']);
});
