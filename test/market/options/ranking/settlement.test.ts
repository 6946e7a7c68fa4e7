import { expect, test } from 'vitest';
import type { Contract } from '../../../../services/market/options/chain/contract.ts';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import { rankUnderlying } from '../../../../services/market/options/ranking/run.ts';
import { chainBuilder } from '../../../../services/market/options/sources/chain-builder.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const SPOT = 6000;
const VOLATILITY = 0.18;
/** The third Friday of December 2026: SPX is settled at its opening (14:30 UTC), SPXW at its close (21:00 UTC). */
const FRIDAY = '2026-12-18';
const STRIKES = Array.from({ length: 25 }, (_, i) => 5700 + 25 * i);

/** Contracts of both roots priced at 18 % to the end of each, as of `now`. */
function chain(now: string, roots: Readonly<Record<string, string>>) {
  const asOf = Temporal.Instant.from(now);
  const builder = chainBuilder({ underlying: '^SPX', source: 'file' });
  for (const [root, end] of Object.entries(roots)) {
    const years = Math.max(Temporal.Instant.from(end).epochMilliseconds - asOf.epochMilliseconds, 0) / (365 * 86_400_000);
    for (const strike of STRIKES)
      for (const isPut of [false, true]) {
        const { price } = valueOption(SPOT, strike, years, DEFAULT_RULES.risk_free_rate, 0, VOLATILITY, isPut);
        const contract: Contract = { underlying: root, expiry: FRIDAY, isPut, strike };
        builder.add(contract, {
          bid: Math.max(price - 0.1, 0.05),
          ask: price + 0.15,
          volume: 50,
          openInterest: 500,
          quotedAt: asOf.epochMilliseconds,
        });
      }
  }
  return builder.build({ asOf, spot: SPOT });
}

function rank(now: string, roots: Readonly<Record<string, string>>) {
  const around = { trend: 'neutral', ivHistory: [], days: [], positions: [], rules: DEFAULT_RULES, dividendYield: 0 } as const;
  return rankUnderlying({ chain: chain(now, roots), mode: 'monitor', now: Temporal.Instant.from(now), ...around });
}

const OPENING = '2026-12-18T14:30:00Z';
const CLOSE = '2026-12-18T21:00:00Z';

test('SPX and SPXW of one Friday stand beside each other, and the volatility is that of both: 0.18', () => {
  // The day before, at noon in New York. Mixed on one strike they gave 0.1635.
  const { atmIv, ranked } = rank('2026-12-17T17:00:00Z', { SPX: OPENING, SPXW: CLOSE });
  expect(Math.abs(atmIv! - VOLATILITY)).toBeLessThan(0.002);
  // Further out a quote of cents says little.
  for (const { iv, contract, strike } of ranked.ranks)
    if (Math.abs(strike / SPOT - 1) < 0.01) expect(Math.abs(iv - VOLATILITY), contract).toBeLessThan(0.01);
  expect(new Set(ranked.ranks.map(({ contract }) => contract.slice(0, -15)))).toEqual(new Set(['SPX', 'SPXW']));
});

test('SPX has expired at the opening of its last day; SPXW goes on to the close, alone in the surface', () => {
  const { atmIv, ranked } = rank('2026-12-18T16:00:00Z', { SPX: OPENING, SPXW: CLOSE });
  expect(ranked.reasons.expired).toBe(2 * STRIKES.length);
  expect(ranked.ranks.every(({ contract }) => contract.startsWith('SPXW'))).toBe(true);
  expect(Math.abs(atmIv! - VOLATILITY)).toBeLessThan(0.003);
});

test('SPX alone after the opening has no volatility: it has ended', () => {
  const { atmIv, ranked } = rank('2026-12-18T16:00:00Z', { SPX: OPENING });
  expect([atmIv, ranked.eligible, ranked.reasons.expired]).toEqual([null, 0, 2 * STRIKES.length]);
});

test('SPXW alone is priced to the close of its day', () => {
  const { atmIv } = rank('2026-12-16T16:00:00Z', { SPXW: CLOSE });
  expect(Math.abs(atmIv! - VOLATILITY)).toBeLessThan(0.001);
});
