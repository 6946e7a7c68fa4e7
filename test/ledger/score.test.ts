import { expect, test } from 'vitest';
import { levelOf, priorityOf, scoreOf } from '../../services/ledger/job.ts';
import fc from '../support/fast-check.ts';

test('a score comes back from its stored priority with the four decimals that everybody shows', () => {
  // By hand; 0.5 came back as 0.50005, which was shown as 0.5001.
  for (const score of [0, 0.0001, 0.3333, 0.5, 0.5824, 0.9998, 1]) expect(scoreOf(priorityOf(3, score))).toBe(score);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), fc.double({ min: 0, max: 0.9998, noNaN: true }), (level, score) => {
      const priority = priorityOf(level, score);
      expect(levelOf(priority)).toBe(level);
      expect(scoreOf(priority)).toBe(Number(score.toFixed(4)));
    }),
  );
});

test('a higher score is never less urgent, and a level never reaches into the next', () => {
  const scores = Array.from({ length: 101 }, (_, i) => i / 100);
  const priorities = scores.map((score) => priorityOf(4, score));
  expect(priorities).toEqual(priorities.toSorted((a, b) => b - a));
  expect([priorityOf(4, 2), priorityOf(4, -1)].map(levelOf)).toEqual([4, 4]);
});
