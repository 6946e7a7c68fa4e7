/** Which quote gives a contract its forward, its volatility and its Greeks, at the edges of the rules. */
import { describe, expect, test } from 'vitest';
import type { ExpiryTimes } from '../../../../services/market/options/chain/time.ts';
import { forwardsOf } from '../../../../services/market/options/pricing/forward.ts';
import { DEFAULT_IV_LIMITS, IV_SOURCE } from '../../../../services/market/options/pricing/greeks.ts';
import { gridOf, type Market } from '../../../../services/market/options/pricing/grid.ts';
import { surfaceOf } from '../../../../services/market/options/pricing/surface.ts';
import { chainOf, pricedPairs, type Quoted } from '../chain/quoted-chain.ts';

const NOW = '2026-06-16T20:00:00Z';
const EXPIRATION = '2027-06-16';
const NO_RATE: Market = { rate: 0, dividendYield: 0 };

/** The surface of quotes whose expirations are so many years away. */
function surface(spot: number, quotes: readonly Quoted[], market: Market, years: readonly number[] = [1]) {
  const chain = chainOf(NOW, spot, quotes);
  const times: ExpiryTimes = {
    dte: Int32Array.from(years, (y) => y * 365),
    years: Float64Array.from(years),
    expired: new Uint8Array(years.length),
  };
  return surfaceOf(chain, times, market, { limits: DEFAULT_IV_LIMITS });
}

describe('the forward', () => {
  const times = { dte: Int32Array.of(365), years: Float64Array.of(1), expired: new Uint8Array(1) };
  const forward = (spot: number, quotes: readonly Quoted[], rate = 0.05) => {
    const { price, fromParity } = forwardsOf(gridOf(chainOf(NOW, spot, quotes), times, { rate, dividendYield: 0 }));
    return [price[0]!, fromParity[0]!] as const;
  };
  /** Call and put whose parity gives this forward at a rate of 5 %: call - put = (forward - strike) / e^0.05. */
  const telling = (strike: number, implied: number): Quoted[] => {
    const difference = (implied - strike) / Math.exp(0.05);
    const [call, put] = [10 + Math.max(difference, 0), 10 + Math.max(-difference, 0)];
    return [
      { expiration: EXPIRATION, strike, isPut: true, bid: put, ask: put },
      { expiration: EXPIRATION, strike, bid: call, ask: call },
    ];
  };

  test('is the median of the strikes that tell one, the mean of the middle two of four, whichever side stands first', () => {
    const three = [...telling(95, 101), ...telling(100, 103), ...telling(105, 104)];
    expect(forward(98, three)).toEqual([expect.closeTo(103, 10), 1]);
    expect(forward(98, three.toReversed())).toEqual([expect.closeTo(103, 10), 1]);
    expect(forward(98, [...three, ...telling(110, 106)])).toEqual([expect.closeTo(103.5, 10), 1]);
  });

  test('is not that of quotes more than 10 % off the grown spot in a year, in either direction', () => {
    const quotes = [95, 100, 105].flatMap((strike) => telling(strike, 100));
    for (const sign of [1, -1]) {
      // The spot whose growth at 5 % is so much above or below 100, in logarithms.
      const at = (gap: number) => forward(100 * Math.exp(sign * gap - 0.05), quotes);
      expect(at(0.099)).toEqual([expect.closeTo(100, 10), 1]);
      expect(at(0.101)).toEqual([expect.closeTo(100 * Math.exp(sign * 0.101), 10), 0]);
    }
  });
});

