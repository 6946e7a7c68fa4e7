import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { gatherWrites } from '../../services/platform/gather-writes.ts';

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

test('a packet leaves at once, and those that follow it in the same turn of the event loop together', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  for (let i = 0; i < 5; i++) {
    send(stream);
    await new Promise(process.nextTick);
  }
  expect(calls).toEqual([1]);
  process.nextTick(() => send(stream));
  await turn();
  await turn();
  expect(calls).toEqual([1, 5]);
});

test('packets that are written together are one call', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  for (let i = 0; i < 5; i++) send(stream);
  await turn();
  await turn();
  expect(calls).toEqual([5]);
});

test('the next turn begins anew', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  for (let packets = 1; packets <= 3; packets++) {
    for (let i = 0; i < packets; i++) {
      send(stream);
      await new Promise(process.nextTick);
    }
    await turn();
    await turn();
  }
  expect(calls).toEqual([1, 1, 1, 1, 2]);
});
