import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { gatherWrites } from '../../../services/platform/bus/gather-writes.ts';

/** A connection, and the number of packets of each of its system calls. */
function connection(): { stream: Duplex; calls: number[] } {
  const calls: number[] = [];
  const stream = new Duplex({
    read() {},
    writev(chunks, done) {
      calls.push(Buffer.concat(chunks.map(({ chunk }) => chunk)).length / PACKET);
      done();
    },
  });
  return { stream, calls };
}

const PACKET = 3;
/** As the writer of MQTT packets does it: corked around the parts, let go when the present code is done. */
const send = (stream: Duplex): void => {
  stream.cork();
  process.nextTick(() => stream.uncork());
  for (const part of ['a', 'b', 'c']) stream.write(part);
};

/** So many packets, each written when the one before has left the writer, and then the end of the turn. */
async function turnOf(stream: Duplex, packets: number): Promise<void> {
  for (let i = 0; i < packets; i++) {
    send(stream);
    await new Promise(process.nextTick);
  }
  await turn();
}

test('a lone packet leaves at once', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  send(stream);
  await new Promise(process.nextTick);
  expect(calls).toEqual([1]);
});

test('packets that follow it in the same turn of the event loop leave together', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  await turnOf(stream, 6);
  expect(calls).toEqual([1, 5]);
});

test('after a turn with many, all of the next one leave together', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  await turnOf(stream, 6);
  await turnOf(stream, 6);
  expect(calls).toEqual([1, 5, 6]);
});

test('after a turn with one, a packet leaves at once again', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  for (const packets of [6, 1]) await turnOf(stream, packets);
  send(stream);
  await new Promise(process.nextTick);
  expect(calls).toEqual([1, 5, 1, 1]);
});

test('after a turn without a packet, the first one leaves at once again', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  await turnOf(stream, 6);
  await turn();
  send(stream);
  await new Promise(process.nextTick);
  expect(calls).toEqual([1, 5, 1]);
});

test('packets that are written together are one call', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  for (let i = 0; i < 5; i++) send(stream);
  await turn();
  expect(calls).toEqual([5]);
});
