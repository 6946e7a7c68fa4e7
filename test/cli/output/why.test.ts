/** The reason of a priority, as text that a person can add up. */
import { expect, test } from 'vitest';
import { whySection } from '../../../services/cli/output/why.ts';

const why = {
  factors: { user_activity: { value: 0.5, weight: 0.4, points: 0.2 }, data_age: { value: 1, weight: 0.123456, points: 0.123456 } },
  score: 0.323456,
  cause: 'user_login',
  base: 3,
  band: { from: 2, to: 4 },
  boost: 0,
  priority: 3,
  freshness: 'bar of 2026-03-09',
};

test('a scored job has its factors, the sum and the steps from the base to the priority', () => {
  expect(whySection(why)).toBe(
    [
      'FACTOR          VALUE  × WEIGHT  = POINTS',
      'user activity  0.5000       0.4    0.2000',
      'data age       1.0000  0.123456    0.1235',
      `score${' '.repeat(30)}0.3235`,
      'user_login starts at priority 3; the score moves it within 2-4: priority 3',
      'data: bar of 2026-03-09',
      '',
    ].join('\n'),
  );
});

test("a boost of a portfolio's symbol is named", () => {
  expect(whySection({ ...why, boost: 1, priority: 2 })).toContain("within 2-4, 1 up for a portfolio's symbol: priority 2\n");
});

test('another job has its text and what is known of its data; one without either has nothing', () => {
  expect(whySection({ text: 'a schedule\nasked', freshness: 'stale' })).toBe('a schedule asked\ndata: stale\n');
  expect(whySection({ text: 'a schedule asked' })).toBe('a schedule asked\n');
  expect(whySection({})).toBe('');
});
