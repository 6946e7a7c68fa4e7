import { describe, expect, test } from 'vitest';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { screenFor } from '../../../services/picks/screen/screen.ts';
import type { UniverseMember } from '../../../services/picks/universe/input.ts';
import type { ScreenedUniverse } from '../../../services/picks/universe/universe.ts';
import { fundamentals, inventedMembers, member, screened, symbolOf, user, walk } from '../invented-universe.ts';

const UNIVERSE = screened(inventedMembers(60));
const symbols = (universe: ScreenedUniverse, ...of: Parameters<typeof user>) =>
  screenFor(universe, user(...of)).picks.map(({ candidate }) => candidate.symbol);
/** Members of one walk each with a sector for each: nothing but the gates decides. */
const plain = (count: number, change: (index: number) => { start?: number; volume?: number; sectorKey?: string }): UniverseMember[] =>
  Array.from({ length: count }, (_, index) => {
    const { start = 40, volume = 2e6, sectorKey = `sector-${index}` } = change(index);
    return member(symbolOf(index), walk(index, { start, volume, drift: 0 }), {
      fundamentals: fundamentals({ sectorKey, sector: sectorKey, dividendYield: 0.01 * index }),
    });
  });

describe('gates of a user', () => {
  test('a share that costs more than the monthly budget is not picked, unless parts of it can be bought', () => {
    const rich = user({ monthly_budget: 30 });
    const { gated } = screenFor(UNIVERSE, rich);
    const dear = UNIVERSE.candidates.filter(({ measures }) => measures.price > 30);
    expect(dear.length).toBeGreaterThan(5);
    for (const { symbol } of dear) expect(gated.get(symbol)?.gate).toMatch(/over_budget|illiquid/);
    const fractional = screenFor(UNIVERSE, user({ monthly_budget: 30, fractional: true })).gated;
    expect([...fractional.values()].map(({ gate }) => gate)).not.toContain('over_budget');
  });

  test('a price below five dollars is out', () => {
    const universe = screened(plain(8, (index) => (index === 0 ? { start: 1, volume: 1e9 } : {})));
    expect(screenFor(universe, user()).gated.get('AAX')?.gate).toBe('low_price');
  });

  test('more than a fifth of the portfolio is enough of it; a fifth is not', () => {
    const { gated } = screenFor(UNIVERSE, user({}, { AAX: 0.2001, ABX: 0.2 }));
    expect(gated.get('AAX')?.gate).toBe('overweight');
    expect(gated.get('ABX')?.gate).not.toBe('overweight');
  });

  test('who needs the money within a year needs twice the trade', () => {
    const limits = (timeline: string) => screenFor(UNIVERSE, user({ timeline, risk_tolerance: 'conservative' })).limits.dollarVolume;
    expect([limits('1-3'), limits('<1y')]).toEqual([25e6, 50e6]);
  });

  test.each([
    ['conservative', 0, 50],
    ['moderate', 0, 85],
    ['aggressive', 15, 100],
  ] as const)('%s picks move more than %f to %f percent of the universe', (risk_tolerance, low, high) => {
    const { picks, ranked, relaxed } = screenFor(UNIVERSE, user({ risk_tolerance }));
    expect(relaxed).toEqual([]);
    expect(picks).toHaveLength(6);
    for (const { candidate } of ranked) {
      const calmer = UNIVERSE.candidates.filter(({ measures }) => measures.sigma < candidate.measures.sigma).length;
      expect((100 * (calmer + 0.5)) / UNIVERSE.candidates.length).toBeGreaterThanOrEqual(low);
      expect((100 * (calmer + 0.5)) / UNIVERSE.candidates.length).toBeLessThanOrEqual(high);
    }
  });

  test('less than 45 of 100 weights is too little to know', () => {
    // Without figures 60 are measured; with 30 on quality and 30 on value only 40.
    const weights = { momentum: 10, trend: 10, low_volatility: 10, low_drawdown: 10, quality: 30, value: 30, income: 0 };
    const rules = { ...DEFAULT_RULES, weights: { ...DEFAULT_RULES.weights, moderate: weights } };
    const universe = screened(
      plain(8, () => ({})),
      { rules },
    );
    expect(screenFor(universe, user()).excluded).toMatchObject({ thin_data: 8 });
  });
});

describe('interests', () => {
  test('four of six picks are from the sectors of the user', () => {
    const screen = screenFor(UNIVERSE, user({ interests: ['Technology', 'energy'] }));
    const inside = screen.picks.filter(({ candidate }) => ['technology', 'energy'].includes(candidate.sectorKey ?? ''));
    expect(inside.length).toBeGreaterThanOrEqual(4);
    expect(screen.shortfall).toBeNull();
  });

  test('where a sector has too few, the report says so', () => {
    const screen = screenFor(UNIVERSE, user({ interests: ['real-estate'] }));
    expect(screen.picks).toHaveLength(6);
    expect(screen.shortfall).toEqual({ reason: 'too_few_in_interests', wanted: 4, found: 0 });
  });
});

