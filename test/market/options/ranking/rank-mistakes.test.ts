/** Mistakes that rankings are known to make, each as the fact that rules it out. */
import { expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { MODES, RANK_COLUMN } from '../../../../services/market/options/scoring/parts.ts';
import { holdings, type Invented, invent, inventMany } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const rank = (contracts: Partial<Invented>[], around: Parameters<typeof invent>[1] = {}) => rankChain(invent(contracts, around));
const bestFirst = (contracts: Partial<Invented>[]) => rank(contracts).ranks.map(({ strike }) => strike);

test('a contract without a delta scores no perfect 100 for it and does not rank above one whose delta is perfect', () => {
  // 30 days out the target is 0.55.
  const { ranks } = rank([
    { strike: 1, delta: Number.NaN },
    { strike: 2, delta: 0.55 },
  ]);
  expect(ranks.map(({ strike }) => strike)).toEqual([2, 1]);
  expect(ranks[1]).toMatchObject({ delta_score: null, missing: ['delta_score'] });
});

test('an IV of zero is not the best discount there is: the contract is not ranked', () => {
  for (const mode of ['monitor', 'entry'] as const) {
    const run = rank([{ strike: 1, iv: 0 }, { strike: 2 }], { mode });
    expect(run.ranks.map(({ strike }) => strike)).toEqual([2]);
    expect(run.reasons.no_iv).toBe(1);
  }
});

test('a crossed quote is not the narrowest spread: the contract is not ranked', () => {
  const run = rank([{ strike: 1, bid: 4.2, ask: 3.8 }, { strike: 2 }]);
  expect(run.ranks.map(({ strike }) => strike)).toEqual([2]);
  expect(run.reasons.crossed).toBe(1);
});

test('an expired contract is not ranked, whatever its quote', () => {
  const run = rank([{ dte: -1 }, { dte: 0 }, { dte: 1 }], { afterClose: true });
  expect(run.ranks.map(({ dte }) => dte)).toEqual([1]);
  expect(run.reasons.expired).toBe(2);
});

test('days to expiration that are missing are refused, not taken as 30', () => {
  const input = invent([{ dte: 10 }, { dte: 90 }]);
  expect(() => rankChain({ ...input, times: { ...input.times, dte: Int32Array.of(10) } })).toThrow(
    expect.objectContaining({ code: 'options.column_length', message: expect.stringContaining('times.dte has 1 entries, not 2') }),
  );
  const chain = { ...input.chain, expiry: Uint16Array.of(0, 2) };
  expect(() => rankChain({ ...input, chain })).toThrow(expect.objectContaining({ code: 'options.column_length' }));
});

test('each contract has the days of its own expiration', () => {
  const { ranks } = rank([
    { strike: 1, dte: 3 },
    { strike: 2, dte: 300 },
  ]);
  expect(Object.fromEntries(ranks.map(({ strike, dte, dte_score }) => [strike, [dte, dte_score]]))).toEqual({ 1: [3, 95], 2: [300, 20] });
});

test('history is read from the past to now: what rose has momentum, what fell has none', () => {
  // Mid 4 now. From 3.2 it is +25 %: 100. From 5 it is -20 %: 10.
  const { ranks } = rank([
    { strike: 1, mid5: 3.2 },
    { strike: 2, mid5: 5 },
  ]);
  expect(ranks.map(({ strike, price_change_pct, price_momentum_score }) => [strike, price_change_pct, price_momentum_score])).toEqual([
    [1, 25, 100],
    [2, -20, 10],
  ]);
});

test('the 3-day and the 5-day price are not taken for each other', () => {
  // From 3 to 4 in five days, all of it in the last three: p3 = p5 = 33.3333, 50 + 2 (33.3333 - 20). The other way round p3 would be 0.
  expect(rank([{ mid5: 4, mid3: 3 }]).ranks[0]!.momentum_decay_score).toBe(100); // 50 + 2 (33.3333 - 0)
  expect(rank([{ mid5: 3, mid3: 4 }]).ranks[0]!.momentum_decay_score).toBe(10); // 50 + 2 (0 - 20)
});

test('2.0 times the usual volume does not rank below 1.99 times', () => {
  const { ranks } = rank(
    [
      { strike: 1, volume: 398 },
      { strike: 2, volume: 400 },
    ],
    { mode: 'entry' },
  );
  expect(ranks.map(({ strike, volume_surge_score }) => [strike, volume_surge_score])).toEqual([
    [2, 75],
    [1, 74.75],
  ]);
});

test('the parts of an entry add up to its rank, with and without missing components', () => {
  const { ranks } = rankChain(inventMany(2000, { mode: 'entry', rules: { ...DEFAULT_RULES, top_n: 2000 } }));
  const complete = ranks.filter(({ missing }) => missing.length === 0);
  expect(complete.length).toBeGreaterThan(200);
  expect(complete.length).toBeLessThan(ranks.length - 200);
  for (const { entry_value_score, catalyst_score, greeks_score, entry_rank } of complete) {
    // In whole ten-thousandths times hundredths, as a DECIMAL column would: no binary fractions.
    const whole = (score: number | null) => Math.round(score! * 1e4);
    const sum = 40 * whole(entry_value_score) + 35 * whole(catalyst_score) + 25 * whole(greeks_score);
    expect(whole(entry_rank)).toBe(Math.floor((sum + 50) / 100));
  }
  for (const { weights, entry_rank, ...scores } of ranks) {
    const parts = Object.entries(weights.entry_rank!);
    const sum = parts.reduce((total, [part, weight]) => total + weight * (scores as unknown as Record<string, number>)[part]!, 0);
    expect(Math.abs(sum - entry_rank!)).toBeLessThanOrEqual(0.5001e-4);
  }
});

test.each(MODES)('the best of a %s run are the best by its own rank, and not by another mode’s', (mode) => {
  const input = inventMany(1500, { mode });
  const positions = holdings(input, 1);
  const all = rankChain({ ...input, positions, rules: { ...DEFAULT_RULES, top_n: 1500 } });
  const { ranks } = rankChain({ ...input, positions });
  const own = RANK_COLUMN[mode];
  const best = all.ranks.map((ranked) => ranked[own]!).toSorted((a, b) => b - a);
  expect(ranks.map((ranked) => ranked[own])).toEqual(best.slice(0, 100));
  const others = ['composite_rank', 'entry_rank', 'exit_rank'].filter((column) => column !== own && column !== 'composite_rank');
  for (const ranked of ranks) for (const column of others) expect(ranked[column as 'entry_rank']).toBeNull();
  if (mode === 'monitor') return;
  const byComposite = all.ranks.toSorted((a, b) => b.composite_rank! - a.composite_rank!).slice(0, 100);
  expect(new Set(byComposite.map(({ contract }) => contract))).not.toEqual(new Set(ranks.map(({ contract }) => contract)));
});

test('a contract at the edge of a range of days is kept once', () => {
  const edges = [0, 6, 7, 8, 13, 14, 15, 20, 21, 22, 29, 30, 31, 44, 45, 46, 59, 60, 61];
  const { ranks, eligible } = rank(edges.map((dte) => ({ dte })));
  expect(eligible).toBe(edges.length);
  expect(ranks.map(({ dte }) => dte).toSorted((a, b) => a - b)).toEqual(edges);
});

test('a chain that has a contract twice is refused, with its name', () => {
  expect(() => rank([{}, { strike: 105 }, { ask: 4.2 }])).toThrow(
    expect.objectContaining({ code: 'options.duplicate_contract', message: expect.stringContaining('ACME260401C00100000 twice') }),
  );
});

test('bid-less quotes of a market that has not opened rank nothing', () => {
  expect(bestFirst([{ strike: 1, bid: 0, ask: 0, iv: 1e-5 }])).toEqual([]);
});
