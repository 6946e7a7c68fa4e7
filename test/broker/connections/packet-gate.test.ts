import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { DROPPED_TOPIC, packetGate } from '../../../broker/packet-gate.ts';
import fc from '../../support/fast-check.ts';
import { startEmbedded } from '../brokers.ts';
import { connectPacket, rawConnection } from '../peers.ts';

const LIMIT = 200;

/** A PUBLISH packet as MQTT 3.1.1, 3.3 lays it out. */
function publish(topic: string, payloadBytes: number, qos: 0 | 1 | 2, retain = false): Buffer {
  const topicBytes = Buffer.from(topic);
  const body = Buffer.concat([
    Buffer.from([topicBytes.length >> 8, topicBytes.length & 0xff]),
    topicBytes,
    Buffer.from(qos > 0 ? [0xab, 0xcd] : []),
    Buffer.alloc(payloadBytes, 0x30),
  ]);
  const length: number[] = [];
  for (let left = body.length; length.length === 0 || left > 0; left = Math.floor(left / 128))
    length.push((left % 128) | (left >= 128 ? 0x80 : 0));
  return Buffer.concat([Buffer.from([0x30 | (qos << 1) | (retain ? 1 : 0), ...length]), body]);
}

const ping = Buffer.from([0xc0, 0]);
const subscribe = Buffer.from([0x82, 8, 0, 1, 0, 3, 0x61, 0x2f, 0x62, 0]);

function pass(chunks: Buffer[]) {
  const oversize: [string, number][] = [];
  const abuse: number[] = [];
  const gate = packetGate({
    maxPayloadBytes: LIMIT,
    onOversize: (topic, bytes) => oversize.push([topic, bytes]),
    onAbuse: (bytes) => abuse.push(bytes),
  });
  return { passed: Buffer.concat(chunks.map(gate)), oversize, abuse };
}

const packet = fc.oneof(
  fc.constant({ sent: ping, expected: ping }),
  fc.constant({ sent: subscribe, expected: subscribe }),
  fc
    .record({
      topic: fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme-ascii' }),
      payloadBytes: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.constantFrom(LIMIT - 1, LIMIT, LIMIT + 1, 20_000)),
      qos: fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2),
      retain: fc.boolean(),
    })
    .map(({ topic, payloadBytes, qos, retain }) => {
      const sent = publish(topic, payloadBytes, qos, retain);
      return { sent, expected: payloadBytes > LIMIT ? publish(DROPPED_TOPIC, 0, qos) : sent };
    }),
);

test('however the stream is cut into chunks, publishes above the limit come out emptied and everything else unchanged', () => {
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), (packets, sizes) => {
      const stream = Buffer.concat(packets.map(({ sent }) => sent));
      const chunks: Buffer[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length]!;
        chunks.push(stream.subarray(at, at + size));
        at += size;
      }
      const { passed, abuse } = pass(chunks);
      expect(passed.toString('hex')).toBe(Buffer.concat(packets.map(({ expected }) => expected)).toString('hex'));
      expect(abuse).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test('it tells topic and size of what it emptied, before the payload is there', () => {
  const { oversize } = pass([publish('data/AAPL/bars', 5000, 1).subarray(0, 30)]);
  expect(oversize).toEqual([['data/AAPL/bars', 5000]]);
});

test('a chunk without anything to stop passes as it is, uncopied', () => {
  const gate = packetGate({ maxPayloadBytes: LIMIT, onOversize: () => {}, onAbuse: () => {} });
  const chunk = Buffer.concat([publish('a/b', 100, 1), ping]);
  expect(gate(chunk).buffer).toBe(chunk.buffer);
});

test('a packet that is no publish and far beyond any use is told and held', () => {
  const { passed, abuse } = pass([Buffer.from([0x82, 0x80, 0x80, 0x80, 0x30])]);
  expect(passed).toHaveLength(0);
  expect(abuse).toEqual([100_663_296 + 5]);
});

test('a packet that is no publish may be as large as a payload and the longest head [MQTT-1.5.3], and no larger', () => {
  // SUBSCRIBE with three bytes of length: 65,535 bytes of a topic and 9 beside it.
  const subscribeOf = (bytes: number): Buffer => {
    const remaining = bytes - 4;
    return Buffer.from([0x82, (remaining & 0x7f) | 0x80, ((remaining >> 7) & 0x7f) | 0x80, remaining >> 14]);
  };
  expect(pass([subscribeOf(LIMIT + 65_535 + 9)]).abuse).toEqual([]);
  expect(pass([subscribeOf(LIMIT + 65_535 + 10)]).abuse).toEqual([LIMIT + 65_535 + 10]);
});

test('what comes right behind a too large publish is acknowledged, though the client sends nothing more', async () => {
  const broker = await startEmbedded();
  onTestFinished(() => broker.close());
  const socket = await rawConnection(broker.port);
  const answer = async () => ((await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer])[0].toString('hex');
  socket.write(connectPacket('service', 'one', 60));
  await answer();
  const large = publish('stock/fetch/AAPL', 100_000, 1);
  socket.write(large.subarray(0, 60_000));
  // PUBACK [MQTT-3.4] of the packet identifier 0xabcd
  expect(await answer()).toBe('4002abcd');
  socket.write(Buffer.concat([large.subarray(60_000), publish('stock/fetch/AAPL', 20_000, 1)]));
  expect(await answer()).toBe('4002abcd');
});
