import { describe, expect, test } from 'vitest';
import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { simulatedChains } from '../../../../services/market/options/sources/simulated.ts';
import { type Surface, varianceAtTheMoney, volatilityAt } from '../../../../services/market/options/sources/simulated-surface.ts';
import { simulatedSource } from '../../../../services/market/sources/simulated.ts';
import { ManualClock } from '../../../../services/platform/clock.ts';
import fc from '../../../support/fast-check.ts';

const signal = new AbortController().signal;
// A Friday afternoon in New York.
const NOW = '2026-11-20T19:00:00Z';
const SYMBOLS = ['AAPL', 'MSFT', 'F', 'BRK.B', 'SPY', 'NVDA', 'T', 'XOM'];

const chainOf = (symbol: string, options: Partial<Parameters<typeof simulatedChains>[0]> & { now?: string } = {}): Promise<Chain> =>
  simulatedChains({ seed: 1, clock: new ManualClock(options.now ?? NOW), ...options }).chain(symbol, signal);

interface Quote {
  expiry: string;
  strike: number;
  call: number;
  put: number;
}

/** Mid prices of call and put by expiration and strike, strikes ascending. */
function mids(chain: Chain): Quote[][] {
  const quotes = new Map<string, Quote>();
  for (let i = 0; i < chain.contracts.length; i++) {
    const expiry = chain.expirations[chain.expiry[i]!]!;
    const strike = chain.strike[i]!;
    const quote = quotes.get(`${expiry}/${strike}`) ?? { expiry, strike, call: Number.NaN, put: Number.NaN };
    quote[chain.isPut[i] === 1 ? 'put' : 'call'] = (chain.bid[i]! + chain.ask[i]!) / 2;
    quotes.set(`${expiry}/${strike}`, quote);
  }
  return chain.expirations.map((expiry) =>
    [...quotes.values()].filter((quote) => quote.expiry === expiry).sort((a, b) => a.strike - b.strike),
  );
}

/** Rounding of doubles, in dollars. */
const DUST = 1e-9;

