/**
 * The formulas that every score is built of. Each is a pure function of numbers, where NaN is a missing input or a missing result. A missing input never
 * becomes a score. Scores are 0-100. A ratio to something that is not positive (no open interest, no volume in 20 days) has no value and is missing.
 */
import type { RankingRules } from '../../../platform/config/ranking.ts';
import type { Trend } from './trend.ts';

/** min(max(x, 0), 100). A number that is not finite is missing: an infinite input is not a perfect score. */
export function clip(x: number): number {
  if (!Number.isFinite(x)) return Number.NaN;
  return Math.min(Math.max(x, 0), 100);
}

/**
 * As a score is stored: four decimals, halves up. The millionth of the last decimal lifts halves that binary fractions put just below, so that Σ weight × part gives the stored
 * rank in any order of summation and in the DECIMAL arithmetic of a database.
 */
export function stored(x: number): number {
  return Math.round(x * 1e4 + 1e-6) / 1e4;
}

/** Bid-ask spread in percent of the mid price. */
export function spreadPercent(bid: number, ask: number): number {
  return (200 * (ask - bid)) / (bid + ask);
}

/** 100 - penalty of a spread `s` in percent: 0 % 100, 2 % 96, 5 % 84, 10 % 59, 20 % 39, 39.5 % and over 0. A crossed quote has no spread. */
export function spreadScore(s: number): number {
  if (!(s >= 0)) return Number.NaN;
  if (s <= 2) return 100 - 2 * s;
  if (s <= 5) return 96 - 4 * (s - 2);
  if (s <= 10) return 84 - 5 * (s - 5);
  return clip(59 - 2 * (s - 10));
}

/** Change from `before` to `now` in percent of `before`. */
export function percentChange(now: number, before: number): number {
  return before > 0 ? (100 * (now - before)) / before : Number.NaN;
}

/** How far IV lies below its own 20-day mean, or without one below the fitted smile of its expiry; 20 % cheaper is 100. */
export function ivDiscountScore(iv: number, mean20: number, smile: number): number {
  return clip(-5 * percentChange(iv, mean20 > 0 ? mean20 : smile));
}

/** A score drawn to the middle, 50, as the confidence (0.1-1) in its contract's volume, open interest and price falls. */
export function drawnToMiddle(score: number, confidence: number): number {
  return clip(50 + (score - 50) * confidence);
}

/** `p`: % change of the mid over 5 trading days. */
export function priceMomentumScore(p: number): number {
  return clip(50 + 2 * p);
}

/** Volume over its 20-day mean, in multiples; monotone: 1 is 50, 2 is 75, 4 is 100. */
export function volumeSurgeScore(volume: number, mean20: number): number {
  const r = ratio(volume, mean20);
  if (r <= 1) return 50 * r;
  if (r <= 2) return 50 + 25 * (r - 1);
  return clip(75 + 12.5 * (r - 2));
}

/** `full`: the ratio of volume to open interest that scores 100. */
export function volumeOiScore(volume: number, openInterest: number, full: number): number {
  return clip((100 * ratio(volume, openInterest)) / full);
}

/** Against open interest 5 trading days ago. */
export function oiGrowthScore(openInterest: number, before: number): number {
  return clip(50 + percentChange(openInterest, before));
}

/** Geometric mean, 0.1-1, of the confidence in volume, open interest and price; of those that are known. */
export function liquidityConfidence(volume: number, openInterest: number, mid: number, scales: RankingRules['scales']): number {
  const price = confidence(mid, scales.price);
  const traded = confidence(volume, scales.volume);
  const open = confidence(openInterest, scales.open_interest);
  if (Number.isNaN(traded)) return Number.isNaN(open) ? price : Math.sqrt(price * open);
  return Number.isNaN(open) ? Math.sqrt(price * traded) : Math.cbrt(price * traded * open);
}

