import { dateOf, type PriceHistory } from './input.ts';
import { meanOf, medianOf, type PriceMeasures } from './measures.ts';

/** The state of the universe and its index. Ratios and fractions; null where the bars are missing. */
export interface MarketView {
  /** Number of symbols it rests on. */
  count: number;
  /** Share of them whose adjusted close is above its 200-day average. */
  aboveAverage: number | null;
  /** Median of the price changes from a year ago to a month ago. */
  medianMomentum: number | null;
  /** Median of the volatility of the last quarter over that of the year: above 1 the market moves more than before. */
  volatilityRatio: number | null;
  /** `belowHigh`: how far the adjusted close is below its highest of 253 bars; `toAverage`: over the mean of its last 200. */
  index: { belowHigh: number; toAverage: number } | null;
}

const AVERAGE_BARS = 200;

/** `index`: its newest bars up to the date. It is left out where it is older than the date or too short. */
export function marketViewOf(candidates: readonly { measures: PriceMeasures }[], index: PriceHistory | null, dataDate: string): MarketView {
  const count = candidates.length;
  const share = candidates.filter(({ measures }) => measures.trend > 0).length / count;
  const ratios = candidates.flatMap(({ measures: { sigma, sigmaQuarter } }) => (sigma > 0 ? [sigmaQuarter / sigma] : []));
  const usable = index !== null && index.days.length >= AVERAGE_BARS && dateOf(index.days.at(-1)!) === dataDate;
  return {
    count,
    aboveAverage: count === 0 ? null : share,
    medianMomentum: count === 0 ? null : Math.expm1(medianOf(candidates.map(({ measures }) => measures.momentum))),
    volatilityRatio: ratios.length === 0 ? null : medianOf(ratios),
    index: usable
      ? {
          belowHigh: 1 - index.adjusted.at(-1)! / Math.max(...index.adjusted),
          toAverage: index.adjusted.at(-1)! / meanOf(index.adjusted.subarray(-AVERAGE_BARS)),
        }
      : null,
  };
}
