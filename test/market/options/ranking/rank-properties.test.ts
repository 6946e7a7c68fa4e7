import { describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import type { Ranked } from '../../../../services/market/options/ranking/ranked.ts';
import { MODES, type Mode, PARTS, RANK_COLUMN } from '../../../../services/market/options/scoring/parts.ts';
import fc from '../../../support/fast-check.ts';
import { AT, type Invented, invent, ORDINARY, symbolOf } from '../chain/invented-chain.ts';

const odd = fc.constantFrom(Number.NaN, 0, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-300, 1e300);
/** Mostly within bounds, sometimes what no feed should send. */
const number = (min: number, max: number) =>
  fc.oneof({ weight: 9, arbitrary: fc.double({ min, max, noNaN: true }) }, { weight: 1, arbitrary: odd });

const contract: fc.Arbitrary<Invented> = fc.record({
  strike: fc.integer({ min: 1, max: 400 }),
  isPut: fc.boolean(),
  dte: fc.oneof(fc.constantFrom(-1, 0, 7, 8, 14, 21, 22, 30, 45, 46, 60), fc.integer({ min: -5, max: 900 })),
  bid: number(0, 50),
  ask: number(0, 50),
  volume: number(0, 5000),
  openInterest: number(0, 20_000),
  iv: number(0.01, 3),
  delta: number(-1, 1),
  gamma: number(0, 0.2),
  theta: number(-2, 0),
  vega: number(0, 2),
  rho: number(-2, 2),
  quotedAt: fc.integer({ min: -2000, max: 0 }).map((seconds) => AT.epochMilliseconds + seconds * 1000),
  mid3: number(0, 50),
  mid5: number(0, 50),
  meanIv20: number(0.01, 3),
  meanVolume20: number(0, 5000),
  oi5: number(0, 20_000),
  smileIv: number(0.01, 3),
});
const contracts = fc.uniqueArray(contract, { selector: symbolOf, minLength: 1, maxLength: 30 });
const around = fc.record({
  mode: fc.constantFrom<Mode>(...MODES),
  spot: number(1, 500),
  trend: fc.constantFrom('bullish' as const, 'bearish' as const, 'neutral' as const),
  ivRank: number(0, 100),
  ivPercentile: number(0, 100),
  afterClose: fc.boolean(),
});
const entry = fc.record({
  entryPrice: fc.double({ min: 0.01, max: 50, noNaN: true }),
  target: number(1, 500),
  entrySpot: number(1, 500),
  entryIv: number(0.01, 3),
});

/** Two positions in every contract. */
const held = (all: readonly Invented[], entries: readonly { entryPrice: number }[]) =>
  all.flatMap((one, i) => entries.map((entered, j) => ({ id: `${i}-${j}`, contract: symbolOf(one), ...entered })));

const anyRun = fc.tuple(contracts, around, fc.array(entry, { minLength: 2, maxLength: 2 }));
const rank = ([all, surroundings, entries]: [Invented[], Parameters<typeof invent>[1], { entryPrice: number }[]]) =>
  rankChain(invent(all, { ...surroundings, positions: held(all, entries) }));

const SCORES = Object.keys(rankChain(invent([{}])).ranks[0]!).filter((name) =>
  /(_score|_rank|_percentile|^loss_protection|^theta_penalty)$/.test(name),
);

test('every score of every row is null or 0-100, with at most four decimals', () => {
  expect(SCORES).toEqual(expect.arrayContaining([...PARTS, 'composite_rank', 'spread_score', 'iv_percentile']));
  fc.assert(
    fc.property(anyRun, (input) => {
      for (const ranked of rank(input).ranks) {
        for (const name of SCORES) {
          const score = ranked[name as keyof Ranked] as number | null;
          if (score === null) continue;
          expect(score, name).toBeGreaterThanOrEqual(0);
          expect(score, name).toBeLessThanOrEqual(100);
          expect(Number(score.toFixed(4)), name).toBe(score);
        }
      }
    }),
  );
});

test('nothing in a row is NaN or infinite', () => {
  fc.assert(
    fc.property(anyRun, (input) => {
      JSON.stringify(rank(input), (name, value) => {
        if (typeof value === 'number') expect(Number.isFinite(value), `${name} ${value}`).toBe(true);
        return value;
      });
    }),
  );
});

test('Σ weight used × part is the rank to its last decimal, and the weights used add up to 1', () => {
  fc.assert(
    fc.property(anyRun, (input) => {
      for (const ranked of rank(input).ranks) {
        for (const column of new Set(['composite_rank', RANK_COLUMN[ranked.ranking_mode]] as const)) {
          const used = Object.entries(ranked.weights[column] ?? {});
          if (used.length === 0) continue;
          // Added up backwards: the order of summation must not matter.
          const sum = used.reduceRight((total, [part, weight]) => total + weight * (ranked[part as keyof Ranked] as number), 0);
          expect(Math.round(sum * 1e4 + 1e-6)).toBe(Math.round(ranked[column]! * 1e4));
          expect(used.reduce((total, [, weight]) => total + weight, 0)).toBeCloseTo(1, 12);
        }
      }
    }),
  );
});

test('data quality is 1 exactly when nothing is missing, and lies in 0-1', () => {
  fc.assert(
    fc.property(anyRun, (input) => {
      for (const { data_quality, missing } of rank(input).ranks) {
        expect(data_quality === 1).toBe(missing.length === 0);
        expect(data_quality).toBeGreaterThan(0);
        expect(data_quality).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test('the order of the contracts in the chain, and of the positions, changes nothing', () => {
  const shuffled = anyRun.chain((run) => fc.tuple(fc.constant(run), fc.shuffledSubarray(run[0], { minLength: run[0].length })));
  fc.assert(
    fc.property(shuffled, ([[all, surroundings, entries], mixed]) => {
      const positions = held(all, entries);
      const before = rankChain(invent(all, { ...surroundings, positions }));
      const after = rankChain(invent(mixed, { ...surroundings, positions: positions.toReversed() }));
      expect(after).toEqual(before);
    }),
  );
});

test('total is what was ranked and what was not, and rows descend by the mode’s own rank', () => {
  fc.assert(
    fc.property(anyRun, (input) => {
      const { mode, total, eligible, reasons, ranks } = rank(input);
      expect(eligible + Object.values(reasons).reduce((sum, count) => sum + count, 0)).toBe(total);
      expect(ranks).toHaveLength(Math.min(eligible, 100));
      const own = ranks.map((ranked) => ranked[RANK_COLUMN[mode]]!);
      expect(own).toEqual(own.toSorted((a, b) => b - a));
    }),
  );
});

describe('monotone: all else equal, never ranked lower for', () => {
  const first = (change: Partial<Invented>, mode: Mode) => rankChain(invent([change], { mode })).ranks[0]![RANK_COLUMN[mode]]!;
  const cases: [what: string, mode: Mode, range: [number, number], change: (x: number) => Partial<Invented>][] = [
    ['a narrower spread, watching', 'monitor', [0.01, 4], (x) => ({ bid: x, ask: 8 - x })],
    ['a narrower spread, buying', 'entry', [0.01, 4], (x) => ({ bid: x, ask: 8 - x })],
    ['a higher price than five days ago', 'entry', [0.1, 20], (x) => ({ mid5: 20.1 - x })],
    ['more volume, buying', 'entry', [0, 5000], (x) => ({ volume: x })],
    ['more gamma', 'monitor', [0, 0.1], (x) => ({ gamma: x })],
    ['more vega', 'monitor', [0, 1], (x) => ({ vega: x })],
    ['less theta', 'monitor', [-4, 0], (x) => ({ theta: x })],
    ['a lower IV than its mean', 'entry', [0, 0.5], (x) => ({ meanIv20: 0.1 + x })],
    ['more open interest than five days ago', 'entry', [1, 9000], (x) => ({ oi5: 9001 - x })],
  ];
  test.each(cases)('%s (%s)', (_what, mode, [min, max], change) => {
    const x = fc.double({ min, max, noNaN: true });
    fc.assert(
      fc.property(x, x, (a, b) => {
        expect(first(change(Math.max(a, b)), mode)).toBeGreaterThanOrEqual(first(change(Math.min(a, b)), mode));
      }),
    );
  });

  test('fewer days, closing', () => {
    const days = fc.integer({ min: 0, max: 400 });
    const urgency = (dte: number) => {
      const positions = [{ id: 'a', contract: symbolOf({ ...ORDINARY, dte }), entryPrice: 4 }];
      return rankChain(invent([{ dte }], { mode: 'exit', positions })).ranks[0]!.exit_rank!;
    };
    fc.assert(fc.property(days, days, (a, b) => urgency(Math.min(a, b)) >= urgency(Math.max(a, b))));
  });
});
