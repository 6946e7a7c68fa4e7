import { describe, expect, test } from 'vitest';
import { impliedVolatility, MAX_VOLATILITY } from '../../../../services/market/options/pricing/implied-volatility.ts';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import fc from '../../../support/fast-check.ts';
import { optionValues } from './reference/option-values.ts';

const between = (min: number, max: number) => fc.double({ min, max, noNaN: true });

describe('from the reference prices', () => {
  const solved = optionValues.map((option) => {
    const { price, spot, strike, years, rate, dividendYield, isPut } = option;
    const spotLeg = spot * Math.exp(-dividendYield * years);
    const strikeLeg = strike * Math.exp(-rate * years);
    return {
      ...option,
      found: impliedVolatility(price, spot, strike, years, rate, dividendYield, isPut),
      isInTheMoney: isPut ? strikeLeg > spotLeg : spotLeg > strikeLeg,
      // By how much four rounding errors of the larger leg move the volatility: an in-the-money price does not say it any better.
      resolution: (4 * Number.EPSILON * Math.max(spotLeg, strikeLeg)) / (100 * option.vega),
    };
  });
  const outOfTheMoney = solved.filter(({ isInTheMoney }) => !isInTheMoney);
  const inTheMoney = solved.filter(({ isInTheMoney }) => isInTheMoney);

  test('every out-of-the-money price gives its volatility back to 1e-12, the 1e-256 dollars of the smallest too', () => {
    const priced = outOfTheMoney.filter(({ price }) => price > 0);
    expect(priced).toHaveLength(644);
    for (const { name, found, volatility } of priced) expect(Math.abs(found - volatility), `${name}: ${found}`).toBeLessThan(1e-12);
  });

  test('the 16 out-of-the-money prices that are no double any more give NaN', () => {
    const worthless = outOfTheMoney.filter(({ price }) => price === 0);
    expect(worthless).toHaveLength(16);
    for (const { name, found } of worthless) expect(found, name).toBeNaN();
  });

  test('every in-the-money price whose digits hold the volatility to 1e-7 gives it back to 1e-6', () => {
    const recoverable = inTheMoney.filter(({ resolution }) => resolution < 1e-7);
    expect(recoverable).toHaveLength(524);
    for (const { name, found, volatility } of recoverable) expect(Math.abs(found - volatility), `${name}: ${found}`).toBeLessThan(1e-6);
  });

  test('of the 136 others, all but digits of intrinsic value, 117 give NaN and 19 a volatility that has the same price to 1e-8', () => {
    const others = inTheMoney.filter(({ resolution }) => !(resolution < 1e-7));
    const answered = others.filter(({ found }) => !Number.isNaN(found));
    expect([others.length, answered.length]).toEqual([136, 19]);
    for (const { name, price, spot, strike, years, rate, dividendYield, isPut, found } of answered) {
      const again = valueOption(spot, strike, years, rate, dividendYield, found, isPut).price;
      expect(Math.abs(again - price), name).toBeLessThan(1e-8);
    }
  });
});

