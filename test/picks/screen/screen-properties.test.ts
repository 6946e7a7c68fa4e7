/** What holds for any universe and any profile. Totals and picks are computed a second time here, written another way. */
import { expect, test } from 'vitest';
import { FACTORS } from '../../../services/picks/rules.ts';
import { type Screen, screenFor } from '../../../services/picks/screen/screen.ts';
import type { PickUser } from '../../../services/picks/screen/user-gates.ts';
import type { UniverseMember } from '../../../services/picks/universe/input.ts';
import type { ScreenedUniverse } from '../../../services/picks/universe/universe.ts';
import fc from '../../support/fast-check.ts';
import { inventedMembers, screened, user, walk } from '../invented-universe.ts';

const profiles = fc
  .record({
    risk_tolerance: fc.constantFrom('conservative', 'moderate', 'aggressive'),
    timeline: fc.constantFrom('<1y', '5-10'),
    goals: fc.subarray(['extra_income', 'house'] as const),
    monthly_budget: fc.constantFrom(60, 150, 5000),
    fractional: fc.boolean(),
    interests: fc.subarray(['technology', 'energy', 'utilities', 'real-estate'] as const),
  })
  .map((profile) => user(profile, { AAX: 0.5, ABX: 0.1 }));
const universes = fc.record({ count: fc.integer({ min: 4, max: 40 }), seed: fc.integer({ min: 1, max: 1000 }) });
const RUNS = { numRuns: 25 };

const outcome = (universe: ScreenedUniverse, person: PickUser) => {
  const { picks, ranked, relaxed, shortfall, excluded } = screenFor(universe, person);
  const lines = (all: Screen['picks']) =>
    all.map(({ candidate, total, coverage }) => [candidate.symbol, total, coverage, candidate.scores]);
  return { picks: lines(picks), ranked: lines(ranked), relaxed, shortfall, excluded };
};

test('the order of the input changes nothing, the hash neither', () => {
  fc.assert(
    fc.property(universes, profiles, fc.integer(), ({ count, seed }, person, turn) => {
      const members = inventedMembers(count, seed);
      const turned = members.map((_, index) => members[(index * 7 + (Math.abs(turn) % count)) % count]!);
      const shuffled = new Set(turned).size === count ? turned : members.toReversed();
      expect(screened(shuffled).hash).toBe(screened(members).hash);
      expect(outcome(screened(shuffled), person)).toEqual(outcome(screened(members), person));
    }),
    RUNS,
  );
});

/** A member with other columns. */
const changed = (
  member: UniverseMember,
  change: (column: Float64Array, name: 'close' | 'adjusted' | 'volume') => Float64Array,
): UniverseMember => {
  const { days, close, adjusted, volume } = member.history!;
  return {
    ...member,
    history: { days, close: change(close, 'close'), adjusted: change(adjusted, 'adjusted'), volume: change(volume, 'volume') },
  };
};

test('scaling a whole adjusted series changes nothing', () => {
  fc.assert(
    fc.property(universes, profiles, fc.double({ min: 0.001, max: 1000, noNaN: true }), ({ count, seed }, person, scale) => {
      const members = inventedMembers(count, seed);
      const scaled = members.map((member, index) =>
        index % 3 === 0 ? changed(member, (column, name) => (name === 'adjusted' ? column.map((value) => value * scale) : column)) : member,
      );
      expect(outcome(screened(scaled), person)).toEqual(outcome(screened(members), person));
    }),
    RUNS,
  );
});

test('the same prices in another unit have the same scores', () => {
  const members = inventedMembers(12);
  const twins = members.map((one) => ({
    ...changed(one, (column, name) => (name === 'adjusted' ? column.map((value) => value * 0.3) : column)),
    symbol: `Z${one.symbol}`,
  }));
  const { candidates } = screened([...members, ...twins]);
  for (const [index, { scores }] of candidates.slice(0, 12).entries()) expect(candidates[index + 12]!.scores).toEqual(scores);
});

test('bars after the data date change nothing, the hash neither', () => {
  const later = walk(77, { dates: ['2026-11-23', '2026-11-24'], start: 1 });
  fc.assert(
    fc.property(universes, profiles, ({ count, seed }, person) => {
      const members = inventedMembers(count, seed);
      const longer = members.map((member): UniverseMember => {
        const { days, close, adjusted, volume } = member.history!;
        const more = <T extends Int32Array | Float64Array>(column: T, ...values: number[]): T =>
          (column instanceof Int32Array ? Int32Array.from([...column, ...values]) : Float64Array.from([...column, ...values])) as T;
        const [first, second] = [days.at(-1)! + 3, days.at(-1)! + 4];
        const [one, two] = [later[0]!.close, later[1]!.close];
        return {
          ...member,
          history: {
            days: more(days, first, second),
            close: more(close, one, two),
            adjusted: more(adjusted, one, two),
            volume: more(volume, 1, 1),
          },
          splits: [{ date: '2026-11-24', ratio: 10 }],
        };
      });
      expect(screened(longer).hash).toBe(screened(members).hash);
      expect(outcome(screened(longer), person)).toEqual(outcome(screened(members), person));
    }),
    RUNS,
  );
});

test('a bar, a split or a figure that changes gives another hash', () => {
  const members = inventedMembers(5);
  const first = members[0]!;
  const others = [
    changed(first, (column, name) => (name === 'volume' ? column.with(290, 1) : column)),
    { ...first, splits: [{ date: '2026-01-05', ratio: 2 }] },
    { ...first, fundamentals: { ...first.fundamentals!, returnOnEquity: 0.123 } },
    { ...first, simulated: true },
  ];
  const hashes = [first, ...others].map((one) => screened([one, ...members.slice(1)]).hash);
  expect(new Set(hashes).size).toBe(hashes.length);
});

