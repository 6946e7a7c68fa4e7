import { expect, test } from 'vitest';
import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { type Surface, surfaceOf } from '../../../../services/market/options/pricing/surface.ts';
import fc from '../../../support/fast-check.ts';
import { chainOf, pricedPairs, type Quoted } from '../chain/quoted-chain.ts';

const NOW = '2026-06-16T20:00:00Z';
const RATE = 0.04;
const STRIKES = Array.from({ length: 61 }, (_, i) => 70 + i);

const surface = (chain: Chain, trusted?: Uint8Array): Surface =>
  surfaceOf(chain, expiryTimes(chain.expirations, chain.asOf), { rate: RATE, dividendYield: 0 }, { trusted });

/** Quotes of a known surface: total variance of `base` a year at the money, skewed and curved, with a dividend yield of 2 %. */
function known(days: number, base: number): Quoted[] {
  const years = days / 365;
  const forward = 100 * Math.exp((RATE - 0.02) * years);
  const expiration = Temporal.PlainDate.from('2026-06-16').add({ days }).toString();
  const iv = (strike: number) =>
    Math.sqrt((base * years - 0.02 * Math.log(strike / forward) + 0.1 * Math.log(strike / forward) ** 2) / years);
  return pricedPairs({ expiration, years, spot: 100, rate: RATE, dividendYield: 0.02 }, STRIKES, iv);
}

test('a known surface is found again from its quotes', () => {
  // 16 July and 14 August are 30 and 59 days away; in both months New York keeps summer time.
  const chain = chainOf(NOW, 100, [...known(30, 0.0625), ...known(59, 0.09)]);
  const found = surface(chain);
  expect(found.forwards.price[0]).toBeCloseTo(100 * Math.exp(0.02 * (30 / 365)), 8);
  expect(found.iv30).toBeCloseTo(0.25, 3);
  expect(found.atTheMoneyIv[1]).toBeCloseTo(0.3, 3);
  expect(found.smiles[0]).toMatchObject({ slope: expect.closeTo(-0.02, 5), curve: expect.closeTo(0.1, 4) });
  for (const [i, iv] of found.greeks.iv.entries()) {
    const k = Math.log(chain.strike[i]! / found.forwards.price[chain.expiry[i]!]!);
    const smile = found.smiles[chain.expiry[i]!]!;
    if (k > smile.lowestK && k < smile.highestK) expect(found.smileIv[i]! - iv, chain.contracts[i]).toBeCloseTo(0, 4);
  }
});

test('one cheap contract among its neighbours has an IV below its smile', () => {
  const quotes = known(59, 0.09);
  const cheap = quotes.findIndex(({ strike, isPut }) => strike === 108 && !isPut);
  quotes[cheap] = { ...quotes[cheap]!, bid: quotes[cheap]!.bid! * 0.9, ask: quotes[cheap]!.ask! * 0.9 };
  const { greeks, smileIv } = surface(chainOf(NOW, 100, quotes));
  expect(smileIv[cheap]! - greeks.iv[cheap]!).toBeGreaterThan(0.01);
});

test('a contract counts the less in its smile the wider it is quoted', () => {
  const quotes = known(59, 0.09);
  const cheap = quotes.findIndex(({ strike, isPut }) => strike === 108 && !isPut);
  const straight = surface(chainOf(NOW, 100, quotes)).smileIv[cheap]!;
  const bentBy = (halfSpread: number) => {
    const mid = quotes[cheap]!.bid! - 0.3;
    const changed = quotes.with(cheap, { ...quotes[cheap]!, bid: mid - halfSpread, ask: mid + halfSpread });
    return straight - surface(chainOf(NOW, 100, changed)).smileIv[cheap]!;
  };
  expect(bentBy(0.01)).toBeGreaterThan(0);
  // By hand: ten times the spread counts a hundredth.
  expect(bentBy(0.1)).toBeLessThan(bentBy(0.01) / 50);
  expect(bentBy(0.1)).toBeGreaterThan(bentBy(0.01) / 200);
});

