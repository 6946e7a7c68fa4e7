import { describe, expect, test } from 'vitest';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { IV_SOURCE } from '../../../../services/market/options/pricing/greeks.ts';
import { surfaceOf } from '../../../../services/market/options/pricing/surface.ts';
import { chainOf, type Quoted } from '../chain/quoted-chain.ts';

const SPOT = 100;
const RATE = 0.04;
const VOLATILITY = 0.25;
const NOW = '2026-06-16T20:00:00Z';

/** An American option by the binomial tree of Cox, Ross and Rubinstein (1979): independent of the code under test, which knows European options only. */
function american(strike: number, years: number, isPut: boolean, steps = 1000): number {
  const up = Math.exp(VOLATILITY * Math.sqrt(years / steps));
  const growth = Math.exp((RATE * years) / steps);
  const chance = (growth - 1 / up) / (up - 1 / up);
  const payoff = (step: number, ups: number) => Math.max((isPut ? -1 : 1) * (SPOT * up ** (2 * ups - step) - strike), 0);
  const values = Array.from({ length: steps + 1 }, (_, ups) => payoff(steps, ups));
  for (let step = steps - 1; step >= 0; step--)
    for (let ups = 0; ups <= step; ups++)
      values[ups] = Math.max((chance * values[ups + 1]! + (1 - chance) * values[ups]!) / growth, payoff(step, ups));
  return values[0]!;
}

const expirationIn = (days: number) => Temporal.PlainDate.from('2026-06-16').add({ days }).toString();

/** Quotes of American options around the tree's price, two cents wide. */
function quotes(days: number, strikes: readonly number[]): Quoted[] {
  return strikes.flatMap((strike) =>
    [false, true].map((isPut): Quoted => {
      const mid = american(strike, days / 365, isPut);
      return { expiration: expirationIn(days), strike, isPut, bid: Math.max(mid - 0.01, 0.0001), ask: mid + 0.01 };
    }),
  );
}

function surface(given: readonly Quoted[]) {
  const chain = chainOf(NOW, SPOT, given);
  const found = surfaceOf(chain, expiryTimes(chain.expirations, chain.asOf), { rate: RATE, dividendYield: 0 });
  const at = (strike: number, isPut: boolean) => {
    const i = given.findIndex((one) => one.strike === strike && (one.isPut ?? false) === isPut);
    const { iv, delta, ivSource } = found.greeks;
    return { iv: iv[i]!, delta: delta[i]!, source: ivSource[i]! };
  };
  return { found, at };
}

const STRIKES = [80, 85, 90, 95, 100, 105, 110, 115, 120];

describe('an American put deep in the money, priced by a tree at 25 %', () => {
  // σ and delta by Black-Scholes-Merton at 25 %: N(d1) - 1 with d1 = -1.327 and -1.870.
  test('of 90 days and strike 120 has the volatility 0.25 and the delta -0.908', () => {
    const put = surface(quotes(90, STRIKES)).at(120, true);
    expect(Math.abs(put.iv - 0.25)).toBeLessThan(0.002);
    expect(Math.abs(put.delta + 0.908)).toBeLessThan(0.005);
    expect(put.source).toBe(IV_SOURCE.partner);
  });

  test('of 30 days and strike 115 has the volatility 0.25 and the delta -0.969', () => {
    const put = surface(quotes(30, STRIKES)).at(115, true);
    expect(Math.abs(put.iv - 0.25)).toBeLessThan(0.002);
    expect(Math.abs(put.delta + 0.969)).toBeLessThan(0.005);
  });

  test("has it also when the feed's own IV explains its quote", () => {
    const given = quotes(90, STRIKES).map((one) =>
      one.strike === 120 && one.isPut ? { ...one, iv: 0.322, delta: -0.84, gamma: 0.01, theta: -0.01, vega: 0.1 } : one,
    );
    const put = surface(given).at(120, true);
    expect(Math.abs(put.iv - 0.25)).toBeLessThan(0.002);
    expect(Math.abs(put.delta + 0.908)).toBeLessThan(0.005);
  });

  test('has that of the smile where its call is not quoted', () => {
    const given = quotes(90, STRIKES).filter(({ strike, isPut }) => !(strike === 120 && !isPut));
    const put = surface(given).at(120, true);
    expect(Math.abs(put.iv - 0.25)).toBeLessThan(0.004);
    expect(put.source).toBe(IV_SOURCE.smile);
  });

  test("has its delta by the smile's volatility, whatever Greeks the feed gives", () => {
    const given = quotes(90, STRIKES)
      .filter(({ strike, isPut }) => !(strike === 120 && !isPut))
      .map((one) => (one.strike === 120 ? { ...one, iv: 0.322, delta: -0.84, gamma: 0.01, theta: -0.01, vega: 0.1 } : one));
    const put = surface(given).at(120, true);
    expect(Math.abs(put.delta + 0.908)).toBeLessThan(0.005);
    expect(put.source).toBe(IV_SOURCE.smile);
  });

  test('without a call and without a smile has its own only for extrinsic value over half its spread', () => {
    const own = american(120, 90 / 365, true);
    const extrinsic = own - 20;
    const alone = (halfSpread: number) =>
      surface([{ expiration: expirationIn(90), strike: 120, isPut: true, bid: own - halfSpread, ask: own + halfSpread }]).at(120, true);
    expect(alone(extrinsic * 0.99).source).toBe(IV_SOURCE.own);
    expect(alone(extrinsic * 1.01).source).toBe(IV_SOURCE.missing);
    expect(alone(extrinsic * 1.01).iv).toBeNaN();
  });
});

test('every contract of an American chain has the volatility 0.25, in the money and out of it', () => {
  const given = quotes(90, STRIKES);
  const { found } = surface(given);
  for (const [i, iv] of found.greeks.iv.entries()) expect(Math.abs(iv - 0.25), JSON.stringify(given[i])).toBeLessThan(0.004);
  // A put at the money holds some early-exercise value too.
  expect(Math.abs(found.iv30 - 0.25)).toBeLessThan(0.003);
});

test('put and call of a strike have one IV, one gamma and one vega, and deltas that differ by one', () => {
  const { at } = surface(quotes(90, STRIKES));
  for (const strike of STRIKES) {
    expect(at(strike, true).iv).toBe(at(strike, false).iv);
    expect(at(strike, false).delta - at(strike, true).delta).toBeCloseTo(1, 12);
  }
});

test('an expiration whose calls alone are quoted still has a volatility at the money', () => {
  const calls = quotes(30, STRIKES).filter(({ isPut }) => !isPut);
  expect(Math.abs(surface(calls).found.iv30 - 0.25)).toBeLessThan(0.005);
});
