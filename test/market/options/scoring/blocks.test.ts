import { describe, expect, test } from 'vitest';
import {
  clip,
  deltaScore,
  deltaTarget,
  dteUrgency,
  gammaPercent,
  gammaScore,
  ivDiscountScore,
  ivExpansionScore,
  liquidityConfidence,
  lossProtection,
  momentumDecayScore,
  oiGrowthScore,
  percentChange,
  pnlScore,
  priceMomentumScore,
  spreadPercent,
  spreadScore,
  stored,
  targetScore,
  thetaPenalty,
  thetaPercent,
  thetaUrgency,
  trendFactor,
  vegaScore,
  volumeOiScore,
  volumeSurgeScore,
} from '../../../../services/market/options/scoring/blocks.ts';
import fc from '../../../support/fast-check.ts';
import { DEFAULT_RULES } from './design-rules.ts';

/** Every expected number is worked out by hand from the formula in the test's name or comment. */
const { scales, delta_targets, trend_factors, theta_caps } = DEFAULT_RULES;
const unknown = Number.NaN;

describe('clip and rounding', () => {
  test.each([
    [-1, 0],
    [0, 0],
    [37.5, 37.5],
    [100, 100],
    [250, 100],
  ])('clip(%d) is %d', (x, expected) => expect(clip(x)).toBe(expected));

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%d is no score: it stays missing', (x) => {
    expect(clip(x)).toBeNaN();
  });

  test('a half of the last decimal goes up, also one that binary fractions put just below', () => {
    // 0.35 × 0.005 is 0.00175, in doubles 0.0017499999999999998.
    expect([stored(0.35 * 0.005), stored(0.00005), stored(12.34564999)]).toEqual([0.0018, 0.0001, 12.3456]);
  });
});

describe('spread', () => {
  test('in percent of the mid: 3.96 to 4.04 is 0.08 of 4, 2 %', () => expect(spreadPercent(3.96, 4.04)).toBeCloseTo(2, 12));

  test.each([
    [0, 100],
    [1, 98],
    [2, 96],
    [3, 92],
    [5, 84],
    [7, 74],
    [10, 59],
    [20, 39],
    [39, 1],
    [39.5, 0],
    [60, 0],
  ])('of %d %% scores %d', (s, expected) => expect(spreadScore(s)).toBeCloseTo(expected, 12));

  test('of a crossed quote has no score', () => expect(spreadScore(spreadPercent(4.04, 3.96))).toBeNaN());

  test('a wider one never scores higher', () => neverHigher(spreadScore, { min: 0, max: 200 }));
});

describe('implied volatility', () => {
  test.each([
    // 5 × 100 (mean - iv) / mean
    [0.2, 0.25, 100],
    [0.225, 0.25, 50],
    [0.25, 0.25, 0],
    [0.3, 0.25, 0],
  ])('%d against a 20-day mean of %d: discount %d', (iv, mean, expected) => {
    expect(ivDiscountScore(iv, mean, unknown)).toBeCloseTo(expected, 10);
  });

  test('the own mean goes before the smile, the smile stands in for it', () => {
    expect(ivDiscountScore(0.225, 0.25, 0.5)).toBeCloseTo(50, 10);
    expect(ivDiscountScore(0.225, unknown, 0.25)).toBeCloseTo(50, 10);
    expect(ivDiscountScore(0.225, 0, 0.25)).toBeCloseTo(50, 10);
    expect(ivDiscountScore(0.225, unknown, unknown)).toBeNaN();
  });

  test.each([
    // 5 × % rise
    [0.3, 0.25, 100],
    [0.275, 0.25, 50],
    [0.25, 0.25, 0],
    [0.2, 0.25, 0],
  ])('%d after an entry at %d: expansion %d', (iv, entry, expected) => expect(ivExpansionScore(iv, entry)).toBeCloseTo(expected, 10));
});

