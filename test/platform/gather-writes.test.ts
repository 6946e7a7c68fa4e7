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

test('packets of one turn of the event loop leave in one system call', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  for (let i = 0; i < 5; i++) {
    send(stream);
    await null;
  }
  process.nextTick(() => send(stream));
  await turn();
  await turn();
  expect(calls).toEqual([6]);
});

test('the next turn has a call of its own', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  send(stream);
  await turn();
  await turn();
  send(stream);
  await turn();
  await turn();
  expect(calls).toEqual([1, 1]);
});

test('a packet leaves in the turn in which it was written', async () => {
  const { stream, calls } = connection();
  gatherWrites(stream);
  send(stream);
  await turn();
  expect(calls).toEqual([1]);
});
