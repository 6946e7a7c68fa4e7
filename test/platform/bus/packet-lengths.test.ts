import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { writeToStream } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { encodePacketLengths } from '../../../services/platform/bus/packet-lengths.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
/** MiB of buffers. */
const held = (): number => {
  collect();
  return process.memoryUsage().arrayBuffers / 2 ** 20;
};

test.each([
  ['mqtt', 1_000],
  ['aedes', 3_000],
])('messages of a thousand lengths leave nothing behind in the writer of %s', async (library, shortest) => {
  const from = createRequire(createRequire(import.meta.url).resolve(library));
  const writer = from('mqtt-packet') as { writeToStream: typeof writeToStream };
  const nowhere = { write: () => true } as unknown as NodeJS.WritableStream;
  encodePacketLengths();
  const before = held();
  for (let length = shortest; length < shortest + 1_000; length++) {
    writer.writeToStream({ cmd: 'publish', topic: 't', payload: 'x'.repeat(length), qos: 0, retain: false, dup: false }, nowhere);
    // What a process does between two messages: the next length is cut from other memory.
    for (let piece = 0; piece < 4; piece++) Buffer.allocUnsafe(Buffer.poolSize / 4);
  }
  await expect.poll(() => held() - before).toBeLessThan(8);
});
