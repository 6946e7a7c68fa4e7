import { expect, test } from 'vitest';
import { fitSmile, type Smile, smileIv } from '../../../../services/market/options/pricing/smile.ts';
import fc from '../../../support/fast-check.ts';

const numbers = (...values: number[]) => Float64Array.from(values);
const even = (k: Float64Array) => k.map(() => 1);
const ivOf = (variance: (k: number) => number, years: number) => (k: number) => Math.sqrt(variance(k) / years);

test('points on a parabola of total variance are given back exactly', () => {
  const variance = (k: number) => 0.02 - 0.03 * k + 0.2 * k * k;
  const k = numbers(-0.3, -0.15, -0.1, 0, 0.05, 0.2);
  const smile = fitSmile(k, k.map(ivOf(variance, 0.5)), numbers(1, 5, 2, 9, 3, 1), 0.5)!;
  expect(smile).toMatchObject({
    level: expect.closeTo(0.02, 12),
    slope: expect.closeTo(-0.03, 12),
    curve: expect.closeTo(0.2, 12),
    points: 6,
  });
  // By hand at k = 0.1: 0.02 - 0.003 + 0.002 = 0.019; √(0.019 / 0.5).
  expect(smileIv(smile, 0.1)).toBeCloseTo(Math.sqrt(0.038), 12);
});

test('errors are spread by least squares', () => {
  // By hand, k = -2 … 2 with variances 4, 1, 0 + 1, 1, 4: the normal equations 5a + 10c = 11, 10a + 34c = 34 give a = 17/35, c = 6/7.
  const k = numbers(-2, -1, 0, 1, 2);
  const smile = fitSmile(k, numbers(2, 1, 1, 1, 2), even(k), 1)!;
  expect(smile.level).toBeCloseTo(17 / 35, 12);
  expect(smile.slope).toBeCloseTo(0, 12);
  expect(smile.curve).toBeCloseTo(6 / 7, 12);
});

test('a weight counts like as many points', () => {
  const once = fitSmile(numbers(-2, -1, 0, 1, 2), numbers(2, 1, 1, 1.5, 2), numbers(1, 1, 3, 1, 1), 1)!;
  const thrice = fitSmile(numbers(-2, -1, 0, 0, 0, 1, 2), numbers(2, 1, 1, 1, 1, 1.5, 2), numbers(1, 1, 1, 1, 1, 1, 1), 1)!;
  for (const name of ['level', 'slope', 'curve'] as const) expect(once[name]).toBeCloseTo(thrice[name], 12);
});

test('four points are no fit, nor are five of which one has no weight', () => {
  const k = numbers(-0.1, -0.05, 0, 0.05, 0.1);
  const iv = numbers(0.3, 0.25, 0.2, 0.22, 0.24);
  expect(fitSmile(k.subarray(1), iv.subarray(1), even(k).subarray(1), 1)).toBeUndefined();
  expect(fitSmile(k, iv, numbers(1, 1, 0, 1, 1), 1)).toBeUndefined();
  expect(fitSmile(k, iv, numbers(1, 1, Number.NaN, 1, 1), 1)).toBeUndefined();
  expect(fitSmile(k, iv, even(k), 1)).toBeDefined();
});

test('points at fewer than three places are no fit', () => {
  const k = numbers(0, 0, 0.1, 0.1, 0.1);
  expect(fitSmile(k, numbers(0.2, 0.2, 0.3, 0.3, 0.3), even(k), 1)).toBeUndefined();
  expect(fitSmile(k.fill(0), numbers(0.2, 0.2, 0.3, 0.3, 0.3), even(k), 1)).toBeUndefined();
});

test('beyond the fitted strikes the last of them answers', () => {
  const k = numbers(-0.2, -0.15, -0.1, 0, 0.1);
  const smile = fitSmile(k, k.map(ivOf((at) => 0.02 + 0.5 * at * at, 1)), even(k), 1)!;
  // By hand: 0.02 + 0.5 · 0.1² and 0.02 + 0.5 · 0.2².
  expect(smileIv(smile, 0.15)).toBeCloseTo(Math.sqrt(0.025), 12);
  expect(smileIv(smile, -5)).toBeCloseTo(Math.sqrt(0.04), 12);
});

test('a parabola that dips below what was seen, even below zero, is held at the least that was seen', () => {
  // A smile as steep as a cup: its best parabola is negative between the points near the money.
  const k = numbers(-1, -0.9, -0.5, 0.5, 0.9, 1);
  const iv = numbers(1, 0.8, 0.1, 0.1, 0.8, 1);
  const smile = fitSmile(k, iv, even(k), 1) as Smile;
  expect(smile.level).toBeLessThan(0);
  expect(smileIv(smile, 0)).toBeCloseTo(0.1, 12);
});

test('whatever the points, its IV lies within theirs', () => {
  const point = fc.record({
    k: fc.double({ min: -2, max: 2, noNaN: true }),
    iv: fc.double({ min: 0.01, max: 5, noNaN: true }),
    weight: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(point, { minLength: 5, maxLength: 60 }),
      fc.double({ min: 0.0001, max: 3, noNaN: true }),
      fc.double({ min: -10, max: 10, noNaN: true }),
      (points, years, k) => {
        const iv = Float64Array.from(points, (p) => p.iv);
        const smile = fitSmile(
          Float64Array.from(points, (p) => p.k),
          iv,
          Float64Array.from(points, (p) => p.weight),
          years,
        );
        if (smile === undefined) return;
        expect(smileIv(smile, k)).toBeGreaterThanOrEqual(Math.min(...iv) * (1 - 1e-9));
        expect(smileIv(smile, k)).toBeLessThanOrEqual(Math.max(...iv) * (1 + 1e-9));
      },
    ),
  );
});

test('the order of the points does not matter', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6], { minLength: 7 }), (order) => {
      const k = numbers(-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3);
      const iv = numbers(0.4, 0.31, 0.26, 0.2, 0.21, 0.24, 0.25);
      const pick = (column: Float64Array) => Float64Array.from(order, (i) => column[i]!);
      expect(smileIv(fitSmile(pick(k), pick(iv), even(k), 1)!, 0.07)).toBeCloseTo(smileIv(fitSmile(k, iv, even(k), 1)!, 0.07), 12);
    }),
  );
});
