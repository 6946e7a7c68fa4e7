/** Percentiles of bucketed durations, against those that nearest rank gives of the durations themselves (`percentile` of the ledger). */
import { expect, test } from 'vitest';
import { percentile } from '../../../services/ledger/read/metrics.ts';
import { addBuckets, BOUNDS, bucketPercentile, bucketsOf, countOf, noBuckets } from '../../../services/platform/monitoring/buckets.ts';

/** A fixed series that looks random (a linear congruential generator, Numerical Recipes), spread over 10 ms to 10 minutes. */
function durations(count: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return 0.01 * 60_000 ** (state / 2 ** 32);
  });
}

test('the bounds go from 10 ms to 10 minutes in even steps of their logarithm', () => {
  expect([BOUNDS.length, BOUNDS[0], BOUNDS.at(-1)]).toEqual([24, 0.01, 600]);
  const ratios = BOUNDS.slice(1).map((bound, index) => bound / BOUNDS[index]!);
  expect(Math.max(...ratios) / Math.min(...ratios)).toBeCloseTo(1, 2);
});

test.each([0.5, 0.9, 0.99])('the percentile %d of merged minutes is that of all durations, within a bucket', (share) => {
  const minutes = Array.from({ length: 60 }, (_, index) => durations(50 + index, index + 1));
  const merged = addBuckets(minutes.map(bucketsOf));
  const exact = percentile(minutes.flat(), share);
  expect(countOf(merged)).toBe(minutes.flat().length);
  // Half of a bucket: the square root of its ratio of 1.614.
  expect(Math.abs(Math.log(bucketPercentile(merged, share)! / exact))).toBeLessThan(Math.log(1.28));
});

test('no duration has no percentile, and one above all bounds counts as the last bound', () => {
  expect(bucketPercentile(noBuckets(), 0.5)).toBeNull();
  expect(bucketPercentile(bucketsOf([7_200]), 0.5)).toBe(600);
  expect(bucketPercentile(bucketsOf([0]), 0.99)).toBeLessThanOrEqual(0.01);
});
