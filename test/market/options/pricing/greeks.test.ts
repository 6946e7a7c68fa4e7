import { expect, test } from 'vitest';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { DEFAULT_IV_LIMITS, IV_SOURCE } from '../../../../services/market/options/pricing/greeks.ts';
import { surfaceOf } from '../../../../services/market/options/pricing/surface.ts';
import { chainOf, type Quoted } from '../chain/quoted-chain.ts';

const NOW = '2026-06-16T20:00:00Z';
/** One year of 365 days later. */
const YEAR = '2027-06-16';

function fill(spot: number, quotes: Quoted[], limits = DEFAULT_IV_LIMITS) {
  const chain = chainOf(NOW, spot, quotes);
  return surfaceOf(chain, expiryTimes(chain.expirations, chain.asOf), { rate: 0.05, dividendYield: 0 }, { limits }).greeks;
}

// The example of every textbook: spot 100, strike 100, a year, rate 5 %, volatility 20 %. Call 10.4506 (Hull, Options, Futures and Other Derivatives, gives
// d1 = 0.35, d2 = 0.15); Greeks by hand from N(0.35) = 0.6368307, n(0.35) = 0.3752403, N(0.15) = 0.5596177.
const CALL = { expiration: YEAR, strike: 100, bid: 10.4006, ask: 10.5006 };
const GREEKS = {
  delta: 0.6368307,
  gamma: 0.3752403 / 20,
  theta: -(100 * 0.3752403 * 0.1 + 0.05 * 100 * 0.951229425 * 0.5596177) / 365,
  vega: 0.3752403,
};

test('an IV that the feed lacks is solved from the mid, and the Greeks follow from it', () => {
  for (const iv of [undefined, 0, 1e-5, 9]) {
    const filled = fill(100, [{ ...CALL, iv }]);
    expect(filled.iv[0], `feed's IV ${iv}`).toBeCloseTo(0.2, 5);
    expect(filled.ivSource[0]).toBe(IV_SOURCE.own);
    expect(filled.delta[0]).toBeCloseTo(GREEKS.delta, 5);
    expect(filled.gamma[0]).toBeCloseTo(GREEKS.gamma, 6);
    expect(filled.theta[0]).toBeCloseTo(GREEKS.theta, 5);
    expect(filled.vega[0]).toBeCloseTo(GREEKS.vega, 5);
    expect(filled.computed[0]).toBe(1);
  }
});

test("the feed's IV is kept where it explains the quote", () => {
  // By hand: vega 0.375 a point, so 20.2 % prices 0.075 over the mid: 0.025 over the ask, less than the spread of 0.1.
  const filled = fill(100, [{ ...CALL, iv: 0.202 }]);
  expect(filled.iv[0]).toBe(0.202);
  expect(filled.ivSource[0]).toBe(IV_SOURCE.own);
  expect(filled.computed[0]).toBe(1);
});

test("the feed's IV is replaced where its price lies more than a spread outside of the quote", () => {
  // By hand: 20.5 % prices 0.19 over the mid, 0.14 over the ask.
  expect(fill(100, [{ ...CALL, iv: 0.205 }]).iv[0]).toBeCloseTo(0.2, 5);
  expect(fill(100, [{ ...CALL, iv: 0.195 }]).iv[0]).toBeCloseTo(0.2, 5);
  const wide = { ...DEFAULT_IV_LIMITS, outsideDollars: 0.2 };
  expect(fill(100, [{ ...CALL, iv: 0.205 }], wide).iv[0]).toBe(0.205);
});

const FEED = { delta: 0.61, gamma: 0.02, theta: -0.017, vega: 0.37 };

test("the feed's Greeks are kept beside its IV", () => {
  const { delta, gamma, theta, vega, computed } = fill(100, [{ ...CALL, iv: 0.2, ...FEED }]);
  expect({ delta: delta[0], gamma: gamma[0], theta: theta[0], vega: vega[0] }).toEqual(FEED);
  expect(computed[0]).toBe(0);
});

// The put beside CALL: 10.4506 - 100 + 100 e^-0.05 = 5.5735; its delta is that of the call less 1, gamma and vega are the same (put-call parity).
const PUT = { expiration: YEAR, strike: 100, isPut: true, bid: 5.5235, ask: 5.6235, iv: 0.2 };

test("a put's Greeks of the feed are kept, its delta below 0", () => {
  const { delta, computed } = fill(100, [{ ...PUT, ...FEED, delta: -0.37 }]);
  expect([delta[0], computed[0]]).toEqual([-0.37, 0]);
});

test.each([0.37, -1.01])("a put's Greeks are computed anew with a delta of %d from the feed", (given) => {
  const { delta, computed } = fill(100, [{ ...PUT, ...FEED, delta: given }]);
  expect(delta[0]).toBeCloseTo(GREEKS.delta - 1, 5);
  expect(computed[0]).toBe(1);
});

