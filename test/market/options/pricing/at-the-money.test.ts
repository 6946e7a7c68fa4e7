import { expect, test } from 'vitest';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { atTheMoneyIvs, constantMaturityIv } from '../../../../services/market/options/pricing/at-the-money.ts';
import { gridOf } from '../../../../services/market/options/pricing/grid.ts';
import fc from '../../../support/fast-check.ts';
import { chainOf, type Quoted } from '../chain/quoted-chain.ts';

const NOW = '2026-06-16T20:00:00Z';
const EXPIRATION = '2027-06-16';

/** At the money of one expiration whose forward is 100, from contracts that already have their IV. */
function atTheMoney(quotes: (Omit<Quoted, 'expiration'> & { iv: number })[], forward = 100): number {
  const chain = chainOf(
    NOW,
    100,
    quotes.map((quote) => ({ ...quote, expiration: EXPIRATION, bid: 1, ask: 1 })),
  );
  const grid = gridOf(chain, expiryTimes(chain.expirations, chain.asOf), { rate: 0, dividendYield: 0 });
  return atTheMoneyIvs(grid, Float64Array.of(forward), chain.iv)[0]!;
}

test('it lies between the put below the forward and the call above, linear in log-moneyness', () => {
  // By hand: ln(98/100) = -0.0202027, ln(105/100) = 0.0487902: the put counts 0.0487902 / 0.0689929 = 70.7177 %.
  const contracts = [
    { strike: 98, isPut: true, iv: 0.3 },
    { strike: 98, iv: 0.9 },
    { strike: 105, iv: 0.2 },
    { strike: 105, isPut: true, iv: 0.9 },
  ];
  expect(atTheMoney(contracts)).toBeCloseTo(0.2 + 0.1 * 0.707177, 6);
});

test('only the nearest strikes count, in whatever order they come', () => {
  const contracts = [
    { strike: 120, iv: 0.8 },
    { strike: 101, iv: 0.2 },
    { strike: 80, isPut: true, iv: 0.8 },
    { strike: 100 / 1.01, isPut: true, iv: 0.3 },
  ];
  expect(atTheMoney(contracts)).toBeCloseTo(0.25, 12);
});

test('a strike at the forward gives its own', () => {
  expect(
    atTheMoney([
      { strike: 100, iv: 0.22 },
      { strike: 90, isPut: true, iv: 0.5 },
    ]),
  ).toBe(0.22);
  expect(atTheMoney([{ strike: 100, iv: 0.22 }])).toBe(0.22);
});

test('a strike without an out-of-the-money IV is stood for by its other side, and passed over without either', () => {
  const inside = [
    { strike: 99, isPut: true, iv: Number.NaN },
    { strike: 100 / 1.02, isPut: true, iv: Number.NaN },
    { strike: 100 / 1.02, iv: 0.3 },
    { strike: 102, iv: 0.2 },
  ];
  expect(atTheMoney(inside)).toBeCloseTo(0.25, 12);
  const [, , call] = inside;
  expect(atTheMoney([call!, ...inside.filter((one) => one !== call)])).toBeCloseTo(0.25, 12);
});

test('one side of the forward alone, or strikes over 25 % away, give none', () => {
  expect(
    atTheMoney([
      { strike: 101, iv: 0.2 },
      { strike: 102, iv: 0.2 },
    ]),
  ).toBeNaN();
  expect(atTheMoney([{ strike: 98, isPut: true, iv: 0.2 }])).toBeNaN();
  expect(
    atTheMoney([
      { strike: 70, isPut: true, iv: 0.2 },
      { strike: 101, iv: 0.2 },
    ]),
  ).toBeNaN();
  expect(
    atTheMoney([
      { strike: 99, isPut: true, iv: 0.2 },
      { strike: 130, iv: 0.2 },
    ]),
  ).toBeNaN();
  expect(atTheMoney([])).toBeNaN();
});

const days = (...counts: number[]) => Float64Array.from(counts, (count) => count / 365);

test('thirty days lie between the expirations around them, linear in total variance', () => {
  // By hand: 0.04 · 20 = 0.8 and 0.09 · 50 = 4.5 of variance days; a third of the way 2.0333 / 30 = 0.0677778.
  expect(constantMaturityIv(days(20, 50), Float64Array.of(0.2, 0.3))).toBeCloseTo(Math.sqrt(0.0677777778), 9);
});

test('only the nearest on either side count, and those without an IV are passed over', () => {
  const ivs = Float64Array.of(0.9, 0.2, Number.NaN, Number.NaN, 0.3, 0.9);
  expect(constantMaturityIv(days(2, 20, 25, 40, 50, 400), ivs)).toBeCloseTo(Math.sqrt(0.0677777778), 9);
});

test('an expiration in thirty days gives its own', () => {
  expect(constantMaturityIv(days(10, 30, 60), Float64Array.of(0.9, 0.25, 0.8))).toBeCloseTo(0.25, 12);
});

test('with all expirations on one side it is that of the nearest', () => {
  expect(constantMaturityIv(days(40, 60), Float64Array.of(0.3, 0.2))).toBe(0.3);
  expect(constantMaturityIv(days(5, 12), Float64Array.of(0.3, 0.2))).toBe(0.2);
});

test('without an expiration that is alive and has an IV it is missing', () => {
  expect(constantMaturityIv(days(20, 50), Float64Array.of(Number.NaN, 0))).toBeNaN();
  expect(constantMaturityIv(days(-1, 0), Float64Array.of(0.2, 0.2))).toBeNaN();
  expect(constantMaturityIv(days(), Float64Array.of())).toBeNaN();
});

test('one volatility for all expirations is that of thirty days, and total variance never leaves its neighbours', () => {
  const anIv = fc.double({ min: 0.05, max: 3, noNaN: true });
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 12 }),
      anIv,
      fc.array(anIv, { minLength: 12, maxLength: 12 }),
      (counts, flat, ivs) => {
        const years = days(...counts.sort((a, b) => a - b));
        expect(constantMaturityIv(years, new Float64Array(years.length).fill(flat))).toBeCloseTo(flat, 10);
        const variances = Array.from(years, (year, e) => ivs[e]! ** 2 * year);
        const variance = constantMaturityIv(years, Float64Array.from(ivs.slice(0, years.length))) ** 2 * (30 / 365);
        if (counts[0]! > 30 || counts.at(-1)! < 30) return;
        expect(variance).toBeGreaterThanOrEqual(Math.min(...variances) * (1 - 1e-9));
        expect(variance).toBeLessThanOrEqual(Math.max(...variances) * (1 + 1e-9));
      },
    ),
  );
});
