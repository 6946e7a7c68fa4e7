import { expect, test } from 'vitest';
import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';
import { IV_SOURCE } from '../../../../services/market/options/pricing/greeks.ts';
import { type Surface, surfaceOf } from '../../../../services/market/options/pricing/surface.ts';
import { describeWithData } from '../../../support/shared-data.ts';
import { lastQuotes, universe, universeDays } from '../june-2014.ts';

// A quarter of a per cent: what three months and less paid in June 2014.
const MARKET = { rate: 0.0025, dividendYield: 0 };

/** The stock's close, by `equity/usa/daily/aapl.zip` of the same folder: not read by the code under test. */
const CLOSES: Readonly<Record<string, number>> = {
  '2014-06-02': 628.65,
  '2014-06-03': 637.54,
  '2014-06-04': 644.82,
  '2014-06-05': 647.35,
  '2014-06-06': 645.57,
  '2014-06-09': 93.7,
  '2014-06-10': 94.25,
  '2014-06-11': 93.86,
  '2014-06-12': 92.26,
  '2014-06-13': 91.28,
  '2014-06-16': 92.2,
};

/**
 * Published at noon of 2014-06-05 by the exchange (CBOE Mid-day Update 6.5.14, cboeoptionshub.com): implied volatility of AAPL's June, July, August and
 * October options 23, 22, 24 and 23; VXAPL, its 30-day index, 24.33 against a 10-day mean of 22.41. The index weighs in the wings, so it lies over the money.
 */
const PUBLISHED = { '2014-06-21': 0.23, '2014-07-19': 0.22, '2014-08-16': 0.24, '2014-10-18': 0.23 };
const VXAPL = 0.2433;

const timesOf = (chain: Chain) => expiryTimes(chain.expirations, chain.asOf);
const surface = (chain: Chain): Surface => surfaceOf(chain, timesOf(chain), MARKET);

/** Contracts by the source of their IV, of those that are alive and quoted on both sides. */
function origins(chain: Chain, { greeks }: Surface) {
  const { expired } = timesOf(chain);
  const counts = { quoted: 0, missing: 0, own: 0, partner: 0, smile: 0 };
  const names = ['missing', 'own', 'partner', 'smile'] as const;
  for (const [i, source] of greeks.ivSource.entries()) {
    if (!(chain.bid[i]! > 0 && chain.ask[i]! >= chain.bid[i]!) || expired[chain.expiry[i]!] === 1) continue;
    counts.quoted++;
    counts[names[source]!]++;
  }
  return counts;
}

/** Places of contracts that are alive and quoted, but have no IV. */
function missing(chain: Chain, { greeks }: Surface): number[] {
  const { expired } = timesOf(chain);
  const isMissing = (i: number) => chain.bid[i]! > 0 && expired[chain.expiry[i]!] === 0 && greeks.ivSource[i] === IV_SOURCE.missing;
  return [...chain.contracts.keys()].filter(isMissing);
}

/** Worth no more than its exercise: no volatility explains that. */
function isUnderIntrinsic({ bid, ask, strike, isPut, spot }: Chain, i: number): boolean {
  const intrinsic = isPut[i] === 1 ? strike[i]! - spot : spot - strike[i]!;
  return intrinsic > 0 && (bid[i]! + ask[i]!) / 2 <= intrinsic * 1.001;
}

/** Root mean square of smile - IV in points, of the out-of-the-money contracts within 2.5 standard deviations. */
function smileError(chain: Chain, { forwards, greeks, atTheMoneyIv, smileIv }: Surface, e: number): number {
  const widest = 2.5 * atTheMoneyIv[e]! * Math.sqrt(timesOf(chain).years[e]!);
  const errors: number[] = [];
  for (const [i, strike] of chain.strike.entries()) {
    const k = Math.log(strike / forwards.price[e]!);
    const fits = chain.expiry[i] === e && (chain.isPut[i] === 1) === k < 0 && Math.abs(k) <= widest;
    if (fits && greeks.ivSource[i] !== IV_SOURCE.missing) errors.push(100 * (smileIv[i]! - greeks.iv[i]!));
  }
  return Math.hypot(...errors) / Math.sqrt(errors.length);
}

