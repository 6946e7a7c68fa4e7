import { expect, test } from 'vitest';
import { actionsOf, factorWalk, parseFactors } from '../../../services/market/sources/lean-factors.ts';

// Rows of a real factor file (AAPL).
const AAPL = [
  '20140507,0.8961764,0.03571430,592.33',
  '20140606,0.9011818,0.03571430,645.57',
  '20140806,0.9011818,0.25,94.97',
  '20141105,0.9056639,0.25,108.86',
  '20501231,1,1,0',
];
const rows = (lines: string[]) => parseFactors('aapl.csv', lines).rows;

test('a row holds up to and including its own date, the next from the day after', () => {
  const factorOf = factorWalk(rows(AAPL));
  // By hand: price factor × split factor of the row.
  expect(factorOf('2014-05-07')).toBeCloseTo(0.8961764 * 0.0357143, 12);
  expect(factorOf('2014-06-06')).toBeCloseTo(0.9011818 * 0.0357143, 12);
  expect(factorOf('2014-06-09')).toBeCloseTo(0.9011818 * 0.25, 12);
  expect(factorOf('2014-08-07')).toBeCloseTo(0.9056639 * 0.25, 12);
  expect(factorOf('2051-01-02')).toBe(1);
});

test('a day before the first row takes the first row', () => {
  expect(factorWalk(rows(AAPL))('1990-01-02')).toBeCloseTo(0.8961764 * 0.0357143, 12);
});

test('without rows every factor is 1', () => {
  expect(factorWalk([])('2020-01-02')).toBe(1);
});

test('a change of split factor is a split, a change of price factor a dividend, on the next session', () => {
  const actions = actionsOf(rows(AAPL.slice(0, 4)), (date) => `after ${date}`);
  // Apple's investor relations: $3.29 of 2014-05-08, 7:1 on 2014-06-09, $0.47 of 2014-08-07.
  expect(actions).toEqual([
    { date: 'after 2014-05-07', kind: 'dividend', value: expect.closeTo(3.29, 3) },
    { date: 'after 2014-06-06', kind: 'split', value: 7 },
    { date: 'after 2014-08-06', kind: 'dividend', value: expect.closeTo(0.47, 3) },
  ]);
});

test('a split and a dividend of the same day are two actions', () => {
  // By hand: 100 × (1 − 0.98 ÷ 1) = 2 dollars; 1 ÷ 0.5 = two for one.
  const both = rows(['20200101,0.98,0.5,100', '20501231,1,1,0']);
  expect(actionsOf(both, () => '2020-01-02')).toEqual([
    { date: '2020-01-02', kind: 'split', value: 2 },
    { date: '2020-01-02', kind: 'dividend', value: 2 },
  ]);
});

test('rows whose factor has overflowed end the usable history', () => {
  const file = parseFactors('x.csv', ['19980102,1,inf,1', '20010606,1,1.6e+6,3', '20501231,1,1,0']);
  expect(file.worthlessUntil).toBe('2001-06-06');
  expect(file.rows).toHaveLength(1);
});

test.each([
  ['a word for a factor', ['20200101,abc,1,1']],
  ['a missing column', ['20200101,1,1']],
  ['a factor of zero', ['20200101,0,1,1']],
  ['a date out of order', ['20200102,1,1,1', '20200101,1,1,1']],
])('%s is malformed, by file and line', (_, lines) => {
  expect(() => parseFactors('folder/x.csv', lines)).toThrow(`folder/x.csv:${lines.length}: expected`);
});
