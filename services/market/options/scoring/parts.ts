/** From blocks to parts to ranks: weighted means and their adjustments. Scores are 0-100 and rounded as they are stored; NaN = no component was known. */

import { MODES, type RankingRules } from '../../../platform/config/ranking.ts';
import { clip, drawnToMiddle, stored } from './blocks.ts';
import type { BlockName, Blocks } from './measure.ts';
import { type Term, type Weighed, weigh, weighting } from './weighting.ts';

export { MODES };
export type Mode = (typeof MODES)[number];

/** The column that a run of each mode is ordered by. */
export const RANK_COLUMN = { monitor: 'composite_rank', entry: 'entry_rank', exit: 'exit_rank' } as const satisfies Record<Mode, string>;

export const PARTS = [
  'momentum_score',
  'value_score',
  'greeks_score',
  'entry_value_score',
  'catalyst_score',
  'profit_protection_score',
  'protection_score',
  'deterioration_score',
  'time_urgency_score',
] as const;
export type PartName = (typeof PARTS)[number];

/** A score with its components. */
export interface Part {
  readonly score: Float64Array;
  readonly weighed: Weighed;
  /** Taken off the mean and not part of it; NaN where it is missing. `weight` counts in the share that was measured. */
  readonly penalty?: { readonly column: BlockName; readonly values: Float64Array; readonly weight: number };
}
export type Parts = Readonly<Record<PartName, Part>>;

/** Columns where a low value is good, by the part that counts 100 minus them. */
const INVERTED: { readonly [part: string]: readonly BlockName[] | undefined } = {
  value_score: ['iv_rank'],
  entry_value_score: ['iv_percentile'],
  deterioration_score: ['momentum_decay_score', 'volume_surge_score', 'oi_growth_score'],
};

/** True where `formula` (a part or a rank) counts 100 minus the column. */
export function isInverted(formula: string, column: string): boolean {
  return INVERTED[formula]?.some((name) => name === column) ?? false;
}

/** One part of all rows; that of a position is NaN in rows without one. */
export function scorePart(name: PartName, blocks: Blocks, { parts: w }: Pick<RankingRules, 'parts'>): Part {
  const count = blocks.spread_pct.length;
  const mean = (part: PartName, terms: readonly (readonly [BlockName, number])[]) =>
    weigh(weighting(terms.map(([column, weight]) => ({ column, weight, inverted: isInverted(part, column) }))), blocks, count);
  switch (name) {
    case 'momentum_score': {
      const weighed = mean(name, [
        ['price_momentum_score', w.momentum.price_momentum],
        ['volume_oi_score', w.momentum.volume_oi],
        ['oi_growth_score', w.momentum.oi_growth],
      ]);
      return { score: dampen(weighed.score, blocks.liquidity_confidence), weighed };
    }
    case 'value_score':
      return plain(
        mean(name, [
          ['iv_rank', w.value.iv_rank],
          ['spread_score', w.value.spread],
        ]),
      );
    case 'greeks_score': {
      const weighed = mean(name, [
        ['delta_score', w.greeks.delta],
        ['gamma_score', w.greeks.gamma],
        ['vega_score', w.greeks.vega],
      ]);
      const penalty = { column: 'theta_penalty', values: blocks.theta_penalty, weight: w.greeks.theta } as const;
      return { score: penalise(weighed.score, penalty.values), weighed, penalty };
    }
    case 'entry_value_score':
      return plain(
        mean(name, [
          ['iv_percentile', w.entry_value.iv_percentile],
          ['iv_discount_score', w.entry_value.iv_discount],
          ['spread_score', w.entry_value.spread],
        ]),
      );
    case 'catalyst_score':
      return plain(
        mean(name, [
          ['price_momentum_score', w.catalyst.price_momentum],
          ['volume_surge_score', w.catalyst.volume_surge],
          ['oi_growth_score', w.catalyst.oi_growth],
        ]),
      );
    case 'profit_protection_score':
      return plain(
        mean(name, [
          ['pnl_score', w.profit_protection.pnl],
          ['iv_expansion_score', w.profit_protection.iv_expansion],
          ['target_score', w.profit_protection.target],
        ]),
      );
    case 'protection_score': {
      const { score, weighed } = scorePart('profit_protection_score', blocks, { parts: w });
      return { score: larger(score, blocks.loss_protection), weighed };
    }
    case 'deterioration_score':
      return plain(
        mean(name, [
          ['momentum_decay_score', w.deterioration.momentum_decay],
          ['volume_surge_score', w.deterioration.volume_surge],
          ['oi_growth_score', w.deterioration.oi_growth],
        ]),
      );
    case 'time_urgency_score':
      return plain(
        mean(name, [
          ['dte_score', w.time_urgency.dte],
          ['theta_score', w.time_urgency.theta],
        ]),
      );
  }
}

