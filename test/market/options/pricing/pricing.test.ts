import { describe, expect, test } from 'vitest';
import { type Valuation, valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import fc from '../../../support/fast-check.ts';

const FIELDS = ['price', 'delta', 'gamma', 'theta', 'vega', 'rho'] as const;

/** Spot, strike, years, rate, dividend yield, volatility. */
type Terms = [number, number, number, number, number, number];
const between = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const terms: fc.Arbitrary<Terms> = fc
  .tuple(between(1, 1000), between(0.5, 2), between(1 / 365, 3), between(-0.02, 0.12), between(0, 0.08), between(0.03, 2))
  .map(([spot, moneyness, years, rate, dividendYield, volatility]) => [spot, spot * moneyness, years, rate, dividendYield, volatility]);

const legs = ([spot, strike, years, rate, dividendYield]: Terms) => ({
  spotLeg: spot * Math.exp(-dividendYield * years),
  strikeLeg: strike * Math.exp(-rate * years),
});

describe('the worked examples of Haug, The Complete Guide to Option Pricing Formulas, 2nd edition', () => {
  test('price: a call without dividends, 2.1334, and a put on an index that yields 5 %, 2.4648', () => {
    expect(valueOption(60, 65, 0.25, 0.08, 0, 0.3, false).price).toBeCloseTo(2.1334, 4);
    expect(valueOption(100, 95, 0.5, 0.1, 0.05, 0.2, true).price).toBeCloseTo(2.4648, 4);
  });

  test('delta: a call, 0.5946, and a put, -0.3566, on a future (yield = rate)', () => {
    expect(valueOption(105, 100, 0.5, 0.1, 0.1, 0.36, false).delta).toBeCloseTo(0.5946, 4);
    expect(valueOption(105, 100, 0.5, 0.1, 0.1, 0.36, true).delta).toBeCloseTo(-0.3566, 4);
  });

  test('gamma: 0.0278 on a stock', () => {
    expect(valueOption(55, 60, 0.75, 0.1, 0, 0.3, false).gamma).toBeCloseTo(0.0278, 4);
  });

  test('vega: 18.5027 for a volatility of 1, here a hundredth of it for a point', () => {
    expect(valueOption(55, 60, 0.75, 0.105, 0.0355, 0.3, false).vega).toBeCloseTo(0.185027, 6);
  });

  test('rho: 38.7325 for a rate of 1, here a hundredth of it for a percentage point', () => {
    expect(valueOption(72, 75, 1, 0.09, 0, 0.19, false).rho).toBeCloseTo(0.387325, 6);
  });

  test('theta: -31.1924 a year, here a 365th of it for a day', () => {
    expect(valueOption(430, 405, 1 / 12, 0.07, 0.05, 0.2, true).theta).toBeCloseTo(-31.1924 / 365, 6);
  });
});

describe('for any terms', () => {
  test('put-call parity holds for the price and all Greeks', () => {
    fc.assert(
      fc.property(terms, (of) => {
        const [spot, , , rate, dividendYield] = of;
        const { spotLeg, strikeLeg } = legs(of);
        const call = valueOption(...of, false);
        const put = valueOption(...of, true);
        const scale = 1e-14 * (spotLeg + strikeLeg);
        expect(Math.abs(call.price - put.price - (spotLeg - strikeLeg))).toBeLessThan(scale);
        expect(call.delta - put.delta).toBeCloseTo(spotLeg / spot, 13);
        expect(call.gamma).toBe(put.gamma);
        expect(call.vega).toBe(put.vega);
        expect(Math.abs(call.theta - put.theta - (dividendYield * spotLeg - rate * strikeLeg) / 365)).toBeLessThan(scale);
      }),
    );
  });

  test('the price lies within the bounds of no arbitrage', () => {
    fc.assert(
      fc.property(terms, fc.boolean(), (of, isPut) => {
        const { spotLeg, strikeLeg } = legs(of);
        const { price } = valueOption(...of, isPut);
        const rounding = 1e-14 * (spotLeg + strikeLeg);
        expect(price).toBeGreaterThanOrEqual(Math.max(0, (isPut ? -1 : 1) * (spotLeg - strikeLeg) - rounding));
        expect(price).toBeLessThanOrEqual((isPut ? strikeLeg : spotLeg) + rounding);
      }),
    );
  });

  test('more volatility never costs less', () => {
    fc.assert(
      fc.property(terms, between(0, 1), fc.boolean(), (of, more, isPut) => {
        const [spot, strike, years, rate, dividendYield, volatility] = of;
        const lower = valueOption(...of, isPut).price;
        const higher = valueOption(spot, strike, years, rate, dividendYield, volatility + more, isPut).price;
        expect(higher).toBeGreaterThanOrEqual(lower - 1e-14 * (spot + strike));
      }),
    );
  });

  test('a call has a delta of 0 to 1 and a put of -1 to 0, gamma and vega are never negative', () => {
    fc.assert(
      fc.property(terms, (of) => {
        const call = valueOption(...of, false);
        const put = valueOption(...of, true);
        expect(call.delta).toBeGreaterThanOrEqual(0);
        expect(call.delta).toBeLessThanOrEqual(1);
        expect(put.delta).toBeLessThanOrEqual(0);
        expect(put.delta).toBeGreaterThanOrEqual(-1);
        expect(call.gamma).toBeGreaterThanOrEqual(0);
        expect(call.vega).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('time costs an option without rate and dividends', () => {
    fc.assert(
      fc.property(terms, fc.boolean(), ([spot, strike, years, , , volatility], isPut) => {
        expect(valueOption(spot, strike, years, 0, 0, volatility, isPut).theta).toBeLessThanOrEqual(0);
      }),
    );
  });

  test('all prices in other money are the same value in other money', () => {
    fc.assert(
      fc.property(terms, fc.boolean(), (of, isPut) => {
        const [spot, strike, ...rest] = of;
        const one = valueOption(...of, isPut);
        // Below that the numbers are no normal doubles, of fewer digits.
        fc.pre(one.price > 1e-290 && one.gamma > 1e-290);
        const four = valueOption(4 * spot, 4 * strike, ...rest, isPut);
        expect(four).toEqual({
          price: 4 * one.price,
          delta: one.delta,
          gamma: one.gamma / 4,
          theta: 4 * one.theta,
          vega: 4 * one.vega,
          rho: 4 * one.rho,
        });
      }),
    );
  });
});

describe('without time or volatility', () => {
  test('at expiry the value is intrinsic, and so is delta', () => {
    expect(valueOption(110, 100, 0, 0.05, 0.02, 0.3, false)).toMatchObject({ price: 10, delta: 1, gamma: 0, vega: 0 });
    expect(valueOption(110, 100, 0, 0.05, 0.02, 0.3, true)).toEqual({ price: 0, delta: 0, gamma: 0, theta: 0, vega: 0, rho: 0 });
    expect(valueOption(90, 100, 0, 0.05, 0.02, 0.3, true)).toMatchObject({ price: 10, delta: -1, gamma: 0, vega: 0 });
  });

  test('without volatility the value is that of the forward, discounted', () => {
    const { price, delta } = valueOption(100, 100, 1, 0.05, 0.02, 0, false);
    expect(price).toBeCloseTo(100 * Math.exp(-0.02) - 100 * Math.exp(-0.05), 12);
    expect(delta).toBeCloseTo(Math.exp(-0.02), 12);
    expect(valueOption(100, 100, 1, 0.05, 0.02, 0, true).price).toBe(0);
  });

  test.each([false, true])('the value is continuous there (put: %s)', (isPut) => {
    for (const strike of [80, 99, 101, 125]) {
      const certain = valueOption(100, strike, 0.5, 0.05, 0.02, 0, isPut);
      const nearly = valueOption(100, strike, 0.5, 0.05, 0.02, 1e-6, isPut);
      for (const field of FIELDS) expect(nearly[field], `${field} at ${strike}`).toBeCloseTo(certain[field], 12);
    }
  });

  test('no price is below 0, though nearly without volatility the two legs round to one number', () => {
    fc.assert(
      fc.property(between(-17, 0), between(0, 10), (exponent, deviations) => {
        const volatility = 10 ** exponent;
        expect(valueOption(100, 100 * Math.exp(deviations * volatility), 1, 0, 0, volatility, false).price).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });

  test('exactly at the money gamma and theta have no limit: NaN, not a number that could be ranked', () => {
    expect(valueOption(100, 100, 0, 0.05, 0, 0.3, false)).toEqual({ price: 0, delta: 0.5, gamma: NaN, theta: NaN, vega: 0, rho: 0 });
    expect(valueOption(100, 100, 0, 0.05, 0, 0.3, true).delta).toBe(-0.5);
  });
});

describe('deep in and out of the money', () => {
  test.each([1e-3, 1e3])('a strike of %d times the spot gives finite numbers', (moneyness) => {
    for (const isPut of [false, true]) {
      const value = valueOption(100, 100 * moneyness, 1 / 365, 0.05, 0.02, 0.1, isPut);
      for (const field of FIELDS) expect(value[field], field).toSatisfy(Number.isFinite);
      expect(value.price).toBeGreaterThanOrEqual(0);
    }
  });

  test('an extreme volatility gives the upper bound', () => {
    expect(valueOption(100, 120, 4, 0.05, 0.02, 50, false).price).toBeCloseTo(100 * Math.exp(-0.08), 10);
    expect(valueOption(100, 120, 4, 0.05, 0.02, 50, true).price).toBeCloseTo(120 * Math.exp(-0.2), 10);
  });
});

test.each<[string, Terms]>([
  ['no spot', [0, 100, 1, 0.05, 0, 0.2]],
  ['a negative strike', [100, -1, 1, 0.05, 0, 0.2]],
  ['an expired option', [100, 100, -0.01, 0.05, 0, 0.2]],
  ['a negative volatility', [100, 100, 1, 0.05, 0, -0.2]],
  ['an infinite volatility', [100, 100, 1, 0.05, 0, Infinity]],
  ['a missing volatility', [100, 100, 1, 0.05, 0, NaN]],
  ['a missing spot', [NaN, 100, 1, 0.05, 0, 0.2]],
  ['a missing rate', [100, 100, 1, NaN, 0, 0.2]],
  ['a missing rate at no volatility', [100, 100, 1, NaN, 0, 0]],
])('%s gives NaN in every field', (_, of) => {
  expect(valueOption(...of, false)).toEqual({ price: NaN, delta: NaN, gamma: NaN, theta: NaN, vega: NaN, rho: NaN });
});

test('the result is written into the object that is passed', () => {
  const into: Valuation = { price: 0, delta: 0, gamma: 0, theta: 0, vega: 0, rho: 0 };
  expect(valueOption(100, 100, 1, 0.05, 0.02, 0.25, true, into)).toBe(into);
  expect(into).toEqual(valueOption(100, 100, 1, 0.05, 0.02, 0.25, true));
});
