/** What would give a contract another rank. The expected numbers are those of the design's weights, worked out by hand. */
import { describe, expect, test } from 'vitest';
import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import { whatWouldChange } from '../../../../services/market/options/ranking/what-would-change.ts';
import { MODES } from '../../../../services/market/options/scoring/parts.ts';
import { holdings, invent, inventMany } from '../chain/invented-chain.ts';
import { DEFAULT_RULES } from '../scoring/design-rules.ts';

const changesOf = (contract: Parameters<typeof invent>[0][number], around: Parameters<typeof invent>[1] = {}) =>
  whatWouldChange(rankChain(invent([contract], around)).ranks[0]!, DEFAULT_RULES);

test('what is measured names the part with most to gain, and the points to the next band', () => {
  // The rank of rank.test.ts: 72.8712 of momentum 64.1438 × 0.4, value 86.4 × 0.35 and Greeks 67.8947 × 0.25. Strong begins at 75.
  expect(changesOf({})).toEqual({
    missing: [],
    largest: { column: 'momentum_score', name: 'momentum', score: 64.1438, gain: 14.3425 },
    next_band: { band: 'strong', from: 75, lacks: 2.1288 },
  });
});

test('a component that was not measured has its share of the whole rank', () => {
  // Of the rank: Greeks 0.25 × gamma 0.35, and value 0.35 × IV rank 0.6.
  expect(changesOf({ gamma: Number.NaN }, { ivRank: Number.NaN }).missing).toEqual([
    { column: 'iv_rank', name: 'IV rank', weight: 0.21 },
    { column: 'gamma_score', name: 'gamma', weight: 0.0875 },
  ]);
});

test('a part that was not measured at all is named once, and not its components', () => {
  const unknown = { mid5: Number.NaN, meanVolume20: Number.NaN, oi5: Number.NaN };
  expect(changesOf(unknown, { mode: 'entry' }).missing).toEqual([{ column: 'catalyst_score', name: 'catalyst', weight: 0.35 }]);
});

describe.each(MODES)('in %s mode', (mode) => {
  const input = inventMany(300, { mode });
  const { ranks } = rankChain({ ...input, positions: holdings(input, 5) });

  test('what is missing and the quality of the data are the whole', () => {
    for (const ranked of ranks) {
      const { missing } = whatWouldChange(ranked, DEFAULT_RULES);
      expect(missing.reduce((sum, { weight }) => sum + weight, ranked.data_quality)).toBeCloseTo(1, 3);
    }
  });

  test('the next band begins above the rank, and none is nearer', () => {
    for (const ranked of ranks) {
      const next = whatWouldChange(ranked, DEFAULT_RULES).next_band;
      const above = { weak: 'fair', fair: 'good', good: 'strong', strong: undefined }[ranked.band];
      expect(next?.band).toBe(above);
    }
  });
});