/** The delta that scores best, negative for puts. */
export function deltaTarget(dte: number, isPut: boolean, targets: RankingRules['delta_targets']): number {
  const target = dte > 45 ? targets.over_45 : dte > 21 ? targets.over_21 : dte > 7 ? targets.over_7 : targets.rest;
  return isPut ? -target : target;
}

/** Calls gain from a bullish trend, puts from a bearish one. */
export function trendFactor(trend: Trend, isPut: boolean, factors: RankingRules['trend_factors']): number {
  if (trend === 'neutral') return factors.neutral;
  return (trend === 'bearish') === isPut ? factors.with : factors.against;
}

export function deltaScore(delta: number, target: number, factor: number): number {
  return clip((100 - 100 * Math.abs(delta - target)) * factor);
}

/** Change of delta when the underlying moves by 1 %: free of its price. */
export function gammaPercent(gamma: number, spot: number): number {
  return (gamma * spot) / 100;
}

/** `g`: `gammaPercent`; `full`: the value that scores 100. */
export function gammaScore(g: number, full: number): number {
  return clip((100 * g) / full);
}

/** Dollars a volatility point for 100 dollars of the underlying; `full`: the value that scores 100. */
export function vegaScore(vega: number, spot: number, full: number): number {
  return clip((100 * ((vega * 100) / spot)) / full);
}

/** Theta a calendar day in percent of the mid price, never negative. */
export function thetaPercent(theta: number, mid: number): number {
  return (100 * Math.abs(theta)) / mid;
}

/** Points that `t` % of theta a day take off the Greeks' score. */
export function thetaPenalty(t: number, dte: number, caps: RankingRules['theta_caps']): number {
  if (!Number.isFinite(t)) return Number.NaN;
  return Math.min(10 * t, dte > 45 ? caps.over_45 : dte > 21 ? caps.over_21 : caps.rest);
}

/** The mid's % change over 3 trading days against its share (3/5) of that over 5. Below 50 the move is slowing. */
export function momentumDecayScore(p3: number, p5: number): number {
  return clip(50 + 2 * (p3 - 0.6 * p5));
}

/** `q`: profit in percent of the entry price. Continuous and monotone. */
export function pnlScore(q: number): number {
  if (q >= 100) return 100;
  if (q >= 50) return 80 + 0.4 * (q - 50);
  if (q >= 25) return 60 + 0.8 * (q - 25);
  if (q >= 10) return 40 + (4 / 3) * (q - 10);
  return clip(20 + 2 * q);
}

/** Rise of IV since the entry; 20 % is 100. */
export function ivExpansionScore(iv: number, entryIv: number): number {
  return clip(5 * percentChange(iv, entryIv));
}

/** Progress of the underlying from its price at the entry to the price target, up or down. */
export function targetScore(spot: number, entrySpot: number, target: number): number {
  return clip((100 * (spot - entrySpot)) / (target - entrySpot));
}

/** `stop`: the loss in percent at which a position is stopped: 100 there. */
export function lossProtection(q: number, stop: number): number {
  return clip((-100 * q) / stop);
}

/** By whole days to expiration. Continuous, falling. */
export function dteUrgency(days: number): number {
  if (days < 7) return 95;
  if (days < 14) return 70 + (25 / 7) * (14 - days);
  if (days < 30) return 40 + (30 / 16) * (30 - days);
  if (days < 60) return 20 + (20 / 30) * (60 - days);
  return 20;
}

/** By theta in percent of the price a day. Continuous, rising. */
export function thetaUrgency(t: number): number {
  if (!Number.isFinite(t)) return Number.NaN;
  if (t >= 3) return 100;
  if (t >= 2) return 80 + 20 * (t - 2);
  if (t >= 1) return 60 + 20 * (t - 1);
  return clip(30 + 30 * t);
}

/** Of two counts. */
export function ratio(value: number, base: number): number {
  return base > 0 ? value / base : Number.NaN;
}

/** 0.1 at nothing, 1 from `full` on. */
function confidence(x: number, full: number): number {
  return Math.min(Math.max(0.1 + (0.9 * x) / full, 0.1), 1);
}