test.each([
  ['an IV of 0', { ...FEED, iv: 0 }],
  ['one of them missing', { ...FEED, theta: Number.NaN }],
  ['gamma 0', { ...FEED, gamma: 0 }],
  ['vega 0', { ...FEED, vega: 0 }],
  ['the delta of a put', { ...FEED, delta: -0.39 }],
  ['a delta over 1', { ...FEED, delta: 61 }],
])("the feed's Greeks are computed anew with %s", (_, given) => {
  const filled = fill(100, [{ ...CALL, iv: 0.2, ...given }]);
  expect(filled.delta[0]).toBeCloseTo(GREEKS.delta, 5);
  expect(filled.gamma[0]).toBeCloseTo(GREEKS.gamma, 6);
  expect(filled.theta[0]).toBeCloseTo(GREEKS.theta, 5);
  expect(filled.vega[0]).toBeCloseTo(GREEKS.vega, 5);
  expect(filled.computed[0]).toBe(1);
});

// The European formula cannot go below 150 · e^-0.05 - 100 = 42.7 for a put of strike 150 with the stock at 100; this mid of 42 does.
const DEEP_PUT = { expiration: YEAR, strike: 150, isPut: true, bid: 41.9, ask: 42.1 };
const ITS_CALL = { expiration: YEAR, strike: 150, bid: 0.9, ask: 1.1 };

test('in the money, where no IV explains the mid, it is that of the other side', () => {
  const filled = fill(100, [DEEP_PUT, ITS_CALL]);
  expect(filled.ivSource).toEqual(Uint8Array.of(IV_SOURCE.partner, IV_SOURCE.own));
  expect(filled.iv[0]).toBe(filled.iv[1]);
  // Put-call parity of the Greeks without dividends: delta differs by 1, gamma and vega are the same.
  expect(filled.delta[0]! - filled.delta[1]!).toBeCloseTo(-1, 12);
  expect(filled.gamma[0]).toBeCloseTo(filled.gamma[1]!, 12);
  expect(filled.vega[0]).toBeCloseTo(filled.vega[1]!, 12);
});

test('without another side, or out of the money, a contract whose mid has no IV has none, and no Greeks', () => {
  const alone = fill(100, [DEEP_PUT]);
  // An out-of-the-money call dearer than its stock.
  const dear = fill(100, [
    { ...ITS_CALL, bid: 101, ask: 102 },
    { ...DEEP_PUT, bid: 55, ask: 56 },
  ]);
  for (const filled of [alone, dear]) {
    expect(filled.ivSource[0]).toBe(IV_SOURCE.missing);
    for (const column of [filled.iv, filled.delta, filled.gamma, filled.theta, filled.vega]) expect(column[0]).toBeNaN();
    expect(filled.computed[0]).toBe(0);
  }
});

test('a contract that is crossed, has no bid or has expired gets nothing, and its IV is not believed', () => {
  const bad = [
    { ...CALL, bid: 10.6, iv: 0.2 },
    { ...CALL, strike: 101, bid: 0, iv: 0.2 },
    { ...CALL, strike: 102, ask: Number.NaN, iv: 0.2 },
    // At its expiration the model gives it the quoted 50 at any volatility.
    { ...CALL, expiration: '2026-06-16', strike: 50, bid: 49.95, ask: 50.05, iv: 0.2 },
  ];
  const filled = fill(100, bad);
  expect(filled.ivSource).toEqual(new Uint8Array(4));
  expect([...filled.iv].every(Number.isNaN)).toBe(true);
});

test('put and call of a strike agree on their IV when the stock pays a dividend that nobody told', () => {
  // Quotes of a stock that is worth 97 after its dividends, while the spot says 100: call and put at 95, 97, 100 by the same volatility, 25 %.
  const reference = [95, 97, 100].flatMap((strike) => {
    const [call, put] = textbook(97, strike, 0.05, 0.25);
    return [
      { expiration: YEAR, strike, bid: call, ask: call },
      { expiration: YEAR, strike, isPut: true, bid: put, ask: put },
    ];
  });
  const { iv } = fill(100, reference);
  for (const volatility of iv) expect(volatility).toBeCloseTo(0.25, 5);
});

/** Call and put of one year, with the normal distribution by Abramowitz and Stegun 26.2.17 (7.5e-8): independent of the code under test. */
function textbook(spot: number, strike: number, rate: number, volatility: number): [number, number] {
  const d1 = (Math.log(spot / strike) + rate) / volatility + volatility / 2;
  const discounted = strike * Math.exp(-rate);
  const call = spot * cdf(d1) - discounted * cdf(d1 - volatility);
  return [call, call - spot + discounted];
}

function cdf(x: number): number {
  if (x < 0) return 1 - cdf(-x);
  const t = 1 / (1 + 0.2316419 * x);
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return 1 - (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * series;
}
