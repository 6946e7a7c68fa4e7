import { describe, expect, test } from 'vitest';
import { changesSince } from '../../../services/picks/screen/changes.ts';
import { explain, nearMisses } from '../../../services/picks/screen/explain.ts';
import { partsOf } from '../../../services/picks/screen/score.ts';
import { screenFor } from '../../../services/picks/screen/screen.ts';
import { themesOf } from '../../../services/picks/screen/themes.ts';
import { fundamentals, inventedMembers, member, screened, symbolOf, user, walk } from '../invented-universe.ts';

const MEMBERS = inventedMembers(60);
const UNIVERSE = screened([
  ...MEMBERS,
  member('OLD', walk(7).slice(0, -3)),
  member('FUND', walk(8), { fundamentals: fundamentals({ quoteType: 'ETF' }) }),
]);
const SCREEN = screenFor(UNIVERSE, user({ monthly_budget: 150 }));
const why = (symbol: string) => explain(UNIVERSE, SCREEN, symbol);

describe('why, and why not', () => {
  test('a pick has its rank and the points that make its total', () => {
    const { status, rank, total, parts } = why(SCREEN.picks[0]!.candidate.symbol);
    expect({ status, rank }).toEqual({ status: 'picked', rank: 1 });
    expect(parts.reduce((sum, { points }) => sum + points, 5000)).toBe(total);
  });

  test('a symbol without data is not ranked, with the reason', () => {
    expect(why('OLD')).toMatchObject({ status: 'excluded', reason: 'stale', total: null, rank: null });
    expect(why('FUND').sentence.text).toBe('FUND is not ranked: it is of the type ETF, not a share of a company.');
  });

  test('a symbol that costs too much is told by its price and the budget', () => {
    const dear = UNIVERSE.candidates.find(({ measures }) => measures.price > 150)!;
    expect(why(dear.symbol)).toMatchObject({ status: 'gated', reason: 'over_budget' });
    expect(why(dear.symbol).sentence.text).toContain(
      `one share costs $${dear.measures.price.toFixed(2)}, more than the monthly budget of $150.00`,
    );
  });

  test('a symbol that ranks below names who took the last place', () => {
    const outranked = SCREEN.ranked.at(-1)!.candidate.symbol;
    const last = SCREEN.picks.at(-1)!.candidate.symbol;
    expect(why(outranked)).toMatchObject({ status: 'outranked', rank: SCREEN.ranked.length, instead: last });
  });

  test('a symbol whose sector is full names the pick of that sector before it', () => {
    const crowded = MEMBERS.map((one, index) => ({ ...one, fundamentals: { ...one.fundamentals!, sectorKey: `sector-${index % 4}` } }));
    const universe = screened(crowded);
    const screen = screenFor(universe, user());
    const [symbol] = [...screen.passedOver].find(([, { reason }]) => reason === 'sector_full')!;
    const { instead, status, rank } = explain(universe, screen, symbol);
    const sectorOf = (one: string) => crowded.find((candidate) => candidate.symbol === one)!.fundamentals.sectorKey;
    expect(status).toBe('passed_over');
    expect(sectorOf(instead!)).toBe(sectorOf(symbol));
    expect(explain(universe, screen, instead!).rank).toBeLessThan(rank!);
  });

  test('a symbol that moves like a pick names it with the correlation', () => {
    const twin = { ...MEMBERS.find(({ symbol }) => symbol === SCREEN.picks[0]!.candidate.symbol)!, symbol: 'TWIN' };
    const universe = screened([...MEMBERS, twin]);
    const screen = screenFor(universe, user({ monthly_budget: 150 }));
    expect(explain(universe, screen, 'TWIN')).toMatchObject({
      status: 'passed_over',
      reason: 'correlated',
      instead: SCREEN.picks[0]!.candidate.symbol,
    });
    expect(explain(universe, screen, 'TWIN').sentence.text).toContain('1.00');
  });

  test('a symbol of elsewhere is not in the universe', () => {
    expect(why('ELSE')).toMatchObject({ status: 'unknown', sentence: { text: 'ELSE is not in the universe of 62 symbols.' } });
  });

  test('every symbol of the universe has an answer', () => {
    const statuses = [...UNIVERSE.candidates.map(({ symbol }) => symbol), ...UNIVERSE.excluded.keys()].map((symbol) => why(symbol).status);
    expect(statuses).not.toContain('unknown');
    expect(statuses.filter((status) => status === 'picked')).toHaveLength(6);
  });

  test('what just missed is the best of what was not taken', () => {
    const misses = nearMisses(UNIVERSE, SCREEN, 3);
    const others = SCREEN.ranked.filter((scored) => !SCREEN.picks.includes(scored));
    expect(misses.map(({ symbol }) => symbol)).toEqual(others.slice(0, 3).map(({ candidate }) => candidate.symbol));
  });
});