describe('the volatility of a contract', () => {
  // Haug, The Complete Guide to Option Pricing Formulas, 2nd edition: S 100, K 95, half a year, r 10 %, q 5 %, σ 20 %: the put is worth 2.4648.
  const HAUG = { expiration: EXPIRATION, strike: 95, isPut: true, bid: 2.4648, ask: 2.4648 };

  test('counts the yield of the configuration where the quotes tell no forward', () => {
    const { greeks, forwards } = surface(100, [HAUG], { rate: 0.1, dividendYield: 0.05 }, [0.5]);
    expect(forwards.price[0]).toBeCloseTo(100 * Math.exp(0.025), 10);
    expect(greeks.iv[0]).toBeCloseTo(0.2, 4);
    // Its parity: -e^(-qT) N(-d1), d1 = (ln(100/95) + (0.1 - 0.05 + 0.02) 0.5) / (0.2 √0.5) = 0.61019; N(-0.61019) = 0.27087.
    expect(greeks.delta[0]).toBeCloseTo(-0.27087 * Math.exp(-0.025), 4);
  });

  test('at a strike exactly at the forward is the call’s, of put and call alike', () => {
    // Without a rate the forward is the spot; the put is quoted lower than parity says.
    const { greeks } = surface(
      100,
      [
        { expiration: EXPIRATION, strike: 100, isPut: true, bid: 7, ask: 7 },
        { expiration: EXPIRATION, strike: 100, bid: 7.9655674554058, ask: 7.9655674554058 },
      ],
      NO_RATE,
    );
    // N(0.1) - N(-0.1) = 0.079655674554058: 20 %.
    expect([...greeks.iv]).toEqual([expect.closeTo(0.2, 10), expect.closeTo(0.2, 10)]);
    expect([...greeks.ivSource]).toEqual([IV_SOURCE.partner, IV_SOURCE.own]);
  });

  test('in the money, alone, is its own where the feed’s explains a quote that is too wide to be solved', () => {
    // Worth 20 at once, and 24.59 at 20 % and a rate of 5 % (Black-Scholes); half the spread is 5.
    const call = { expiration: EXPIRATION, strike: 80, bid: 19.59, ask: 29.59 };
    const market = { rate: 0.05, dividendYield: 0 };
    expect(surface(100, [{ ...call, iv: 0.2 }], market).greeks).toMatchObject({
      iv: Float64Array.of(0.2),
      ivSource: Uint8Array.of(IV_SOURCE.own),
    });
    expect(surface(100, [call], market).greeks.ivSource[0]).toBe(IV_SOURCE.missing);
    const { iv, ivSource } = surface(100, [{ ...call, bid: 24.5788, ask: 24.5988 }], market).greeks;
    expect([iv[0], ivSource[0]]).toEqual([expect.closeTo(0.2, 4), IV_SOURCE.own]);
  });

  test('of one strike alone in each of two expirations is that of its own expiration', () => {
    const model = { spot: 100, rate: 0, dividendYield: 0 };
    const quotes = [
      ...pricedPairs({ ...model, expiration: '2026-12-18', years: 0.5 }, [100], () => 0.2),
      ...pricedPairs({ ...model, expiration: EXPIRATION, years: 1 }, [100], () => 0.4),
    ];
    const { greeks, atTheMoneyIv } = surface(100, quotes, NO_RATE, [0.5, 1]);
    expect([...greeks.iv]).toEqual([0.2, 0.2, 0.4, 0.4].map((iv) => expect.closeTo(iv, 9)));
    expect([...atTheMoneyIv]).toEqual([expect.closeTo(0.2, 9), expect.closeTo(0.4, 9)]);
  });
});

test.each([
  [0, 'call'],
  [1, 'call'],
  [-1, 'put'],
  [0, 'put'],
])('a delta of %d from the feed is one of a %s', (delta, side) => {
  const isPut = side === 'put';
  const [quote] = pricedPairs(
    { expiration: EXPIRATION, years: 1, spot: 100, rate: 0, dividendYield: 0 },
    [isPut ? 90 : 110],
    () => 0.2,
  ).filter((one) => one.isPut === isPut);
  const { greeks } = surface(100, [{ ...quote!, iv: 0.2, delta, gamma: 0.01, theta: -0.01, vega: 0.3 }], NO_RATE);
  expect([greeks.delta[0], greeks.computed[0]]).toEqual([delta, 0]);
});

describe('the smile', () => {
  const STRIKES = Array.from({ length: 61 }, (_, i) => 70 + i);
  const flat = pricedPairs({ expiration: EXPIRATION, years: 0.04, spot: 100, rate: 0, dividendYield: 0 }, STRIKES, () => 0.25);
  /** The curvature of the smile after the out-of-the-money contract of one strike is quoted at 60 % in place of 25 %; everything as wide as a cent. */
  const bent = (strike: number) => {
    const [odd] = pricedPairs({ expiration: EXPIRATION, years: 0.04, spot: 100, rate: 0, dividendYield: 0 }, [strike], () => 0.6);
    const quotes = flat.map((quote) => (quote.strike === strike && !quote.isPut ? odd! : quote));
    return Math.abs(surface(100, quotes, NO_RATE, [0.04]).smiles[0]!.curve);
  };

  test('is that of strikes within four standard deviations of the money', () => {
    // One deviation is 0.25 √0.04 = 5 %: 121 is 3.81 of them away, 123 is 4.14.
    expect(bent(121)).toBeGreaterThan(1e-3);
    expect(bent(123)).toBeLessThan(1e-6);
  });

  test('needs five strikes, and takes each by its only contract', () => {
    const out = flat.filter(({ strike, isPut }) => strike % 2 === 0 && strike >= 96 && strike <= 104 && isPut === strike < 100);
    expect(out).toHaveLength(5);
    expect(surface(100, out, NO_RATE, [0.04]).smiles[0]).toMatchObject({ points: 5, curve: expect.closeTo(0, 6) });
    expect(surface(100, out.slice(1), NO_RATE, [0.04]).smiles[0]).toBeUndefined();
  });

  test('counts a quote without a spread as one that is a cent wide', () => {
    const wide = (half: number) =>
      flat.map((quote) => (quote.strike === 104 ? { ...quote, bid: quote.bid! + 0.3 - half, ask: quote.ask! + 0.3 + half } : quote));
    const level = (half: number) => surface(100, wide(half), NO_RATE, [0.04]).smiles[0]!.level;
    expect(level(0.005)).toBeCloseTo(level(0), 12);
    expect(Math.abs(level(0.05) - level(0))).toBeGreaterThan(1e-6);
  });
});
