import { expect, test } from 'vitest';
import { createRecentEvents, type LiveEvent } from '../../../services/gateway/live/recent-events.ts';

const MIB = 1024 * 1024;
const event = (name: string): LiveEvent => ({
  type: 'alert',
  body: { v: 1, name, state: 'raised', value: 2, threshold: 1, since: '2026-03-03T16:00:00Z', text: name } as never,
});
/** Adds events of so many bytes; gives the id of the stream after each. */
function adding(recent: ReturnType<typeof createRecentEvents>, ...bytes: number[]): string[] {
  return bytes.map((size, index) => {
    recent.add(size, () => event(`e${index}`));
    return recent.newestId;
  });
}
const numbers = (recent: ReturnType<typeof createRecentEvents>, id: string) => recent.since(id)?.map(({ number }) => number);

test('the events after an id are given in order, and none after the newest', () => {
  const recent = createRecentEvents();
  const start = recent.newestId;
  const [first, , third] = adding(recent, 10, 10, 10);
  expect(numbers(recent, start)).toEqual([1, 2, 3]);
  expect(numbers(recent, first!)).toEqual([2, 3]);
  expect(numbers(recent, third!)).toEqual([]);
});

test('four megabytes are kept, and room that old events gave free is used by new ones', () => {
  const recent = createRecentEvents();
  const ids = adding(recent, ...Array.from({ length: 9 }, () => MIB));
  // Events 6 to 9 are kept. A client that has event 5 has missed nothing else.
  expect(numbers(recent, ids[4]!)).toEqual([6, 7, 8, 9]);
  expect(numbers(recent, ids[3]!)).toBeUndefined();
});

test('an event larger than all the room is not kept, and a client that missed it is told so', () => {
  const recent = createRecentEvents();
  const [before, large] = adding(recent, 10, 5 * MIB);
  expect(numbers(recent, before!)).toBeUndefined();
  expect(numbers(recent, large!)).toEqual([]);
});

test('an id of another process, of the future, or no id at all is not known', () => {
  const recent = createRecentEvents();
  adding(recent, 10);
  const epoch = recent.newestId.split('-')[0]!;
  for (const id of [createRecentEvents().newestId, `${epoch}-2`, epoch, `${epoch}-`, `${epoch}-1x`, '', '1'])
    expect(recent.since(id), id).toBeUndefined();
});

test('an event is read once, when the first client wants to see it', () => {
  const recent = createRecentEvents();
  let reads = 0;
  const added = recent.add(10, () => {
    reads++;
    return event('once');
  });
  expect(reads).toBe(0);
  expect(added.open()?.frame).toContain(`id: ${recent.newestId}\nevent: alert\n`);
  expect(added.open()?.event.type).toBe('alert');
  expect(reads).toBe(1);
});