test('a contract that is left out of the trusted has no IV and no smile, and does not bend those of others', () => {
  const quotes = known(59, 0.09);
  const stale = quotes.findIndex(({ strike, isPut }) => strike === 95 && isPut === true);
  quotes[stale] = { ...quotes[stale]!, bid: 20, ask: 20 };
  const trusted = new Uint8Array(quotes.length).fill(1);
  trusted[stale] = 0;
  const { greeks, smileIv, atTheMoneyIv } = surface(chainOf(NOW, 100, quotes), trusted);
  expect(greeks.iv[stale]).toBeNaN();
  expect(smileIv[stale]).toBeNaN();
  expect(atTheMoneyIv[0]).toBeCloseTo(0.3, 3);
  expect(smileIv[stale + 2]).toBeCloseTo(greeks.iv[stale + 2]!, 4);
});

test('a chain without a quote has no surface', () => {
  const found = surface(
    chainOf(
      NOW,
      100,
      known(30, 0.0625).map((quote) => ({ ...quote, bid: 0, ask: 0 })),
    ),
  );
  expect(found.iv30).toBeNaN();
  expect(found.smiles).toEqual([undefined]);
  expect(found.smileIv.every(Number.isNaN)).toBe(true);
});

test('an empty chain has an empty surface', () => {
  expect(surface(chainOf(NOW, 100, []))).toMatchObject({ iv30: Number.NaN, smiles: [], smileIv: new Float64Array() });
});

test('the order of the contracts does not matter', () => {
  const quotes = [...known(30, 0.0625), ...known(59, 0.09)];
  const straight = surface(chainOf(NOW, 100, quotes));
  fc.assert(
    fc.property(fc.shuffledSubarray([...quotes.keys()], { minLength: quotes.length }), (order) => {
      const shuffled = surface(
        chainOf(
          NOW,
          100,
          order.map((i) => quotes[i]!),
        ),
      );
      expect(shuffled.iv30).toBe(straight.iv30);
      expect(shuffled.smileIv).toEqual(Float64Array.from(order, (i) => straight.smileIv[i]!));
      expect(shuffled.greeks.delta).toEqual(Float64Array.from(order, (i) => straight.greeks.delta[i]!));
    }),
    { numRuns: 20 },
  );
});

test('whatever is quoted, an IV comes with all its Greeks and is within the limits, and nothing is thrown', () => {
  const price = fc.oneof(fc.constant(0), fc.constant(Number.NaN), fc.double({ min: 0.01, max: 120, noNaN: true }));
  const quote = fc.record({
    expiration: fc.constantFrom('2026-06-15', '2026-06-17', '2026-07-17', '2027-12-17'),
    strike: fc.integer({ min: 50, max: 150 }),
    isPut: fc.boolean(),
    bid: price,
    ask: price,
    iv: price,
    delta: price,
    gamma: price,
    theta: price,
    vega: price,
  });
  fc.assert(
    fc.property(fc.array(quote, { maxLength: 120 }), (quotes) => {
      const { greeks, iv30 } = surface(chainOf(NOW, 100, quotes));
      if (!Number.isNaN(iv30)) expect(iv30).toBeGreaterThan(0);
      for (const [i, iv] of greeks.iv.entries()) {
        const others = [greeks.delta[i]!, greeks.gamma[i]!, greeks.theta[i]!, greeks.vega[i]!];
        if (Number.isNaN(iv)) expect(others.every(Number.isNaN)).toBe(true);
        else {
          expect(others.every(Number.isFinite), JSON.stringify([quotes[i], iv, others])).toBe(true);
          expect(iv).toBeGreaterThan(0.01);
          expect(iv).toBeLessThanOrEqual(5);
        }
      }
    }),
  );
});