describe('from week to week', () => {
  const [first, second] = SCREEN.picks.map(({ candidate, total }) => ({
    symbol: candidate.symbol,
    total,
    parts: partsOf(candidate, SCREEN.weights),
  }));

  test('a pick that stays names the factor whose points moved most', () => {
    const earlier = {
      ...first!,
      total: first!.total - 300,
      parts: first!.parts.map((part) => (part.factor === 'trend' ? { ...part, points: part.points - 300 } : part)),
    };
    expect(changesSince([earlier], UNIVERSE, SCREEN)[0]).toEqual({
      symbol: first!.symbol,
      change: 'kept',
      before: first!.total - 300,
      after: first!.total,
      factor: 'trend',
      moved: 300,
      reason: null,
    });
  });

  test('a pick that was none before is new', () => {
    expect(changesSince([first!], UNIVERSE, SCREEN)[1]).toMatchObject({
      symbol: second!.symbol,
      change: 'new',
      before: null,
      factor: null,
    });
  });

  test('a pick that is gone says why', () => {
    const gone = { symbol: 'OLD', total: 8000, parts: [] };
    expect(changesSince([gone], UNIVERSE, SCREEN).at(-1)).toMatchObject({
      symbol: 'OLD',
      change: 'dropped',
      before: 8000,
      after: null,
      factor: null,
      reason: { text: expect.stringContaining('OLD is not ranked') },
    });
  });

  test('nothing that moved names no factor', () => {
    expect(changesSince([first!], UNIVERSE, SCREEN)[0]).toMatchObject({ change: 'kept', factor: null, moved: null });
  });
});

describe('themes', () => {
  test('are the four industries with the best median totals, of three symbols or more', () => {
    const themes = themesOf(SCREEN);
    const byIndustry = Map.groupBy(SCREEN.ranked, ({ candidate }) => candidate.industry!);
    const medians = [...byIndustry].flatMap(([name, members]) => {
      if (members.length < 3) return [];
      const totals = members.map(({ total }) => total).sort((a, b) => a - b);
      const [low, high] = [totals[Math.ceil(totals.length / 2) - 1]!, totals[Math.floor(totals.length / 2)]!];
      return [{ name, median: (low + high) / 2 }];
    });
    const expected = medians
      .sort((a, b) => b.median - a.median)
      .slice(0, 4)
      .map(({ name }) => name);
    expect(themes.slice(0, expected.length).map(({ name }) => name)).toEqual(expected);
    expect(themes).toHaveLength(4);
    for (const { top } of themes) expect(top.length).toBeGreaterThanOrEqual(3);
  });

  test('of a universe without sectors are lists by one trait', () => {
    const plain = Array.from({ length: 4 }, (_, index) => member(symbolOf(index), walk(index + 1, { drift: 0 })));
    const themes = themesOf(screenFor(screened(plain), user()));
    expect(themes.map(({ kind, key }) => [kind, key])).toEqual([
      ['trait', 'momentum'],
      ['trait', 'low_volatility'],
      ['trait', 'trend'],
      ['trait', 'low_drawdown'],
    ]);
  });

  test('a sector that is one industry only stands once', () => {
    const same = inventedMembers(36).map((one) => ({
      ...one,
      fundamentals: { ...one.fundamentals!, industryKey: one.fundamentals!.sectorKey, industry: one.fundamentals!.sector },
    }));
    const names = themesOf(screenFor(screened(same), user())).map(({ name }) => name);
    expect(new Set(names).size).toBe(4);
  });

  test('dividends are no theme of symbols that pay none', () => {
    const none = Array.from({ length: 5 }, (_, index) =>
      member(symbolOf(index), walk(index + 1, { drift: 0 }), { fundamentals: fundamentals({ dividendYield: index === 0 ? 0.02 : 0 }) }),
    );
    expect(themesOf(screenFor(screened(none), user())).map(({ key }) => key)).not.toContain('income');
  });
});

describe('market view', () => {
  test('counts what is above its average and takes medians of the eligible symbols', () => {
    const { market, candidates } = UNIVERSE;
    const above = candidates.filter(({ symbol, measures }) => {
      const prices = [...MEMBERS.find((one) => one.symbol === symbol)!.history!.adjusted].slice(-200);
      return measures.price > prices.reduce((sum, price) => sum + price, 0) / 200;
    });
    expect(market).toMatchObject({ count: 60, aboveAverage: above.length / 60 });
    const changes = candidates.map(({ measures }) => Math.exp(measures.momentum) - 1).sort((a, b) => a - b);
    expect(market.medianMomentum).toBeCloseTo((changes[29]! + changes[30]!) / 2, 3);
  });

  test('says nothing about an index whose bars are not stored', () => {
    expect(screened(MEMBERS, { index: null }).market.index).toBeNull();
    expect(screened(MEMBERS, { index: walk(9).slice(0, -1) }).market.index).toBeNull();
  });

  test('measures how far the index is below its high', () => {
    const flat = walk(1, { deviation: 0, drift: 0 });
    const fallen = flat.map((bar, i) => (i === 299 ? { ...bar, adjustedClose: 45 } : bar));
    const { belowHigh, toAverage } = screened(MEMBERS, { index: fallen }).market.index!;
    expect(belowHigh).toBeCloseTo(0.1, 12);
    expect(toAverage).toBeCloseTo(45 / ((199 * 50 + 45) / 200), 12);
  });
});