describe('price, volume and open interest', () => {
  test.each([
    // 50 + 2p
    [0, 50],
    [10, 70],
    [-10, 30],
    [25, 100],
    [40, 100],
    [-30, 0],
  ])('a change of %d %% in 5 days: momentum %d', (p, expected) => expect(priceMomentumScore(p)).toBe(expected));

  test('the change is from the old price to the new one: 2 to 3 is +50 %', () => {
    expect(percentChange(3, 2)).toBe(50);
    expect(percentChange(2, 0)).toBeNaN();
  });

  test.each([
    [0, 0],
    [50, 25],
    [100, 50],
    [150, 62.5],
    [199, 74.75],
    [200, 75],
    [300, 87.5],
    [400, 100],
    [900, 100],
  ])('volume %d where 100 is usual: surge %d', (volume, expected) => expect(volumeSurgeScore(volume, 100)).toBeCloseTo(expected, 12));

  test('a surge never scores lower for more volume, 2.0 times against 1.99 times neither', () => {
    expect(volumeSurgeScore(200, 100)).toBeGreaterThan(volumeSurgeScore(199, 100));
    neverHigher((volume) => -volumeSurgeScore(volume, 100), { min: 0, max: 1000 });
  });

  test.each([
    // 100 (volume / oi) / 0.20
    [0, 0],
    [100, 50],
    [200, 100],
    [500, 100],
  ])('volume %d on 1,000 open: %d', (volume, expected) => expect(volumeOiScore(volume, 1000, 0.2)).toBeCloseTo(expected, 12));

  test.each([
    // 50 + g
    [1000, 50],
    [1200, 70],
    [700, 20],
    [1800, 100],
    [400, 0],
  ])('open interest %d after 1,000: growth %d', (now, expected) => expect(oiGrowthScore(now, 1000)).toBeCloseTo(expected, 12));

  test('nothing open, no usual volume and no earlier open interest make a ratio missing, not perfect', () => {
    expect(volumeOiScore(10, 0, 0.2)).toBeNaN();
    expect(volumeSurgeScore(10, 0)).toBeNaN();
    expect(oiGrowthScore(10, 0)).toBeNaN();
  });

  test('the confidence is the geometric mean of what is known', () => {
    // f(50, 100) = 0.55, f(250, 500) = 0.55, f(2.5, 5) = 0.55
    expect(liquidityConfidence(50, 250, 2.5, scales)).toBeCloseTo(0.55, 12);
    // f(0, 100) = 0.1, f(500, 500) = 1, f(5, 5) = 1: cbrt(0.1)
    expect(liquidityConfidence(0, 500, 5, scales)).toBeCloseTo(0.1 ** (1 / 3), 12);
    // Without volume sqrt(0.1 × 1), without both f(2.5, 5) alone.
    expect(liquidityConfidence(unknown, 0, 5, scales)).toBeCloseTo(Math.sqrt(0.1), 12);
    expect(liquidityConfidence(0, unknown, 5, scales)).toBeCloseTo(Math.sqrt(0.1), 12);
    expect(liquidityConfidence(unknown, unknown, 2.5, scales)).toBeCloseTo(0.55, 12);
    expect(liquidityConfidence(1e9, 1e9, 1e9, scales)).toBe(1);
  });
});

describe('Greeks', () => {
  test.each([
    [46, 0.5],
    [45, 0.55],
    [22, 0.55],
    [21, 0.6],
    [8, 0.6],
    [7, 0.65],
    [0, 0.65],
  ])('%d days out the best delta is %d, negative for puts', (dte, expected) => {
    expect(deltaTarget(dte, false, delta_targets)).toBe(expected);
    expect(deltaTarget(dte, true, delta_targets)).toBe(-expected);
  });

  test('a call goes with a bullish trend and against a bearish one, a put the other way round', () => {
    const factor = (trend: 'bullish' | 'bearish' | 'neutral', isPut: boolean) => trendFactor(trend, isPut, trend_factors);
    expect([factor('bullish', false), factor('bearish', true)]).toEqual([1, 1]);
    expect([factor('neutral', false), factor('neutral', true)]).toEqual([0.9, 0.9]);
    expect([factor('bearish', false), factor('bullish', true)]).toEqual([0.7, 0.7]);
  });

  test('delta 0.40 with target 0.50 is 10 points off: 90, neutral 81; a put of -0.40 with target -0.50 as well', () => {
    expect(deltaScore(0.4, 0.5, 1)).toBeCloseTo(90, 12);
    expect(deltaScore(0.4, 0.5, 0.9)).toBeCloseTo(81, 12);
    expect(deltaScore(-0.4, -0.5, 1)).toBeCloseTo(90, 12);
    expect(deltaScore(-0.7, 0.5, 1)).toBe(0);
  });

  test('an unknown delta is missing and not a perfect 100', () => expect(deltaScore(unknown, 0.5, 1)).toBeNaN());

  test('gamma 0.01 at 200 dollars moves delta by 0.02 a percent: half of 0.04; vega 0.30 at 200 is 0.15 for 100: half of 0.30', () => {
    expect(gammaPercent(0.01, 200)).toBeCloseTo(0.02, 12);
    expect(gammaScore(0.02, 0.04)).toBeCloseTo(50, 12);
    expect(vegaScore(0.3, 200, 0.3)).toBeCloseTo(50, 12);
  });

  test('gamma and vega score alike on an underlying ten times as dear', () => {
    expect(gammaScore(gammaPercent(0.001, 2000), 0.04)).toBeCloseTo(gammaScore(gammaPercent(0.01, 200), 0.04), 12);
    expect(vegaScore(3, 2000, 0.3)).toBeCloseTo(vegaScore(0.3, 200, 0.3), 12);
  });

  test('theta -0.04 on a mid of 4 is 1 % a day and takes off 10 points, at most the cap', () => {
    expect(thetaPercent(-0.04, 4)).toBeCloseTo(1, 12);
    expect(thetaPenalty(1, 30, theta_caps)).toBe(10);
    expect([46, 45, 22, 21, 0].map((dte) => thetaPenalty(9, dte, theta_caps))).toEqual([25, 40, 40, 50, 50]);
    expect(thetaPenalty(unknown, 30, theta_caps)).toBeNaN();
  });
});

