/** The building blocks of many contracts at once, by column: one loop a group, nothing allocated but the columns. */

import type { RankingRules } from '../../../platform/config/ranking.ts';
import {
  clip,
  deltaScore,
  deltaTarget,
  drawnToMiddle,
  dteUrgency,
  gammaPercent,
  gammaScore,
  ivDiscountScore,
  ivExpansionScore,
  liquidityConfidence,
  lossProtection,
  momentumDecayScore,
  oiGrowthScore,
  percentChange,
  pnlScore,
  priceMomentumScore,
  ratio,
  spreadPercent,
  spreadScore,
  stored,
  targetScore,
  thetaPenalty,
  thetaPercent,
  thetaUrgency,
  trendFactor,
  vegaScore,
  volumeOiScore,
  volumeSurgeScore,
} from './blocks.ts';
import type { Trend } from './trend.ts';

/**
 * Every building block under the name of its column. Scores, but `*_pct` (in percent), `volume_oi_ratio`, `gamma_1pct` (change of delta when the underlying moves by 1 %),
 * `liquidity_confidence` (0.1-1, six decimals) and `theta_penalty` (points).
 */
export const BLOCKS = [
  'spread_pct',
  'spread_score',
  'iv_rank',
  'iv_percentile',
  'iv_discount_score',
  'price_change_pct',
  'price_momentum_score',
  'momentum_decay_score',
  'volume_surge_score',
  'volume_oi_ratio',
  'volume_oi_score',
  'oi_growth_score',
  'liquidity_confidence',
  'delta_score',
  'gamma_1pct',
  'gamma_score',
  'vega_score',
  'theta_pct',
  'theta_penalty',
  'pnl_pct',
  'pnl_score',
  'iv_expansion_score',
  'target_score',
  'loss_protection',
  'dte_score',
  'theta_score',
] as const;
export type BlockName = (typeof BLOCKS)[number];
export type Blocks = Readonly<Record<BlockName, Float64Array>>;

/** The input of the blocks: entry `i` of every column belongs to row `i`. Numbers are finite, or NaN = missing; bid, ask and iv are always known, and bid ≤ ask. */
export interface Rows {
  count: number;
  spot: number;
  trend: Trend;
  /** Of the underlying, 0-100. */
  ivRank: number;
  ivPercentile: number;
  isPut: Uint8Array;
  dte: Int32Array;
  numbers: Readonly<Record<RowColumn, Float64Array>>;
}

/** The first eleven from the chain and its Greeks, the next from history, the last from the positions. `stop` is a loss in percent. */
export type RowColumn =
  | ('bid' | 'ask' | 'volume' | 'openInterest' | 'iv' | 'delta' | 'gamma' | 'theta' | 'vega' | 'rho' | 'smileIv')
  | ('mid3' | 'mid5' | 'meanIv20' | 'meanVolume20' | 'oi5')
  | ('entryPrice' | 'entryIv' | 'entrySpot' | 'target' | 'stop');

/** All blocks of all rows, rounded as they are stored, so that a reader can compute every part and rank again. The quotes' blocks use the liquidity of the activity's. */
export function measure(rows: Rows, rules: RankingRules): Blocks {
  const blocks = Object.fromEntries(BLOCKS.map((name) => [name, new Float64Array(rows.count)])) as Record<BlockName, Float64Array>;
  blocks.iv_rank.fill(stored(clip(rows.ivRank)));
  blocks.iv_percentile.fill(stored(clip(rows.ivPercentile)));
  measureActivity(rows, rules, blocks);
  measureQuotes(rows, blocks);
  measureGreeks(rows, rules, blocks);
  measurePositions(rows, blocks);
  return blocks;
}