describe('for any terms', () => {
  test('an out-of-the-money price gives its volatility back', () => {
    fc.assert(
      fc.property(
        between(1, 1000),
        between(-1.5, 1.5),
        between(0.5 / 365, 3),
        between(-0.02, 0.12),
        between(0, 0.08),
        between(0.01, 5),
        (spot, logMoneyness, years, rate, dividendYield, volatility) => {
          const strike = spot * Math.exp(logMoneyness + (rate - dividendYield) * years);
          const isPut = logMoneyness < 0;
          const { price } = valueOption(spot, strike, years, rate, dividendYield, volatility, isPut);
          fc.pre(price > 1e-300 && price < 0.999 * (isPut ? strike * Math.exp(-rate * years) : spot * Math.exp(-dividendYield * years)));
          const found = impliedVolatility(price, spot, strike, years, rate, dividendYield, isPut);
          expect(Math.abs(found - volatility)).toBeLessThan(1e-9);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('any price inside the bounds gives NaN or a volatility of that price, and any outside gives NaN', () => {
    fc.assert(
      fc.property(
        between(1, 1000),
        between(0.3, 3),
        between(1 / 365, 3),
        between(-0.02, 0.12),
        between(0, 0.08),
        between(-0.2, 1.2),
        fc.boolean(),
        (spot, moneyness, years, rate, dividendYield, share, isPut) => {
          const strike = spot * moneyness;
          const spotLeg = spot * Math.exp(-dividendYield * years);
          const strikeLeg = strike * Math.exp(-rate * years);
          const floor = Math.max(0, isPut ? strikeLeg - spotLeg : spotLeg - strikeLeg);
          const ceiling = isPut ? strikeLeg : spotLeg;
          const price = floor + share * (ceiling - floor);
          const found = impliedVolatility(price, spot, strike, years, rate, dividendYield, isPut);
          if (share <= 0 || share >= 1) expect(found).toBeNaN();
          else if (Number.isNaN(found)) {
            const largest = valueOption(spot, strike, years, rate, dividendYield, MAX_VOLATILITY, isPut).price;
            expect(price < floor + 1e-13 * (spotLeg + strikeLeg) || price >= largest - 1e-12 * largest).toBe(true);
          } else {
            expect(found).toBeGreaterThan(0);
            const again = valueOption(spot, strike, years, rate, dividendYield, found, isPut).price;
            expect(Math.abs(again - price)).toBeLessThan(1e-13 * (spotLeg + strikeLeg));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a call and the put of its parity have one volatility', () => {
    fc.assert(
      fc.property(between(80, 125), between(0.02, 2), between(0.1, 1), (strike, years, volatility) => {
        const call = valueOption(100, strike, years, 0.04, 0.01, volatility, false).price;
        const put = valueOption(100, strike, years, 0.04, 0.01, volatility, true).price;
        fc.pre(call > 1e-3 && put > 1e-3);
        const fromCall = impliedVolatility(call, 100, strike, years, 0.04, 0.01, false);
        expect(fromCall).toBeCloseTo(impliedVolatility(put, 100, strike, years, 0.04, 0.01, true), 9);
      }),
    );
  });
});

test('at the money forward it is the quantile of the normal distribution', () => {
  // N(0.1) - N(-0.1) = 0.0796556745540580: volatility 0.2 over one year (Abramowitz and Stegun, table 26.1: N(0.1) = 0.53982783727702).
  expect(impliedVolatility(100 * (2 * 0.539827837277029 - 1), 100, 100, 1, 0, 0, false)).toBeCloseTo(0.2, 12);
});

test('a strike within rounding of the forward is solved like the strike at it', () => {
  const price = 100 * (2 * 0.539827837277029 - 1);
  for (const strike of [100 - 1e-13, 100 + 1e-13]) expect(impliedVolatility(price, 100, strike, 1, 0, 0, false)).toBeCloseTo(0.2, 12);
});

describe('NaN where there is no answer', () => {
  test('a price on or below the discounted intrinsic value', () => {
    expect(impliedVolatility(20, 120, 100, 1, 0, 0, false)).toBeNaN();
    expect(impliedVolatility(19.5, 120, 100, 1, 0, 0, false)).toBeNaN();
    expect(impliedVolatility(0, 100, 120, 1, 0, 0, false)).toBeNaN();
    expect(impliedVolatility(-1, 100, 120, 1, 0, 0, false)).toBeNaN();
  });

  test('a price on or above the underlying for a call, the discounted strike for a put', () => {
    expect(impliedVolatility(100 * Math.exp(-0.02), 100, 120, 1, 0.05, 0.02, false)).toBeNaN();
    expect(impliedVolatility(120 * Math.exp(-0.05), 100, 120, 1, 0.05, 0.02, true)).toBeNaN();
    expect(impliedVolatility(101, 100, 120, 1, 0.05, 0.02, false)).toBeNaN();
  });

  test('a volatility over the largest one, though one just below it is found', () => {
    const priceAt = (volatility: number) => valueOption(100, 150, 7 / 365, 0.05, 0, volatility, false).price;
    expect(impliedVolatility(priceAt(9.99), 100, 150, 7 / 365, 0.05, 0, false)).toBeCloseTo(9.99, 9);
    expect(impliedVolatility(priceAt(10.01), 100, 150, 7 / 365, 0.05, 0, false)).toBeNaN();
  });

  test.each([
    ['no time', [5, 100, 100, 0, 0.05, 0]],
    ['an expired option', [5, 100, 100, -0.1, 0.05, 0]],
    ['no spot', [5, 0, 100, 1, 0.05, 0]],
    ['a missing price', [NaN, 100, 100, 1, 0.05, 0]],
    ['a missing strike', [5, 100, NaN, 1, 0.05, 0]],
    ['a missing rate', [5, 100, 100, 1, NaN, 0]],
    ['a missing dividend yield', [5, 100, 100, 1, 0.05, NaN]],
    ['an infinite price', [Infinity, 100, 100, 1, 0.05, 0]],
  ] as [string, [number, number, number, number, number, number]][])('%s', (_, terms) => {
    expect(impliedVolatility(...terms, false)).toBeNaN();
    expect(impliedVolatility(...terms, true)).toBeNaN();
  });
});
