/** Reading from clients that send without pause. The handling of what is read is stood for by a wait that keeps the event loop. */
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Pace } from '../../../broker/edge/pace.ts';
import { LONGEST_TURN } from '../../../broker/edge/turns.ts';
import { gateReads } from '../../../broker/packet-gate.ts';

const NO_PACE: Pace = { wait: () => 0, slice: () => 16_384, charge: () => undefined, end: () => undefined };
const PING = Buffer.from([0xc0, 0]);

function workFor(ms: number): void {
  for (const start = performance.now(); performance.now() - start < ms; );
}

/** A client that has sent `pings` at once, and its reader as aedes is one. `onSlice` is told the bytes. */
function client(pings: number, onSlice: (bytes: number) => void): Duplex {
  const connection = new Duplex({ readableHighWaterMark: 1_000_000, read: () => undefined });
  gateReads(connection, { maxPayloadBytes: 100, pace: NO_PACE, onOversize: () => undefined, onAbuse: () => undefined });
  connection.on('readable', () => {
    for (let slice: Buffer | null = connection.read(); slice !== null; slice = connection.read()) onSlice(slice.length);
  });
  connection.push(Buffer.alloc(pings * PING.length, PING));
  return connection;
}

test('of twenty clients that flood, one slice is read a turn when its handling fills the turn, and all have their share', async () => {
  let turn = 0;
  const slices = Array.from({ length: 20 }, () => [] as number[]);
  const clients = slices.map((of) =>
    client(100_000, () => {
      of.push(turn);
      // The first slice of each is that of a client which sends little.
      if (of.length > 1) workFor(LONGEST_TURN + 1);
    }),
  );
  for (; turn < 70; turn++) await nextTurn();
  for (const one of clients) one.destroy();
  const later = slices.flatMap((of) => of.slice(1));
  expect(new Set(later).size).toBe(later.length);
  const counts = slices.map((of) => of.length - 1);
  expect(Math.min(...counts)).toBeGreaterThan(0);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

test('a client that sends little is read beside them at once', async () => {
  const flooding = Array.from({ length: 20 }, () => client(100_000, () => workFor(LONGEST_TURN + 1)));
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  let read = 0;
  const quiet = client(1, () => read++);
  await nextTurn();
  expect(read).toBe(1);
  for (const one of [...flooding, quiet]) one.destroy();
});

test('slices get smaller while the handling of one takes longer than a turn', async () => {
  const sizes: number[] = [];
  const one = client(100_000, (bytes) => {
    sizes.push(bytes);
    workFor(LONGEST_TURN + 1);
  });
  while (sizes.length < 7) await nextTurn();
  one.destroy();
  expect(sizes.slice(0, 7)).toEqual([16_384, 16_384, 8192, 4096, 2048, 1024, 1024]);
});