describe('too few', () => {
  test('symbols that move alike are taken with a higher limit, which is named', () => {
    // Six walks with a common part: correlations lie between 0.8 and 0.9.
    const common = walk(500, { deviation: 0.02, start: 100, drift: 0 });
    const alike = Array.from({ length: 6 }, (_, index) => {
      const own = walk(600 + index, { deviation: 0.0087, start: 1, drift: 0 });
      const bars = common.map((bar, i) => ({ ...bar, close: bar.close * own[i]!.close, adjustedClose: bar.close * own[i]!.close }));
      return member(symbolOf(index), bars, { fundamentals: fundamentals({ sectorKey: `s${index}` }) });
    });
    const screen = screenFor(screened(alike), user({ fractional: true }));
    expect(screen.relaxed).toContain('correlation');
    const pairs = screen.picks.flatMap((one, i) =>
      screen.picks.slice(i + 1).map((other) => screened(alike).correlation(one.candidate.index, other.candidate.index)),
    );
    for (const pair of pairs) expect(pair).toBeLessThanOrEqual(0.9);
  });

  test('the cap of a sector falls where there is only one sector, and nothing else is relaxed', () => {
    const universe = screened(plain(12, () => ({ sectorKey: 'energy' })));
    const screen = screenFor(universe, user());
    expect(screen.picks).toHaveLength(6);
    expect(screen.relaxed).toEqual(['sector_cap']);
  });

  test('the band of volatility is widened last', () => {
    const universe = screened(plain(10, () => ({})));
    const screen = screenFor(universe, user({ risk_tolerance: 'conservative' }));
    expect(screen.relaxed).toEqual(['volatility_band']);
    expect(screen.limits.band).toEqual([0, 70]);
  });

  test('what a later relaxation makes needless is not relaxed', () => {
    // Five calm symbols, two of them alike: with ρ 0.9 there are five picks, with the wider band six, and then the pair is not needed.
    const calm = walk(1, { deviation: 0.005, start: 40, drift: 0 });
    const own = walk(2, { deviation: 0.003, start: 1, drift: 0 });
    const alike = calm.map((bar, i) => ({ ...bar, close: bar.close * own[i]!.close, adjustedClose: bar.close * own[i]!.close }));
    const others = [0.007, 0.008, 0.009, 0.015, 0.016, 0.03, 0.031, 0.032].map((deviation, i) =>
      walk(10 + i, { deviation, start: 40, drift: 0 }),
    );
    const bars = [calm, alike, ...others].map((prices) => prices.map((bar) => ({ ...bar, volume: 1e7 })));
    const universe = screened(bars.map((prices, i) => member(symbolOf(i), prices, { fundamentals: fundamentals({ sectorKey: `s${i}` }) })));
    expect(universe.correlation(0, 1)).toBeGreaterThan(0.8);
    expect(universe.correlation(0, 1)).toBeLessThan(0.9);
    const screen = screenFor(universe, user({ risk_tolerance: 'conservative', fractional: true }));
    expect(screen.picks).toHaveLength(6);
    expect(screen.relaxed).toEqual(['volatility_band']);
  });

  test('two limits that only help together are relaxed together', () => {
    // Four symbols of one sector, two of them within the band: neither a wider band nor a higher cap alone brings a third.
    const universe = screened(plain(4, () => ({ sectorKey: 'energy', volume: 1e7 })));
    const screen = screenFor(universe, user({ risk_tolerance: 'conservative', fractional: true }));
    expect(screen.picks).toHaveLength(3);
    expect(screen.relaxed).toEqual(['sector_cap', 'volatility_band']);
  });

  test('price and budget are never relaxed: five picks with a shortfall', () => {
    const universe = screened(plain(20, (index) => ({ start: index < 5 ? 40 : 4000, volume: 3e6 })));
    const screen = screenFor(universe, user({ monthly_budget: 300, risk_tolerance: 'moderate' }));
    expect(screen.picks.length).toBeLessThanOrEqual(5);
    expect(screen.shortfall).toMatchObject({ reason: 'too_few_candidates', wanted: 6 });
    expect(screen.excluded).toEqual({ over_budget: 15 });
  });

  test('a universe of fewer than fifty eligible symbols is small', () => {
    expect([screened(inventedMembers(49)).small, UNIVERSE.small]).toEqual([true, false]);
  });
});

test('picks do not depend on who else is screened', () => {
  const alone = symbols(screened(inventedMembers(60)), { risk_tolerance: 'aggressive' });
  symbols(UNIVERSE, { interests: ['energy'] });
  expect(symbols(UNIVERSE, { risk_tolerance: 'aggressive' })).toEqual(alone);
});