describeWithData('lean/option', 'AAPL in June 2014', () => {
  test.each(['2014-06-06', '2014-06-09'])('the last quotes of %s have a surface without a gap, near the published one', async (day) => {
    const chain = await lastQuotes(day, CLOSES[day]!);
    const found = surface(chain);
    const counts = origins(chain, found);
    console.log(day, `30-day IV ${found.iv30.toFixed(4)}`, counts);
    expect(missing(chain, found).filter((i) => !isUnderIntrinsic(chain, i))).toEqual([]);
    expect(counts.missing / counts.quoted).toBeLessThan(0.04);
    expect(Math.abs(found.iv30 - VXAPL)).toBeLessThan(0.045);
    for (const [e, expiration] of chain.expirations.entries()) {
      const { years, expired } = timesOf(chain);
      if (expired[e] === 1) continue;
      const error = smileError(chain, found, e);
      const parity = found.forwards.price[e]!;
      console.log(
        expiration,
        `forward ${parity.toFixed(2)}, at the money ${found.atTheMoneyIv[e]!.toFixed(4)}, smile ${found.smiles[e]?.points} points, off by ${error.toFixed(2)}`,
      );
      expect(error, expiration).toBeLessThan(0.75);
      // $3.29 a quarter before the split ($0.47 after) is 2 % a year: the forward falls by no more.
      expect(found.forwards.fromParity[e]).toBe(1);
      expect(Math.abs(Math.log(parity / chain.spot))).toBeLessThan(0.001 + 0.02 * years[e]!);
    }
  });

  test('the monthly expirations are within 2.5 points of what the exchange published that day', () => {
    const chain = universe('2014-06-05');
    const { atTheMoneyIv, iv30 } = surface(chain);
    for (const [expiration, published] of Object.entries(PUBLISHED)) {
      const found = atTheMoneyIv[chain.expirations.indexOf(expiration)]!;
      console.log(expiration, `at the money ${found.toFixed(4)}, published ${published}`);
      expect(Math.abs(found - published), expiration).toBeLessThan(0.025);
    }
    console.log(`30-day IV ${iv30.toFixed(4)}, VXAPL ${VXAPL}`);
    expect(Math.abs(iv30 - VXAPL)).toBeLessThan(0.03);
  });

  test('each of the eleven days has a 30-day IV but the one without prices, and no contract is NaN in part', () => {
    const days = universeDays();
    expect(days).toHaveLength(11);
    for (const day of days) {
      const chain = universe(day);
      const found = surface(chain);
      const counts = origins(chain, found);
      console.log(
        day,
        `30-day IV ${found.iv30.toFixed(4)}, feed without IV ${chain.iv.filter((iv) => iv === 0).length} of ${chain.iv.length}`,
        counts,
      );
      if (day === '2014-06-06') expect([counts.quoted, found.iv30]).toEqual([0, Number.NaN]);
      else {
        expect(found.iv30).toBeGreaterThan(0.15);
        expect(found.iv30).toBeLessThan(0.26);
        expect(missing(chain, found).filter((i) => chain.strike[i]! < 2 * chain.spot && !isUnderIntrinsic(chain, i))).toEqual([]);
      }
      const { iv, delta, gamma, theta, vega } = found.greeks;
      const whole = (i: number) => [delta, gamma, theta, vega].every((column) => Number.isFinite(column[i]!));
      expect([...iv.keys()].filter((i) => !Number.isNaN(iv[i]!) && !whole(i))).toEqual([]);
    }
  });

  test('the forward tells the close of the stock although the file has that of the day before', () => {
    for (const day of universeDays()) {
      if (day === '2014-06-06') continue;
      const chain = universe(day);
      const { forwards } = surface(chain);
      const june21 = forwards.price[chain.expirations.indexOf('2014-06-21')]!;
      // Last trades of the day, some of them hours old.
      expect(Math.abs(june21 / CLOSES[day]! - 1), day).toBeLessThan(0.003);
    }
  });
});