describe('positions', () => {
  test.each([
    // 100 from 100; 80 + 0.4 (q-50); 60 + 0.8 (q-25); 40 + 4/3 (q-10); 20 + 2q
    [150, 100],
    [100, 100],
    [75, 90],
    [50, 80],
    [40, 72],
    [25, 60],
    [16, 48],
    [10, 40],
    [5, 30],
    [0, 20],
    [-10, 0],
    [-60, 0],
  ])('a profit of %d %% scores %d', (q, expected) => expect(pnlScore(q)).toBeCloseTo(expected, 12));

  test('more profit never scores lower', () => neverHigher((q) => -pnlScore(q), { min: -100, max: 200 }));

  test('the target is approached upwards by a call and downwards by a put', () => {
    // From 100 to 120: 105 is a quarter. From 100 to 80: 85 is three quarters.
    expect(targetScore(105, 100, 120)).toBeCloseTo(25, 12);
    expect(targetScore(85, 100, 80)).toBeCloseTo(75, 12);
    expect(targetScore(95, 100, 120)).toBe(0);
    expect(targetScore(130, 100, 120)).toBe(100);
    expect(targetScore(100, 100, 100)).toBeNaN();
  });

  test.each([
    // -100 q / 50
    [10, 0],
    [0, 0],
    [-25, 50],
    [-50, 100],
    [-80, 100],
  ])('at %d %% with a stop of 50 %% loss protection is %d', (q, expected) => expect(lossProtection(q, 50)).toBeCloseTo(expected, 12));

  test.each([
    // 50 + 2 (p3 - 0.6 p5)
    [6, 10, 50],
    [10, 10, 58],
    [0, 10, 38],
    [-30, 10, 0],
  ])('%d %% in three days of %d %% in five: decay score %d', (p3, p5, expected) => {
    expect(momentumDecayScore(p3, p5)).toBeCloseTo(expected, 12);
  });

  test.each([
    [0, 95],
    [6, 95],
    [7, 95],
    [10, 70 + 100 / 7],
    [14, 70],
    [22, 55],
    [30, 40],
    [45, 30],
    [60, 20],
    [400, 20],
  ])('%d days before the expiration the urgency is %d', (days, expected) => expect(dteUrgency(days)).toBeCloseTo(expected, 12));

  test.each([
    [0, 30],
    [0.5, 45],
    [1, 60],
    [1.5, 70],
    [2, 80],
    [2.5, 90],
    [3, 100],
    [8, 100],
  ])('theta of %d %% a day is %d urgent', (t, expected) => expect(thetaUrgency(t)).toBeCloseTo(expected, 12));
});

test('a theta without bound, of a price of nearly nothing, is neither the most urgent nor the largest penalty: it is missing', () => {
  expect(thetaUrgency(Number.POSITIVE_INFINITY)).toBeNaN();
  expect(thetaUrgency(unknown)).toBeNaN();
  expect(thetaPenalty(Number.POSITIVE_INFINITY, 30, theta_caps)).toBeNaN();
});

/** A function never rises. */
function neverHigher(score: (x: number) => number, { min, max }: { min: number; max: number }): void {
  const number = fc.double({ min, max, noNaN: true });
  fc.assert(fc.property(number, number, (a, b) => score(Math.max(a, b)) <= score(Math.min(a, b)) + 1e-9));
}