describe('no arbitrage on mid prices, over all contracts', () => {
  test('verticals: a call gets cheaper with the strike and a put dearer, neither by more than the strike’s discounted difference', async () => {
    const broken: unknown[] = [];
    for (const symbol of SYMBOLS) {
      for (const quotes of mids(await chainOf(symbol, { rate: 0 }))) {
        for (const [i, quote] of quotes.entries()) {
          const next = quotes[i + 1];
          if (next === undefined) continue;
          const width = next.strike - quote.strike;
          const [call, put] = [quote.call - next.call, next.put - quote.put];
          if (!(call >= -DUST && call <= width + DUST && put >= -DUST && put <= width + DUST)) broken.push([symbol, quote, next]);
        }
      }
    }
    expect(broken).toEqual([]);
  });

  test('butterflies: prices are convex in the strike', async () => {
    const broken: unknown[] = [];
    let seen = 0;
    for (const symbol of SYMBOLS) {
      for (const quotes of mids(await chainOf(symbol, { contracts: 4500 }))) {
        for (const [i, middle] of quotes.entries()) {
          const [low, high] = [quotes[i - 1], quotes[i + 1]];
          if (low === undefined || high === undefined) continue;
          seen++;
          const weight = (high.strike - middle.strike) / (high.strike - low.strike);
          for (const side of ['call', 'put'] as const) {
            if (!(weight * low[side] + (1 - weight) * high[side] - middle[side] >= -DUST)) broken.push([symbol, side, middle]);
          }
        }
      }
    }
    expect(broken).toEqual([]);
    expect(seen).toBeGreaterThan(15_000);
  });

  test('calendars: at a rate and yield of 0 no later option is cheaper at the same strike', async () => {
    const broken: unknown[] = [];
    let seen = 0;
    for (const symbol of SYMBOLS) {
      const latest = new Map<number, Quote>();
      for (const quote of mids(await chainOf(symbol, { contracts: 4500, rate: 0 })).flat()) {
        const earlier = latest.get(quote.strike);
        if (earlier !== undefined) seen++;
        if (earlier !== undefined && !(quote.call >= earlier.call - DUST && quote.put >= earlier.put - DUST))
          broken.push([symbol, earlier, quote]);
        latest.set(quote.strike, quote);
      }
    }
    expect(broken).toEqual([]);
    expect(seen).toBeGreaterThan(2_000);
  });

  test('parity: call − put = S e^(−qT) − K e^(−rT)', async () => {
    const chain = await chainOf('AAPL', { rate: 0.05, dividendYield: 0.02 });
    const { years } = expiryTimes(chain.expirations, chain.asOf);
    for (const [expiry, quotes] of mids(chain).entries()) {
      for (const { call, put, strike } of quotes) {
        expect(call - put).toBeCloseTo(chain.spot * Math.exp(-0.02 * years[expiry]!) - strike * Math.exp(-0.05 * years[expiry]!), 9);
      }
    }
  });

  test('the surface: Durrleman’s g ≥ 0 and total variance grows with time, for any surface that is allowed', () => {
    const surfaces = fc
      .record({
        today: fc.double({ min: 0.05, max: 1.5, noNaN: true }),
        longRun: fc.double({ min: 0.05, max: 1.5, noNaN: true }),
        skew: fc.double({ min: -0.95, max: 0.95, noNaN: true }),
        share: fc.double({ min: 0.05, max: 1, noNaN: true }),
      })
      .map(({ share, ...rest }): Surface => ({ ...rest, curvature: (2 * share) / (1 + Math.abs(rest.skew)) }));
    const years = fc.double({ min: 0.01, max: 3, noNaN: true });
    const moneyness = fc.double({ min: -2, max: 2, noNaN: true });
    fc.assert(
      fc.property(surfaces, years, moneyness, (surface, t, k) => {
        const variance = (at: number, time = t) => volatilityAt(surface, at, time) ** 2 * time;
        // g of Gatheral and Jacquier (2014), section 2.2, by central differences.
        const h = 1e-3 * Math.sqrt(varianceAtTheMoney(surface, t));
        const [left, here, right] = [variance(k - h), variance(k), variance(k + h)];
        const slope = (right - left) / (2 * h);
        const bend = (right - 2 * here + left) / (h * h);
        const g = (1 - (k * slope) / (2 * here)) ** 2 - (slope ** 2 / 4) * (1 / here + 1 / 4) + bend / 2;
        expect(g).toBeGreaterThan(-1e-4);
        expect(variance(k, t * 1.1)).toBeGreaterThanOrEqual(here * (1 - 1e-12));
      }),
      { numRuns: 3000 },
    );
  });

  test('a surface with arbitrage is refused', () => {
    expect(() => volatilityAt({ today: 0.2, longRun: 0.2, skew: -0.5, curvature: 1.4 }, 0, 1)).toThrow(RangeError);
  });
});

describe('the same question has the same answer', () => {
  test('same seed, same moment, same chain; another seed or symbol another one', async () => {
    const chain = await chainOf('AAPL');
    expect(await chainOf('AAPL')).toEqual(chain);
    expect((await chainOf('AAPL', { seed: 2 })).iv).not.toEqual(chain.iv);
    expect((await chainOf('MSFT')).iv).not.toEqual(chain.iv);
  });

  test('the underlying costs what the newest bar of the market with that seed closes at, and the quotes are of now', async () => {
    const chain = await chainOf('AAPL');
    const { bars } = await simulatedSource({ seed: 1, clock: new ManualClock(NOW) }).bars('AAPL', { from: '2026-11-20' }, signal);
    expect([chain.spot, chain.asOf.toString(), chain.source]).toEqual([bars.at(-1)?.close, NOW, 'simulated']);
  });

  test('the volatility at the money moves from month to month, within reason', async () => {
    const ivs: number[] = [];
    for (let month = 1; month <= 12; month++) {
      const { iv, delta } = await chainOf('AAPL', { now: `2026-${String(month).padStart(2, '0')}-10T16:00:00Z`, contracts: 400 });
      const nearest = delta.reduce((best, value, i) => (Math.abs(value - 0.5) < Math.abs(delta[best]! - 0.5) ? i : best), 0);
      ivs.push(iv[nearest]!);
    }
    expect(Math.max(...ivs) / Math.min(...ivs)).toBeGreaterThan(1.2);
    expect(Math.min(...ivs)).toBeGreaterThan(0.05);
    expect(Math.max(...ivs)).toBeLessThan(1.2);
  });
});

