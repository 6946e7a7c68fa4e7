import { describe, expect, test } from 'vitest';
import type { Scored } from '../../../services/picks/screen/score.ts';
import { byRank, type SelectionLimits, select } from '../../../services/picks/screen/select.ts';
import { inventedMembers, screened } from '../invented-universe.ts';

const template = screened(inventedMembers(3)).candidates[0]!;

/** Candidates by `sector total`, numbered in their order: `A0`, `A1`, … */
const ranking = (...lines: string[]): Scored[] =>
  lines
    .map((line, index): Scored => {
      const [sectorKey, total, dollarVolume] = line.split(' ');
      const measures = { ...template.measures, dollarVolume: Number(dollarVolume ?? 1) };
      return {
        candidate: { ...template, index, symbol: `A${index}`, sectorKey: sectorKey!, measures },
        total: Number(total),
        coverage: 100,
      };
    })
    .sort(byRank);

const LIMITS: SelectionLimits = { count: 6, interests: new Set(), fromInterests: 4, interestCap: 6, sectorCap: 2, mostCorrelated: 0.8 };
const symbols = (scored: readonly Scored[]) => scored.map(({ candidate }) => candidate.symbol).join(' ');
const picked = (ranked: readonly Scored[], limits: Partial<SelectionLimits> = {}, correlation = (_: number, __: number) => 0) =>
  select(ranked, { ...LIMITS, ...limits }, correlation);

describe('order', () => {
  test('goes by total, then by what is traded, then by symbol', () => {
    expect(symbols(ranking('a 50 5', 'b 60 1', 'c 50 9', 'd 50 5'))).toBe('A1 A2 A0 A3');
  });
});

describe('greedy selection', () => {
  test('takes the best six', () => {
    expect(symbols(picked(ranking('a 90', 'b 80', 'c 70', 'd 60', 'e 50', 'f 40', 'g 30')).picks)).toBe('A0 A1 A2 A3 A4 A5');
  });

  test('takes at most two of a sector and says which sector is full', () => {
    const { picks, passedOver } = picked(ranking('a 90', 'a 80', 'a 70', 'b 60'));
    expect(symbols(picks)).toBe('A0 A1 A3');
    expect(passedOver.get('A2')).toMatchObject({ reason: 'sector_full' });
  });

  test('passes over what moves like a pick and says like which', () => {
    const alike = (one: number, other: number) => (Math.min(one, other) === 0 && Math.max(one, other) === 1 ? 0.81 : 0.8);
    const { picks, passedOver } = picked(ranking('a 90', 'b 80', 'c 70'), {}, alike);
    expect(symbols(picks)).toBe('A0 A2');
    expect(passedOver.get('A1')).toEqual({ reason: 'correlated', with: 'A0', correlation: 0.81 });
  });

  test('takes four from the interests first, whatever the others score', () => {
    const ranked = ranking('x 99', 'y 98', 'z 97', 'w 96', 'a 50', 'a 49', 'a 48', 'a 47', 'a 46');
    expect(symbols(picked(ranked, { interests: new Set(['a']) }).picks)).toBe('A0 A1 A4 A5 A6 A7');
  });

  test('takes the rest from all, with at most two of a sector in all', () => {
    const ranked = ranking('a 99', 'a 98', 'a 97', 'a 96', 'a 95', 'b 50', 'b 49', 'b 48');
    expect(symbols(picked(ranked, { interests: new Set(['a']) }).picks)).toBe('A0 A1 A2 A3 A5 A6');
  });

  test('a sector of several interests has a cap', () => {
    const ranked = ranking('a 99', 'a 98', 'a 97', 'b 50', 'c 40', 'c 39');
    expect(symbols(picked(ranked, { interests: new Set(['a', 'b', 'c']), interestCap: 2 }).picks)).toBe('A0 A1 A3 A4 A5');
  });

  test('picks stand in the order of their totals, wherever they come from', () => {
    const ranked = ranking('x 99', 'a 50', 'y 70');
    expect(picked(ranked, { interests: new Set(['a']) }).picks.map(({ total }) => total)).toEqual([99, 70, 50]);
  });
});
