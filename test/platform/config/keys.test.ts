import { expect, test } from 'vitest';
import { nearest, nearestKey } from '../../../services/platform/config/keys.ts';
import { typed } from '../../../services/platform/config/substitute.ts';

// Distances by hand: letters to insert, delete or replace.
test.each([
  ['poll_intervall', ['poll_interval', 'name'], 'poll_interval'],
  ['poll-interval', ['name', 'poll_interval'], 'poll_interval'],
  ['nmae', ['name', 'game'], 'name'],
  ['bat', ['cat', 'hat'], 'cat'],
  ['abcdef', ['abcdxy'], 'abcdxy'],
  ['abcdef', ['abcxyz'], undefined],
  ['abcdefghi', ['abcdefxyz'], 'abcdefxyz'],
  ['abcdefghi', ['abcdewxyz'], undefined],
  ['ab', ['xy'], 'xy'],
  ['abc', ['xyz'], undefined],
  ['abc', ['abcde'], 'abcde'],
  ['abcde', ['abc'], 'abc'],
  ['abc', ['abcdef'], undefined],
  ['name', [], undefined],
])('the candidate nearest to "%s" among %j is %s: at most a third of its letters away, or two', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});

test('a key that stands in another section is found by its whole name', () => {
  expect(nearestKey('gateway', 'poll_interval', ['port', 'host'])).toMatch(/\.poll_interval$/);
  expect(nearestKey('gateway', 'prt', ['port', 'host'])).toBe('gateway.port');
  expect(nearestKey('worker', 'pool', ['name'])).toBe('database.pool');
  expect(nearestKey('gateway', 'no_such_key_anywhere', ['port', 'host'])).toBeUndefined();
});

test.each([
  ['YES', 'boolean', true],
  ['On', 'boolean', true],
  [' false ', 'boolean', false],
  ['NO', 'boolean', false],
  ['1', 'boolean', '1'],
  ['-1.5e3', 'number', -1500],
  ['.5', 'number', 0.5],
  ['0x10', 'number', '0x10'],
  ['', 'number', null],
  [' kept ', 'text', ' kept '],
] as const)('the text "%s" for a %s is %j', (text, kind, expected) => {
  expect(typed(text, kind, 'text')).toBe(expected);
});

test('the text for a list is its items, each of the kind of the list', () => {
  expect(typed(' 1, 2,x ', 'list', 'number')).toEqual([1, 2, 'x']);
  expect(typed(' ', 'list', 'number')).toEqual([]);
});
