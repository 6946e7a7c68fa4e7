/** Chains as they really were, from the source to the ranking. Skipped where ../shared/data is absent. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Chain } from '../../../services/market/options/chain/chain.ts';
import { rankUnderlying } from '../../../services/market/options/ranking/run.ts';
import { MODES, type Mode } from '../../../services/market/options/scoring/parts.ts';
import { leanChains } from '../../../services/market/options/sources/lean.ts';
import { yahooChains } from '../../../services/market/options/sources/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';
import { DEFAULT_RULES } from './scoring/design-rules.ts';

const signal = new AbortController().signal;

function rank(chain: Chain, mode: Mode, now: Temporal.Instant) {
  const positions = mode === 'exit' ? [{ id: '1', contract: chain.contracts[0] as string, entryPrice: 2 }] : [];
  return rankUnderlying({
    ...{ chain, mode, now, positions },
    ...{ trend: 'neutral', ivHistory: [], days: [], rules: DEFAULT_RULES, dividendYield: 0 },
  }).ranked;
}

const BIDS: Readonly<Record<string, number>> = { '2014-06-06': 2195, '2014-06-09': 1982 };

/** The path of every number in `value` that is not finite. */
function notFinite(value: unknown, path = ''): string[] {
  if (typeof value === 'number') return Number.isFinite(value) ? [] : [`${path}: ${value}`];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) => notFinite(inner, `${path}.${key}`));
}

describeWithData('lean/option/usa', 'AAPL in June 2014', () => {
  const source = leanChains(sharedData('lean'));

  test.each(source.days('AAPL'))('%s ranks without a NaN, every contract ranked or left out for a reason', async (day) => {
    const chain = await source.chain('AAPL', signal, day);
    for (const mode of MODES) {
      const run = rank(chain, mode, chain.asOf);
      const leftOut = Object.entries(run.reasons).filter(([, count]) => count > 0);
      console.log(
        `${day} ${mode}: ${run.eligible} of ${run.total} eligible; ${leftOut.map(([reason, count]) => `${count} ${reason}`).join(', ')}`,
      );
      expect(notFinite(run)).toEqual([]);
      // Counted in the quotes' zip with Python's zipfile: contracts with a bid. The other days' files have closes only.
      if (mode !== 'exit') expect(run.eligible).toBeLessThanOrEqual(BIDS[day] ?? 0);
      if (mode !== 'exit' && day in BIDS) expect(run.eligible + run.reasons.illiquid).toBeGreaterThan(0.9 * (BIDS[day] as number));
      expect(run.eligible + leftOut.reduce((sum, [, count]) => sum + count, 0)).toBe(run.total);
    }
  });
});

describeWithData('lean/option/usa', 'the best entries of 2014-06-06', () => {
  test('can be traded: quoted within 10 %, a bid that is worth the exercise, and ten contracts traded or open', async () => {
    const chain = await leanChains(sharedData('lean')).chain('AAPL', signal, '2014-06-06');
    const { ranks } = rank(chain, 'entry', chain.asOf);
    for (const { contract, bid, side, strike, spread_pct, volume, open_interest, delta, iv } of ranks.slice(0, 50)) {
      const intrinsic = side === 'put' ? strike - chain.spot : chain.spot - strike;
      expect(spread_pct, contract).toBeLessThan(10);
      expect(bid, contract).toBeGreaterThanOrEqual(intrinsic);
      expect(Math.max(volume ?? 0, open_interest ?? Number.POSITIVE_INFINITY), contract).toBeGreaterThanOrEqual(10);
      expect(Math.abs(delta as number), contract).toBeLessThan(0.9);
      // The exchange published 22 % to 24 % for these months on the day before.
      expect(Math.abs(iv - 0.24), contract).toBeLessThan(0.04);
    }
  });
});

describeWithData('yahoo', 'chains of Yahoo from before the opening', () => {
  // Recorded on this Monday before New York opened.
  const now = Temporal.Instant.from('2025-02-24T12:00:00Z');
  const files = readdirSync(sharedData('yahoo'));
  const recordings = files.flatMap((file) => /^options-([A-Z]+)\.json$/.exec(file)?.[1] ?? []);
  const bodyOf = (symbol: string) => JSON.parse(readFileSync(sharedData(`yahoo/options-${symbol}.json`), 'utf8')).body;
  const quoted = recordings.filter((symbol) => (bodyOf(symbol).optionChain.result[0]?.options[0]?.calls ?? []).length > 0);

  test.each(quoted)('%s is refused contract by contract, and nothing unquoted is ranked', async (symbol) => {
    const body = bodyOf(symbol);
    // Of each chain one expiration was recorded.
    const [result] = body.optionChain.result;
    result.expirationDates = [result.options[0].expirationDate];
    const source = yahooChains({
      clock: new ManualClock(now.toString()),
      fetch: async (input) => {
        const { pathname } = new URL(String(input));
        if (pathname === '/v1/test/getcrumb') return new Response('crumb');
        if (pathname.startsWith('/v7/finance/options/')) return Response.json(body);
        return new Response('<html>', { headers: { 'set-cookie': 'A3=x; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure' } });
      },
    });
    const chain = await source.chain(symbol, signal);
    const run = rank(chain, 'monitor', now);
    const bids = chain.bid.filter((bid) => bid > 0).length;
    console.log(`${symbol}: ${run.eligible} of ${run.total} eligible, ${bids} with a bid; ${JSON.stringify(run.reasons)}`);
    expect(run.eligible).toBeLessThanOrEqual(bids);
    expect(run.reasons.no_bid + run.reasons.expired).toBeGreaterThanOrEqual(run.total - bids);
  });
});
