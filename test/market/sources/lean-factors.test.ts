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
  // By hand: 1 ÷ 0.5 = two for one; 100 × (1 − 0.98 ÷ 1) = 2 dollars per old share, so 1 dollar per share of the ex-date.
  const both = rows(['20200101,0.98,0.5,100', '20501231,1,1,0']);
  expect(actionsOf(both, () => '2020-01-02')).toEqual([
    { date: '2020-01-02', kind: 'split', value: 2 },
    { date: '2020-01-02', kind: 'dividend', value: 1 },
  ]);
});

test('a dividend of 0.25 dollars on the day of a 5:1 split is 0.25 dollars, as Yahoo gives it', () => {
  // By hand: 500 × (1 − 0.9975) = 1.25 dollars per old share, ÷ 5.
  expect(actionsOf(rows(['20261014,0.9975,0.2,500', '20501231,1,1,0']), () => '2026-10-15')).toEqual([
    { date: '2026-10-15', kind: 'split', value: 5 },
    { date: '2026-10-15', kind: 'dividend', value: 0.25 },
  ]);
});

test.each([
  // goog.csv of a Lean folder: Google's class C stock dividend of 2015-04-27 was 0.27455 % (settlement); 1 ÷ 0.997307 = 1.0027003.
  ['GOOG, April 2015', '20150424,1,0.997307,565.06', 1.0027],
  ['a stock dividend of 0.027 %', '20150424,1,0.99973007,100', 1.00027],
  ['5 % in shares', '20150424,1,0.952381,100', 1.05],
  ['three for two', '20150424,1,0.666667,100', 1.5],
  ['one for twenty, scaled', '20150424,1,20,100', 0.05],
])('a stock dividend keeps its digits: %s', (_, row, value) => {
  expect(actionsOf(rows([row, '20501231,1,1,0']), () => '2015-04-27')).toEqual([{ date: '2015-04-27', kind: 'split', value }]);
});

test.each([
  // 0.0625 ÷ 7 is 0.00892857, and half of the sixth decimal is 5e-7.
  ['seven for one of a share that was split 16 for one later, in six decimals', '0.008929', '0.0625', 7],
  // 0.5 ÷ 1.5 is 0.333333.
  ['three for two, in six decimals', '0.333333', '0.5', 1.5],
  // AIG: products of several roundings are off by up to 6e-6 of their value.
  ['one for twenty, of a product of roundings', '19.9999', '1', 0.05],
  ['a factor further off is no shorter ratio', '0.3334', '0.5', 1.4997],
])('a split is the shortest ratio that gives the rounded factor: %s', (_, factor, next, value) => {
  expect(actionsOf(rows([`20150424,1,${factor},100`, `20501231,1,${next},0`]), () => '2015-04-27')).toEqual([
    { date: '2015-04-27', kind: 'split', value },
  ]);
});

test.each([
  // By hand: price × (1 − 0.999).
  ['100', 0.1],
  ['12.3456', 0.0123],
  ['0.5', 0.0005],
  ['0.05', 0.00005],
  ['0.01234', 0.0000123],
])('a dividend of a share of %s dollars has four decimals, or six digits of the price', (price, value) => {
  const [dividend] = actionsOf(rows([`20261014,0.999,1,${price}`, '20501231,1,1,0']), () => '2026-10-15');
  expect(dividend?.value).toBeCloseTo(value, 12);
});

test('a factor of 0 costs its row, and rows that change nothing are no events', () => {
  const file = parseFactors('x.csv', ['20200101,0,1,10', '20200102,1,1,10', '20200103,1,1,10', '20501231,1,1,0']);
  expect(file.leftOut).toEqual([{ date: '2020-01-01', kind: 'dividend', reason: 'a price factor of 0 is none' }]);
  expect(actionsOf(file.rows, (date) => date)).toEqual([]);
});

test('a dividend of a share that costs a fraction of a cent keeps its digits', () => {
  // By hand: 0.0000512 × (1 − 0.98).
  const [dividend] = actionsOf(rows(['20261014,0.98,1,0.0000512', '20501231,1,1,0']), () => '2026-10-15');
  expect(dividend?.value).toBeCloseTo(1.024e-6, 10);
});

test('rows whose factor has overflowed end the usable history', () => {
  const file = parseFactors('x.csv', ['19980102,1,inf,1', '20010606,1,1.6e+6,3', '20501231,1,1,0']);
  expect(file.worthlessUntil).toBe('2001-06-06');
  expect(file.rows).toHaveLength(1);
});

test.each([
  ['a word for a factor', ['20200101,abc,1,1']],
  ['a missing column', ['20200101,1,1']],
  ['a date out of order', ['20200102,1,1,1', '20200101,1,1,1']],
  ['a date given twice', ['20200101,1,1,1', '20200101,1,1,1']],
])('%s is malformed, by file and line', (_, lines) => {
  expect(() => parseFactors('folder/x.csv', lines)).toThrow(`folder/x.csv:${lines.length}: expected`);
});