describe('expirations', () => {
  test('eight Fridays, third Fridays of eight months and of quarters to two years; the session before where a Friday has none', async () => {
    // 2026-12-25 and 2027-01-01 are holidays; so is 2027-06-18 (Juneteenth 2027, a Saturday, is observed on it).
    expect((await chainOf('AAPL')).expirations).toEqual(
      '2026-11-20 2026-11-27 2026-12-04 2026-12-11 2026-12-18 2026-12-24 2026-12-31 2027-01-08 2027-01-15 2027-02-19 2027-03-19 2027-04-16 2027-05-21 2027-06-17 2027-09-17 2027-12-17 2028-03-17 2028-06-16 2028-09-15'.split(
        ' ',
      ),
    );
  });

  test('today’s is listed until the close', async () => {
    expect((await chainOf('AAPL', { now: '2026-11-20T20:59:59Z' })).expirations[0]).toBe('2026-11-20');
    expect((await chainOf('AAPL', { now: '2026-11-20T21:00:00Z' })).expirations[0]).toBe('2026-11-27');
  });
});

describe('a plausible market', () => {
  test.each([200, 1000, 4500])('about as many contracts as are asked for: %i', async (contracts) => {
    for (const symbol of SYMBOLS) {
      const { length } = (await chainOf(symbol, { contracts })).contracts;
      expect(Math.abs(length / contracts - 1), symbol).toBeLessThan(0.1);
    }
  });

  test('every quote is sane: 0 ≤ bid ≤ ask, whole counts, and most contracts have a bid', async () => {
    for (const symbol of SYMBOLS) {
      const { bid, ask, volume, openInterest, iv, contracts, gaps } = await chainOf(symbol);
      const insane = contracts.filter(
        (_, i) => !(bid[i]! >= 0 && bid[i]! < ask[i]! && Number.isInteger(volume[i]) && Number.isInteger(openInterest[i]) && iv[i]! > 0.03),
      );
      expect(insane).toEqual([]);
      expect(gaps).toBeUndefined();
      expect(bid.filter((price) => price > 0).length / contracts.length).toBeGreaterThan(0.75);
    }
  });

  test('spreads are a few percent at the money and widen to the wings; open interest thins out there', async () => {
    const { bid, ask, delta, openInterest } = await chainOf('AAPL', { contracts: 4500 });
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
    const of = (from: number, to: number, value: (i: number) => number) =>
      median([...delta.keys()].filter((i) => bid[i]! > 0 && Math.abs(delta[i]!) >= from && Math.abs(delta[i]!) < to).map(value));
    const spread = (i: number) => (200 * (ask[i]! - bid[i]!)) / (ask[i]! + bid[i]!);
    expect(of(0.4, 0.6, spread)).toBeLessThan(3);
    expect(of(0.02, 0.08, spread)).toBeGreaterThan(2 * of(0.4, 0.6, spread));
    expect(of(0.95, 1, (i) => openInterest[i]!)).toBeLessThan(0.2 * of(0.3, 0.5, (i) => openInterest[i]!));
  });
});

test('symbols that begin with XX are unknown', async () => {
  await expect(chainOf('XXNO')).rejects.toMatchObject({ name: 'PermanentError', code: 'source.unknown_symbol' });
});
