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

/** See the test that uses it. */
const SSVI = 0.28755392483762093;

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

  test.each([
    { skew: -0.5, curvature: 1.4 },
    { skew: -0.5, curvature: 0 },
    { skew: 1, curvature: 0.5 },
    { skew: -1, curvature: 0.5 },
  ])('a surface with arbitrage is refused: %o', (shape) => {
    expect(() => volatilityAt({ today: 0.2, longRun: 0.2, ...shape }, 0, 1)).toThrow(RangeError);
    expect(volatilityAt({ today: 0.2, longRun: 0.2, skew: -0.5, curvature: 2 / 1.5 }, 0, 1)).toBeCloseTo(0.2, 12);
  });

  test('half of a deviation from the long run is gone after a quarter of a year', () => {
    // The variance a moment from then, by a central difference of its integral: half-way between 0.3² and 0.2².
    const surface: Surface = { today: 0.3, longRun: 0.2, skew: -0.3, curvature: 0.8 };
    const h = 1e-5;
    const at = (years: number) => (varianceAtTheMoney(surface, years + h) - varianceAtTheMoney(surface, years - h)) / (2 * h);
    expect(at(0.25)).toBeCloseTo((0.09 + 0.04) / 2, 7);
    expect(at(h)).toBeCloseTo(0.09, 4);
  });

  test('is the SSVI of Gatheral and Jacquier', () => {
    // Computed with Python from the formula in the paper: θ of 0.3² to 0.2² after half a year, ρ -0.4, η 0.9, k -0.1.
    expect(volatilityAt({ today: 0.3, longRun: 0.2, skew: -0.4, curvature: 0.9 }, -0.1, 0.5)).toBeCloseTo(SSVI, 10);
  });
});

describe('the same question has the same answer', () => {
  test('same seed, same moment, same chain; another seed or symbol another one', async () => {
    const chain = await chainOf('AAPL');
    expect(await chainOf('AAPL')).toEqual(chain);
    expect((await chainOf('AAPL', { seed: 2 })).iv).not.toEqual(chain.iv);
    expect((await chainOf('MSFT')).iv).not.toEqual(chain.iv);
  });

  test('and the same as in every version before: stored days of a seed go on with the next one', async () => {
    // Recorded when the past of contracts began to be stored.
    const { spot, contracts, iv, bid, ask, delta, volume, openInterest } = await chainOf('AAPL', { contracts: 300 });
    const shown = [0, 7, 40, 101, 152, 200, 251, 299].map((i) => ({
      contract: contracts[i],
      numbers: [iv[i], bid[i], ask[i], delta[i], volume[i], openInterest[i]].map((value) => Number(value!.toPrecision(8))),
    }));
    expect([spot, contracts.length, shown]).toMatchInlineSnapshot(`
      [
        52.64,
        304,
        [
          {
            "contract": "AAPL261120C00052200",
            "numbers": [
              0.25790613,
              0.37754264,
              0.50566999,
              0.9845451,
              0,
              3,
            ],
          },
          {
            "contract": "AAPL261120P00052500",
            "numbers": [
              0.19369308,
              0.0079724256,
              0.022198487,
              -0.18022058,
              16,
              4757,
            ],
          },
          {
            "contract": "AAPL261204C00052500",
            "numbers": [
              0.16415005,
              0.78558011,
              0.79823013,
              0.5582685,
              103,
              1508,
            ],
          },
          {
            "contract": "AAPL261231P00047500",
            "numbers": [
              0.21942827,
              0.080402966,
              0.15684504,
              -0.067632943,
              0,
              249,
            ],
          },
          {
            "contract": "AAPL270219C00055000",
            "numbers": [
              0.14850872,
              0.8218873,
              0.85775749,
              0.33741504,
              217,
              6893,
            ],
          },
          {
            "contract": "AAPL270521C00055000",
            "numbers": [
              0.15420729,
              1.7090314,
              1.7553507,
              0.43444336,
              319,
              5470,
            ],
          },
          {
            "contract": "AAPL271217P00060000",
            "numbers": [
              0.14607838,
              6.2456036,
              6.3221318,
              -0.69317793,
              3,
              695,
            ],
          },
          {
            "contract": "AAPL280915P00070000",
            "numbers": [
              0.13730031,
              13.065805,
              13.171841,
              -0.85359393,
              0,
              115,
            ],
          },
        ],
      ]
    `);
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
  test('what is worth less than a cent has no bid, everything else has one and a spread of a cent at least', async () => {
    for (const symbol of SYMBOLS) {
      const { bid, ask, contracts } = await chainOf(symbol, { contracts: 4500 });
      const wrong = contracts.filter((_, i) => {
        const mid = (bid[i]! + ask[i]!) / 2;
        return mid < 0.01 ? Math.abs(bid[i]!) > 1e-12 : !(bid[i]! > 0 && ask[i]! - bid[i]! >= Math.min(0.01, 1.8 * mid) - 1e-12);
      });
      expect(wrong, symbol).toEqual([]);
    }
  });

  test('strikes are round steps around the forward, as many to each side', async () => {
    const { strike, expiry, expirations, spot } = await chainOf('AAPL');
    for (const [e] of expirations.entries()) {
      const own = [...new Set([...strike].filter((_, i) => expiry[i] === e))].sort((a, b) => a - b);
      const steps = new Set(own.slice(1).map((one, i) => Number((one - own[i]!).toFixed(6))));
      expect(steps.size).toBe(1);
      const [step] = steps as unknown as Iterable<number>;
      const digits = step! / 10 ** Math.floor(Math.log10(step!) + 1e-9);
      expect([1, 2.5, 5]).toContain(Number(digits.toFixed(6)));
      const below = own.filter((one) => one < spot).length;
      // A forward of two years at 4 % is up to 9 % above the spot.
      expect(Math.abs(below - own.length / 2)).toBeLessThanOrEqual(Math.max(2, own.length / 4));
    }
  });

  test('more is open out of the money than in it, at round strikes, and at monthly expirations', async () => {
    const { strike, expiry, expirations, isPut, openInterest, spot } = await chainOf('SPY', { contracts: 4500 });
    const open = (of: (i: number) => boolean) => openInterest.reduce((sum, count, i) => (of(i) ? sum + count : sum), 0);
    const isOut = (i: number) => (isPut[i] === 1) === strike[i]! < spot;
    expect(open(isOut)).toBeGreaterThan(1.2 * open((i) => !isOut(i)));
    const mean = (of: (i: number) => boolean) => open(of) / strike.filter((_, i) => of(i)).length;
    expect(mean((i) => strike[i]! % 10 === 0)).toBeGreaterThan(mean((i) => strike[i]! % 5 === 0 && strike[i]! % 10 !== 0));
    const on = (date: string) => (i: number) => expirations[expiry[i]!] === date;
    // 2026-12-18 is the third Friday; a week before it the same distance counts for less than the 2.5 of a month.
    expect(mean(on('2026-12-18'))).toBeGreaterThan(1.5 * mean(on('2026-12-11')));
  });

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
