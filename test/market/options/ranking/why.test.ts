import { describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { explain, explainLines } from '../../../../services/market/options/ranking/why.ts';
import { MODES } from '../../../../services/market/options/scoring/parts.ts';
import { holdings, invent, inventMany, ORDINARY, symbolOf } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

/** Decimals as whole ten-thousandths: sums of them are exact. */
const whole = (value: number) => Math.round(value * 1e4);

test('score × weight = points, part by part, down to the components', () => {
  const [ranked] = rankChain(invent([{}])).ranks;
  // The numbers are those worked out by hand in rank.test.ts.
  expect(explainLines(ranked!)).toEqual([
    'composite rank 72.8712 (good) = 25.6575 + 30.2400 + 16.9737',
    '  momentum 64.1438 × 0.4 = 25.6575',
    '    price momentum 72.2222 × 0.5 = 36.1111',
    '    volume to open interest 50.0000 × 0.3 = 15.0000',
    '    open interest growth 70.0000 × 0.2 = 14.0000',
    '    momentum = 50 + (their sum - 50) × liquidity confidence 0.93599',
    '  value 86.4000 × 0.35 = 30.2400',
    '    100 - IV rank 20.0000 = 80.0000 × 0.6 = 48.0000',
    '    spread 96.0000 × 0.4 = 38.4000',
    '  Greeks 67.8947 × 0.25 = 16.9737',
    '    delta 85.5000 × 0.5263 = 45.0000',
    '    gamma 75.0000 × 0.3684 = 27.6316',
    '    vega 50.0000 × 0.1053 = 5.2631',
    '    Greeks = their sum - theta penalty 10.0000, at least 0',
  ]);
});

test('what was not measured is named, with the quality', () => {
  const [ranked] = rankChain(invent([{ gamma: Number.NaN }])).ranks;
  expect(explainLines(ranked!).at(-1)).toBe('  not measured: gamma; data quality 0.9125');
});

test('protection says which of its two it is', () => {
  const positions = [{ id: 'a', contract: symbolOf(ORDINARY), entryPrice: 5 }];
  const [ranked] = rankChain(invent([{}], { mode: 'exit', positions })).ranks;
  const [protection] = explain(ranked!).parts;
  expect(protection).toMatchObject({
    column: 'protection_score',
    score: 40,
    step: 'protection = the larger of profit protection 0.0000 and loss protection 40.0000',
  });
  expect(protection!.components.map(({ column }) => column)).toEqual(['pnl_score']);
});

describe('of what is doubtful or unknown', () => {
  const linesOf = (change: object) => explainLines({ ...rankChain(invent([{}])).ranks[0]!, ...change });

  test('the source of a volatility that is not the contract’s own is named, with the volatility', () => {
    expect(linesOf({ iv_source: 'partner' }).at(-1)).toBe(
      '  volatility 25.0 %: that of the out-of-the-money contract of its strike and expiration',
    );
    expect(linesOf({ iv_source: 'smile' }).at(-1)).toMatch(/^ {2}volatility 25\.0 %: that of the fitted smile of its expiration/);
    expect(linesOf({ iv_source: 'own' }).filter((line) => line.includes('volatility'))).toEqual([]);
  });

  test('each mark has a line, and what is complete has none of what is missing', () => {
    expect(linesOf({ marks: ['bid_below_intrinsic'] }).at(-1)).toBe('  doubtful: its bid is below the value of exercising it now');
    expect(linesOf({}).filter((line) => /doubtful|not measured/.test(line))).toEqual([]);
  });

  test('a rank of an earlier version, stored without weights, has its number and no parts', () => {
    const ranked = { ...rankChain(invent([{}])).ranks[0]!, weights: {} };
    expect(explain(ranked)).toMatchObject({ rank: 72.8712, parts: [] });
  });

  test('without theta nothing is said of a penalty', () => {
    const [ranked] = rankChain(invent([{ theta: Number.NaN }])).ranks;
    expect(explainLines(ranked!).filter((line) => line.includes('theta'))).toEqual(['  not measured: theta penalty; data quality 0.9875']);
  });

  test('a protection of which one half is unknown says so', () => {
    const positions = [{ id: 'a', contract: symbolOf(ORDINARY), entryPrice: 5 }];
    const parts = { ...DEFAULT_RULES.parts, profit_protection: { pnl: 0, iv_expansion: 0.6, target: 0.4 } };
    const [ranked] = rankChain(invent([{}], { mode: 'exit', positions, rules: { ...DEFAULT_RULES, parts } })).ranks;
    // Neither target nor IV of the entry is known: the loss of 20 % against a stop of 50 % alone.
    expect(ranked).toMatchObject({ profit_protection_score: null, protection_score: 40 });
    expect(explain(ranked!).parts[0]!.step).toBe('protection = the larger of profit protection unknown and loss protection 40.0000');
  });

  test('columns have the names that people use', () => {
    const positions = [{ id: 'a', contract: symbolOf(ORDINARY), entryPrice: 3.2, entryIv: 0.2, entrySpot: 90, target: 110 }];
    const [ranked] = rankChain(invent([{}], { mode: 'exit', positions })).ranks;
    expect(explain(ranked!).parts.map(({ name, components }) => [name, ...components.map((component) => component.name)])).toEqual([
      ['protection', 'profit and loss', 'IV expansion', 'target'],
      ['deterioration', 'momentum decay', 'volume surge', 'open interest growth'],
      ['time urgency', 'days to expiration', 'theta'],
    ]);
  });
});

describe.each(MODES)('in %s mode', (mode) => {
  const input = inventMany(600, { mode });
  const { ranks } = rankChain({ ...input, positions: holdings(input, 5) });

  test('the points shown add up to the rank, digit by digit, and each is its product', () => {
    expect(ranks).toHaveLength(100);
    for (const ranked of ranks) {
      const { rank, parts } = explain(ranked);
      expect(parts.reduce((sum, { points }) => sum + whole(points), 0)).toBe(whole(rank));
      for (const { score, weight, points } of parts) expect(Math.abs(points - score * weight)).toBeLessThanOrEqual(1e-4);
    }
  });

  test('the components add up to the part they explain', () => {
    for (const ranked of ranks) {
      for (const { column, score, components } of explain(ranked).parts) {
        const sum = components.reduce((total, { points }) => total + whole(points), 0) / 1e4;
        expect(Math.abs(score - finish(column, sum, ranked))).toBeLessThanOrEqual(1.01e-4);
      }
    }
  });
});

/** What is done to the mean of each part. */
function finish(column: string, mean: number, ranked: Parameters<typeof explain>[0]): number {
  if (column === 'momentum_score') return 50 + (mean - 50) * ranked.liquidity_confidence!;
  if (column === 'greeks_score') return Math.max(0, mean - (ranked.theta_penalty ?? 0));
  if (column === 'protection_score') return Math.max(mean, ranked.loss_protection!);
  return mean;
}
