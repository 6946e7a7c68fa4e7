import { describe, expect, test } from 'vitest';
import { blendedPercentiles, percentiles } from '../../../services/picks/universe/percentiles.ts';
import fc from '../../support/fast-check.ts';

describe('mid-rank percentiles', () => {
  test('the score is the share of smaller values and half of the equal ones', () => {
    // By hand: 1 → ½/4; the two 2s → (1 + 1)/4; 3 → (3 + ½)/4.
    expect(percentiles([2, 3, 1, 2])).toEqual([50, 87.5, 12.5, 50]);
  });

  test('values that are all equal are in the middle', () => {
    expect(percentiles([7, 7, 7])).toEqual([50, 50, 50]);
  });

  test('a missing value has no score and counts in nobody else’s', () => {
    expect(percentiles([1, null, 2])).toEqual([25, null, 75]);
  });

  test('one known value alone has no score', () => {
    expect(percentiles([null, 5])).toEqual([null, null]);
  });

  test('zero and minus zero are equal', () => {
    expect(percentiles([0, -0])).toEqual([50, 50]);
  });

  test('scores agree with counting, for any values', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: -5, max: 5 })), { minLength: 2, maxLength: 40 }), (values) => {
        const known = values.filter((value) => value !== null);
        const expected = values.map((value) => {
          if (value === null || known.length < 2) return null;
          const less = known.filter((other) => other < value).length;
          const equal = known.filter((other) => other === value).length;
          return (100 * (less + equal / 2)) / known.length;
        });
        expect(percentiles(values)).toEqual(expected);
      }),
    );
  });
});

describe('percentiles blended with those of a sector', () => {
  test('a sector of ten and the universe have equal say with a shrinkage of ten', () => {
    // Twenty values, ten a sector: 20 is the best of both, so 97.5 overall and 95 in its sector.
    const values = Array.from({ length: 20 }, (_, i) => i + 1);
    const sectors = values.map((value) => (value > 10 ? 'high' : 'low'));
    expect(blendedPercentiles(values, sectors, 10)[19]).toBeCloseTo(0.5 * 95 + 0.5 * 97.5, 10);
    expect(blendedPercentiles(values, sectors, 10)[9]).toBeCloseTo(0.5 * 95 + 0.5 * 47.5, 10);
  });

  test('a value alone in its sector, or without one, has its percentile in the universe', () => {
    expect(blendedPercentiles([1, 2, 3, 4], ['a', null, 'b', 'b'], 10).slice(0, 2)).toEqual([12.5, 37.5]);
  });

  test('missing values of a sector give it no weight', () => {
    // Sector b has two known values: λ = 2/12.
    const [, , third] = blendedPercentiles([1, null, 3, 4], ['a', 'b', 'b', 'b'], 10);
    expect(third).toBeCloseTo((2 / 12) * 25 + (10 / 12) * 50, 10);
  });
});