function measureQuotes({ count, numbers }: Rows, blocks: Blocks): void {
  const { bid, ask, iv, meanIv20, smileIv, mid3, mid5 } = numbers;
  const { spread_pct, spread_score, iv_discount_score, price_change_pct, price_momentum_score, momentum_decay_score } = blocks;
  const { liquidity_confidence } = blocks;
  for (let i = 0; i < count; i++) {
    const spread = spreadPercent(bid[i]!, ask[i]!);
    spread_pct[i] = stored(spread);
    spread_score[i] = stored(spreadScore(spread));
    iv_discount_score[i] = stored(drawnToMiddle(ivDiscountScore(iv[i]!, meanIv20[i]!, smileIv[i]!), liquidity_confidence[i]!));
    const mid = (bid[i]! + ask[i]!) / 2;
    const change = percentChange(mid, mid5[i]!);
    price_change_pct[i] = stored(change);
    price_momentum_score[i] = stored(priceMomentumScore(change));
    momentum_decay_score[i] = stored(momentumDecayScore(percentChange(mid, mid3[i]!), change));
  }
}

function measureActivity({ count, numbers }: Rows, { scales }: RankingRules, blocks: Blocks): void {
  const { bid, ask, volume, meanVolume20, openInterest, oi5 } = numbers;
  const { volume_surge_score, volume_oi_ratio, volume_oi_score, oi_growth_score, liquidity_confidence } = blocks;
  for (let i = 0; i < count; i++) {
    volume_surge_score[i] = stored(volumeSurgeScore(volume[i]!, meanVolume20[i]!));
    volume_oi_ratio[i] = ratio(volume[i]!, openInterest[i]!);
    volume_oi_score[i] = stored(volumeOiScore(volume[i]!, openInterest[i]!, scales.volume_oi));
    oi_growth_score[i] = stored(oiGrowthScore(openInterest[i]!, oi5[i]!));
    // Six decimals: it is multiplied by up to 50, so four decimals would change the third decimal of the momentum.
    const confidence = liquidityConfidence(volume[i]!, openInterest[i]!, (bid[i]! + ask[i]!) / 2, scales);
    liquidity_confidence[i] = Math.round(confidence * 1e6) / 1e6;
  }
}

function measureGreeks({ count, spot, trend, isPut, dte, numbers }: Rows, rules: RankingRules, blocks: Blocks): void {
  const { bid, ask, delta, gamma, theta, vega } = numbers;
  const { delta_score, gamma_1pct, gamma_score, vega_score, theta_pct, theta_penalty, dte_score, theta_score } = blocks;
  const { scales, delta_targets, theta_caps, trend_factors } = rules;
  const callFactor = trendFactor(trend, false, trend_factors);
  const putFactor = trendFactor(trend, true, trend_factors);
  for (let i = 0; i < count; i++) {
    const days = dte[i]!;
    const put = isPut[i] === 1;
    delta_score[i] = stored(deltaScore(delta[i]!, deltaTarget(days, put, delta_targets), put ? putFactor : callFactor));
    const curvature = gammaPercent(gamma[i]!, spot);
    gamma_1pct[i] = curvature;
    gamma_score[i] = stored(gammaScore(curvature, scales.gamma));
    vega_score[i] = stored(vegaScore(vega[i]!, spot, scales.vega));
    const decay = thetaPercent(theta[i]!, (bid[i]! + ask[i]!) / 2);
    theta_pct[i] = stored(decay);
    theta_penalty[i] = stored(thetaPenalty(decay, days, theta_caps));
    theta_score[i] = stored(thetaUrgency(decay));
    dte_score[i] = stored(dteUrgency(days));
  }
}

function measurePositions({ count, spot, numbers }: Rows, blocks: Blocks): void {
  const { bid, ask, iv, entryPrice, entryIv, entrySpot, target, stop } = numbers;
  const { pnl_pct, pnl_score, iv_expansion_score, target_score, loss_protection } = blocks;
  for (let i = 0; i < count; i++) {
    const profit = percentChange((bid[i]! + ask[i]!) / 2, entryPrice[i]!);
    pnl_pct[i] = stored(profit);
    pnl_score[i] = stored(pnlScore(profit));
    iv_expansion_score[i] = stored(ivExpansionScore(iv[i]!, entryIv[i]!));
    target_score[i] = stored(targetScore(spot, entrySpot[i]!, target[i]!));
    loss_protection[i] = stored(lossProtection(profit, stop[i]!));
  }
}
