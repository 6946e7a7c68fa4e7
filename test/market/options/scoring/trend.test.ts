import { expect, test } from 'vitest';
import { trendOf } from '../../../../services/market/options/scoring/trend.ts';
import fc from '../../../support/fast-check.ts';

const closes = (count: number, of: (day: number) => number) => Float64Array.from({ length: count }, (_, day) => of(day));

test('a rising price is bullish, a falling one bearish, a still one neutral', () => {
  expect(trendOf(closes(20, (day) => 100 + day))).toBe('bullish');
  expect(trendOf(closes(20, (day) => 100 - day))).toBe('bearish');
  expect(trendOf(closes(20, () => 100))).toBe('neutral');
});

test('a close between the means is neutral', () => {
  // By hand: ten days at 90, nine at 110, the last at 105: SMA10 = 109.5, SMA20 = 99.75, so 105 is below the first and above the second.
  expect(trendOf(closes(20, (day) => (day < 10 ? 90 : day < 19 ? 110 : 105)))).toBe('neutral');
  // With the last at 120 it is above both, and SMA10 111 > SMA20 100.5.
  expect(trendOf(closes(20, (day) => (day < 10 ? 90 : day < 19 ? 110 : 120)))).toBe('bullish');
});

test('nineteen bars are neutral however they rise', () => {
  expect(trendOf(closes(19, (day) => 100 + day))).toBe('neutral');
});

test('only the last twenty bars count, and the last is the newest', () => {
  // A crash, then twenty rising days; read backwards it would be bearish.
  expect(trendOf(closes(60, (day) => (day < 40 ? 1000 - day : day)))).toBe('bullish');
});

test('a missing close is neutral', () => {
  expect(trendOf(closes(20, (day) => (day === 15 ? Number.NaN : 100 + day)))).toBe('neutral');
});

test('a mirrored price has the mirrored trend', () => {
  const opposite = { bullish: 'bearish', bearish: 'bullish', neutral: 'neutral' };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 20, maxLength: 40 }), (prices) => {
      expect(trendOf(Float64Array.from(prices, (price) => 2000 - price))).toBe(opposite[trendOf(Float64Array.from(prices))]);
    }),
  );
});

test('a price that never moved is neutral, whatever its means are rounded to', () => {
  const directions = Array.from({ length: 2000 }, (_, cents) => trendOf(new Float64Array(20).fill((cents + 1) / 100)));
  expect(new Set(directions)).toEqual(new Set(['neutral']));
});