/** The parts of a mode's rank. */
export function partsOf(mode: Mode, blocks: Blocks, rules: RankingRules): Partial<Parts> {
  return Object.fromEntries(rankTerms(mode, rules).map(({ column }) => [column, scorePart(column as PartName, blocks, rules)]));
}

/** The rank of every row in one mode, renormalised over the known parts; NaN where no part is known. */
export function rankBy(mode: Mode, parts: Partial<Parts>, rules: RankingRules, count: number): Part {
  const scores = Object.fromEntries(Object.entries(parts).map(([name, { score }]) => [name, score]));
  return plain(weigh(weighting(rankTerms(mode, rules)), scores, count));
}

function rankTerms(mode: Mode, { modes }: RankingRules): Term[] {
  return Object.entries<number>(modes[mode]).map(([name, weight]) => ({ column: `${name}_score`, weight, inverted: false }));
}

/** The measured share of a rank's full weight in row `i`, 0-1 to four decimals, and the components and parts that are missing. 1 exactly when nothing is missing. */
export function coverage(rank: Part, parts: Parts, i: number): { quality: number; missing: string[] } {
  const missing = new Set<string>();
  let quality = 0;
  for (const { column, weight } of rank.weighed.weighting.terms) {
    const { score, weighed, penalty } = parts[column as PartName];
    const known = weighed.weighting.cases[weighed.masks[i]!]!;
    for (const name of known.missing) missing.add(name);
    if (Number.isNaN(score[i]!)) missing.add(column);
    else quality += weight * known.share;
    if (penalty === undefined || penalty.weight === 0) continue;
    if (Number.isNaN(penalty.values[i]!)) missing.add(penalty.column);
    else if (!Number.isNaN(score[i]!)) quality += weight * penalty.weight;
  }
  return { quality: stored(quality), missing: [...missing] };
}

function plain(weighed: Weighed): Part {
  const score = new Float64Array(weighed.score.length);
  for (let i = 0; i < score.length; i++) score[i] = stored(weighed.score[i]!);
  return { score, weighed };
}

/** Moves the score towards 50 as the confidence in volume, open interest and price falls. */
function dampen(mean: Float64Array, confidence: Float64Array): Float64Array {
  const score = new Float64Array(mean.length);
  for (let i = 0; i < score.length; i++) score[i] = stored(drawnToMiddle(mean[i]!, confidence[i]!));
  return score;
}

/** An unknown penalty is left out like any missing component. */
function penalise(mean: Float64Array, penalty: Float64Array): Float64Array {
  const score = new Float64Array(mean.length);
  for (let i = 0; i < score.length; i++) score[i] = stored(clip(mean[i]! - (Number.isNaN(penalty[i]!) ? 0 : penalty[i]!)));
  return score;
}

/** The larger of the two that are known. */
function larger(profit: Float64Array, loss: Float64Array): Float64Array {
  const score = new Float64Array(profit.length);
  for (let i = 0; i < score.length; i++) score[i] = loss[i]! > profit[i]! || Number.isNaN(profit[i]!) ? loss[i]! : profit[i]!;
  return score;
}
