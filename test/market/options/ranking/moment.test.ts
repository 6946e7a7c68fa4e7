/** What depends on the moment of a ranking: which quotes are too old, which day the chain belongs to, and what is kept. */
import { describe, expect, test } from 'vitest';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import { rankUnderlying, sessionOf } from '../../../../services/market/options/ranking/run.ts';
import { chainBuilder } from '../../../../services/market/options/sources/chain-builder.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

// Friday 2026-03-06: New York closes at 21:00 UTC; the clocks go forward on Sunday, so that Monday opens at 13:30 UTC.
const FRIDAY_CLOSE = '2026-03-06T21:00:00Z';
const SATURDAY = '2026-03-07T17:00:00Z';
const MONDAY = '2026-03-09T15:00:00Z';
const EXPIRY = '2026-04-17';
const STRIKES = [90, 95, 100, 105, 110];

type Source = 'file' | 'lean';

/** Calls and puts at 25 %, all quoted at `quotedAt`, or at the chain's own moment. */
function chainAt(asOf: string, quotedAt?: string, source: Source = 'file') {
  const builder = chainBuilder({ underlying: 'ACME', source });
  const years = (Date.parse(`${EXPIRY}T20:00:00Z`) - Date.parse(asOf)) / (365 * 86_400_000);
  for (const strike of STRIKES)
    for (const isPut of [false, true]) {
      const { price } = valueOption(100, strike, years, DEFAULT_RULES.risk_free_rate, 0, 0.25, isPut);
      const counts = { volume: 50, openInterest: 500 };
      const at = quotedAt === undefined ? undefined : Date.parse(quotedAt);
      builder.add({ underlying: 'ACME', expiry: EXPIRY, isPut, strike }, { bid: price - 0.02, ask: price + 0.02, ...counts, quotedAt: at });
    }
  return builder.build({ asOf: Temporal.Instant.from(asOf), spot: 100 });
}

function rank(chain: ReturnType<typeof chainAt>, now: string, more: Partial<Parameters<typeof rankUnderlying>[0]> = {}) {
  const around = { trend: 'neutral', ivHistory: [], days: [], positions: [], rules: DEFAULT_RULES, dividendYield: 0 } as const;
  return rankUnderlying({ chain, mode: 'monitor', now: Temporal.Instant.from(now), ...around, ...more });
}

describe('the age of quotes, 30 minutes at most, is measured', () => {
  test.each([
    ['while the market is open at now', MONDAY, '2026-03-09T14:30:00Z', '2026-03-09T14:29:59.999Z'],
    ['on a Saturday at the close of Friday', SATURDAY, '2026-03-06T20:30:00Z', '2026-03-06T20:29:59.999Z'],
    ['before Monday’s opening at the close of Friday', '2026-03-09T13:29:59Z', '2026-03-06T20:30:00Z', '2026-03-06T20:29:59.999Z'],
    ['on Friday evening at the close', '2026-03-06T23:00:00Z', '2026-03-06T20:30:00Z', '2026-03-06T20:29:59.999Z'],
  ])('%s', (_, now, fresh, stale) => {
    expect(rank(chainAt(fresh, fresh), now)).toMatchObject({ ranked: { eligible: 10 }, atmIv: expect.closeTo(0.25, 3) });
    expect(rank(chainAt(fresh, stale), now)).toMatchObject({ ranked: { eligible: 0, reasons: { stale_quote: 10 } }, atmIv: null });
  });

  test('by the moment of the chain where a contract has none of its own', () => {
    expect(rank(chainAt('2026-03-09T14:30:00Z'), MONDAY).ranked.eligible).toBe(10);
    expect(rank(chainAt('2026-03-09T14:29:59Z'), MONDAY).ranked.reasons.stale_quote).toBe(10);
  });

  test('in the chain of a Lean folder at its own close, however long ago', () => {
    const { ranked } = rank(chainAt(FRIDAY_CLOSE, FRIDAY_CLOSE, 'lean'), '2029-01-01T12:00:00Z');
    expect(ranked.eligible).toBe(10);
    expect(ranked.ranks[0]!.dte).toBe(42);
    // The same quotes in a file are of a chain that has expired.
    expect(rank(chainAt(FRIDAY_CLOSE, FRIDAY_CLOSE), '2029-01-01T12:00:00Z').ranked.reasons.expired).toBe(10);
  });
});

test.each([
  ['the evening', '2026-03-06T23:00:00Z', '2026-03-06'],
  ['a Sunday', '2026-03-08T17:00:00Z', '2026-03-06'],
  ['the minute before the opening', '2026-03-09T13:29:59Z', '2026-03-06'],
  ['the opening', '2026-03-09T13:30:00Z', '2026-03-09'],
])('a chain of %s (%s) belongs to the session of %s', (_, asOf, date) => {
  expect(sessionOf({ asOf: Temporal.Instant.from(asOf) })).toBe(date);
  expect(rank(chainAt(asOf), asOf).day.date).toBe(date);
});

test('IV rank and percentile are those of the days before, of the run and of every row; 19 days with today are none', () => {
  const dates = Array.from({ length: 19 }, (_, i) => Temporal.PlainDate.from('2026-02-01').add({ days: i }).toString());
  // Lowest 0.21, highest 0.37, today 0.25: a quarter of the way; 1 of 20 days is below.
  const ivHistory = dates.map((date, i) => ({ date, iv: i === 0 ? 0.21 : i === 1 ? 0.37 : 0.3 }));
  const of = (history: typeof ivHistory) => rank(chainAt(FRIDAY_CLOSE), FRIDAY_CLOSE, { ivHistory: history });
  const run = of(ivHistory);
  expect(run.ivRank).toBeCloseTo(25, 0);
  expect(run.ivPercentile).toBe(5);
  for (const { iv_rank, iv_percentile } of run.ranked.ranks) expect([iv_rank, iv_percentile]).toEqual([run.ivRank, run.ivPercentile]);
  expect(of(ivHistory.slice(1))).toMatchObject({ ivRank: null, ivPercentile: null });
});

test('every position is kept, of contracts only the best top_n', () => {
  const rules = { ...DEFAULT_RULES, top_n: 3 };
  const positions = Array.from({ length: 7 }, (_, i) => ({ id: String(i), contract: 'ACME260417C00100000', entryPrice: 5 }));
  const chain = chainAt(FRIDAY_CLOSE);
  expect(rank(chain, FRIDAY_CLOSE, { mode: 'exit', positions, rules }).ranked.ranks).toHaveLength(7);
  expect(rank(chain, FRIDAY_CLOSE, { mode: 'entry', positions, rules }).ranked.ranks).toHaveLength(3);
});
