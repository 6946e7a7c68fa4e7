/** Numbers and moments at the edges where their form changes. */
import { expect, test } from 'vitest';
import { ago, money, plural, quantity, sharePrice, span, stamp } from '../../../services/cli/output/numbers.ts';

test.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [1_000, '1.0 s'],
  [1_999, '1.9 s'],
  [119 * 60_000 + 59_999, '119 min'],
  [120 * 60_000, '2 h'],
  [48 * 3_600_000 - 1, '47 h'],
  [48 * 3_600_000, '2 d'],
  [72 * 3_600_000 - 1, '2 d'],
])('%d ms read %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

test.each([
  [1, '1.00'],
  [-1, '-1.00'],
  [0.5, '0.5000'],
  [-0.5, '-0.5000'],
  [999.994, '999.99'],
  [1_000, '1,000.00'],
  [-1_234_567, '-1,234,567.00'],
  [100, '100.00'],
  [null, null],
  [undefined, null],
])('%d dollars read %s', (value, text) => {
  expect(money(value)).toBe(text);
});

test('a price has the digits of a price, and thousands apart before the point only', () => {
  expect([12345.67891, 0.000123456, 1000, undefined].map(sharePrice)).toEqual(['12,345.679', '0.000123456', '1,000.00', null]);
});

test('a quantity has fifteen digits at most', () => {
  // The last two are 0.30000000000000004 and 0.7999999999999999 in doubles.
  expect([0, 1234567.891, 0.1 + 0.2, 0.7 + 0.1].map(quantity)).toEqual(['0', '1,234,567.891', '0.3', '0.8']);
});

test('a moment is written in UTC to the second, and as the time since', () => {
  const at = new Date('2026-01-02T14:30:05.900Z');
  expect(stamp(at)).toBe('2026-01-02 14:30:05 UTC');
  expect(ago(at, new Date('2026-01-02T14:30:08.300Z'))).toBe('2.4 s ago');
});

test('one is one, all other counts are many', () => {
  expect([plural(1, 'job'), plural(0, 'job'), plural(2, 'job'), plural(1, 'job is', 'jobs are'), plural(3, 'job is', 'jobs are')]).toEqual([
    '1 job',
    '0 jobs',
    '2 jobs',
    '1 job is',
    '3 jobs are',
  ]);
});
