import { expect, test } from 'vitest';
import { createTurns, type Turns } from '../../../services/platform/bus/turns.ts';

/** Of items such as `a1`: the letter is the source. */
function turnsOf(...items: string[]): Turns<string> {
  const turns = createTurns<string>((item) => item.slice(0, 1));
  for (const item of items) turns.add(item);
  return turns;
}

function takeAll(turns: Turns<string>, mayHave?: (source: string) => boolean): string[] {
  const taken: string[] = [];
  for (let item = turns.next(mayHave); item !== undefined; item = turns.next(mayHave)) {
    turns.delete(item);
    taken.push(item);
  }
  return taken;
}

test('each source gives its oldest item in turn', () => {
  expect(takeAll(turnsOf('a1', 'a2', 'a3', 'b1', 'c1', 'c2'))).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
});

test('a source that comes later has its turn after those that wait', () => {
  const turns = turnsOf('a1', 'a2', 'a3');
  turns.delete(turns.next()!);
  turns.add('b1');
  expect(takeAll(turns)).toEqual(['a2', 'b1', 'a3']);
});

test('a source that may not have more is passed over, and keeps its items', () => {
  const turns = turnsOf('a1', 'a2', 'b1', 'b2');
  expect(takeAll(turns, (source) => source === 'b')).toEqual(['b1', 'b2']);
  expect(takeAll(turns)).toEqual(['a1', 'a2']);
});

test('what is added twice waits once, what is deleted not at all, and the counts tell it', () => {
  const turns = turnsOf('a1', 'a1', 'a2', 'b1');
  expect([turns.size, turns.of('a'), turns.has('a2')]).toEqual([3, 2, true]);
  expect([turns.delete('a2'), turns.delete('a2'), turns.delete('c1')]).toEqual([true, false, false]);
  expect([turns.size, turns.of('a'), turns.of('c'), turns.has('a2')]).toEqual([2, 1, 0, false]);
});