/** Every third symbol moves with the market for the most part, so that pairs of them are alike. */
function withLikeness(members: readonly UniverseMember[]): UniverseMember[] {
  const market = walk(4321, { deviation: 0.03, drift: 0, start: 1 });
  return members.map((one, index) =>
    index % 3 === 0
      ? changed(one, (column, name) => (name === 'adjusted' ? column.map((value, i) => value * market[i]!.close) : column))
      : one,
  );
}

/** Pearson's correlation from sums of products. */
function pearson(x: readonly number[], y: readonly number[]): number {
  const n = x.length;
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const product = (a: readonly number[], b: readonly number[]) => sum(a.map((value, i) => value * b[i]!));
  const covariance = n * product(x, y) - sum(x) * sum(y);
  return covariance / Math.sqrt((n * product(x, x) - sum(x) ** 2) * (n * product(y, y) - sum(y) ** 2));
}

test('no two picks are more alike than the limit, four of six are from the interests or a shortfall says so, and no limit of the user is broken', () => {
  fc.assert(
    fc.property(universes, profiles, ({ count, seed }, person) => {
      const members = withLikeness(inventedMembers(count, seed));
      const universe = screened(members);
      const { picks, relaxed, shortfall } = screenFor(universe, person);
      const { profile } = person;
      const returns = picks.map(({ candidate }) => {
        const prices = [...members.find(({ symbol }) => symbol === candidate.symbol)!.history!.adjusted].slice(-253);
        return prices.slice(1).map((price, i) => Math.log(price / prices[i]!));
      });
      const most = relaxed.includes('correlation') ? 0.9 : 0.8;
      returns.forEach((one, i) => {
        for (const other of returns.slice(i + 1)) expect(pearson(one, other)).toBeLessThanOrEqual(most + 1e-9);
      });
      expect(picks.length === 6 || shortfall?.reason === 'too_few_candidates').toBe(true);
      const inside = picks.filter(({ candidate }) => profile.interests.some((sector) => sector === candidate.sectorKey)).length;
      expect(profile.interests.length === 0 || inside >= 4 || shortfall !== null).toBe(true);
      for (const { candidate, coverage } of picks) {
        expect(candidate.symbol).not.toBe('AAX');
        expect(candidate.measures.price).toBeGreaterThanOrEqual(5);
        if (!profile.fractional) expect(candidate.measures.price).toBeLessThanOrEqual(profile.monthly_budget);
        expect(coverage).toBeGreaterThanOrEqual(45);
      }
    }),
    { numRuns: 60 },
  );
});

test('scores are the ranks of the measures, counted one by one', () => {
  const { candidates } = screened(inventedMembers(40, 3));
  const rank = (values: number[], own: number) =>
    Math.round(
      ((values.filter((value) => value < own).length + values.filter((value) => value === own).length / 2) / values.length) * 10_000,
    );
  const measures = {
    momentum: (index: number) => candidates[index]!.measures.momentum,
    trend: (index: number) => candidates[index]!.measures.trend,
    low_volatility: (index: number) => -candidates[index]!.measures.sigma,
    low_drawdown: (index: number) => -candidates[index]!.measures.drawdown,
    income: (index: number) => candidates[index]!.items!.dividendYield!,
  };
  for (const [factor, measure] of Object.entries(measures)) {
    const values = candidates.map((_, index) => measure(index));
    expect(candidates.map(({ scores }) => scores[factor as keyof typeof measures])).toEqual(values.map((own) => rank(values, own)));
  }
});

test('a quality score is the mean of two or three blended ranks, computed by hand for one symbol', () => {
  const { candidates } = screened(inventedMembers(30, 4));
  const target = candidates[3]!;
  const share = (group: typeof candidates, item: 'returnOnEquity' | 'operatingMargins' | 'lowDebt') => {
    const values = group.flatMap(({ items }) => items?.[item] ?? []);
    const own = target.items![item]!;
    return [values.length, (100 * (values.filter((value) => value < own).length + 0.5)) / values.length] as const;
  };
  const sector = candidates.filter(({ sectorKey }) => sectorKey === target.sectorKey);
  const items = (['returnOnEquity', 'operatingMargins', 'lowDebt'] as const).filter((item) => target.items![item] !== null);
  const blended = items.map((item) => {
    const [[, overall], [count, within]] = [share(candidates, item), share(sector, item)];
    return (count * within + 10 * overall) / (count + 10);
  });
  expect(items.length).toBeGreaterThanOrEqual(2);
  expect(target.scores.quality).toBe(Math.round((100 * blended.reduce((sum, score) => sum + score, 0)) / items.length));
});

test('a symbol whose value is missing has no score of that factor and keeps the others', () => {
  const members = inventedMembers(20);
  const without = members.map((member, index) =>
    index === 4 ? { ...member, fundamentals: { ...member.fundamentals!, trailingEps: null, bookValue: null } } : member,
  );
  const [whole, thin] = [screened(members).candidates[4]!, screened(without).candidates[4]!];
  expect(thin.scores.value).toBeNull();
  for (const factor of FACTORS.filter((name) => name !== 'value')) expect(thin.scores[factor]).toBe(whole.scores[factor]);
});
