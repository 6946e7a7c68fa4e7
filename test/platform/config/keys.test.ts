import { expect, test } from 'vitest';
import { nearest, nearestKey } from '../../../services/platform/config/keys.ts';

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
  ['name', [], undefined],
])('the candidate nearest to "%s" among %j is %s: at most a third of its letters away, or two', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});

test('a key that stands in another section is found by its whole name', () => {
  expect(nearestKey('gateway', 'poll_interval', ['port', 'host'])).toMatch(/\.poll_interval$/);
  expect(nearestKey('gateway', 'prt', ['port', 'host'])).toBe('gateway.port');
  expect(nearestKey('gateway', 'no_such_key_anywhere', ['port', 'host'])).toBeUndefined();
});
