/** What is measured of one symbol. */
import type { Fundamentals, PriceHistory } from './input.ts';

/** A year of returns needs one bar more. */
export const WINDOW_BARS = 253;
const YEAR = 252;
const MONTH = 21;
const QUARTER = 63;
const TREND_BARS = 200;

export interface PriceMeasures {
  /** Raw close of the newest bar. */
  price: number;
  /** ln of the price a month ago over the price a year ago, adjusted: "12-1", Jegadeesh and Titman (1993); Asness, Moskowitz and Pedersen (2013). */
  momentum: number;
  /** ln of the newest adjusted close over the mean of the last 200. */
  trend: number;
  /** Yearly volatility: sample standard deviation of the last 252 daily log returns × √252. */
  sigma: number;
  /** The same over the last 63 returns. */
  sigmaQuarter: number;
  /** Deepest fall of the adjusted close from an earlier high within 253 bars, as a fraction. */
  drawdown: number;
  /** Median of close × volume of the last 63 days, in the price's currency. */
  dollarVolume: number;
}

/** `window`: exactly 253 bars. The daily log returns come along for correlations. */
export function priceMeasures({ close, adjusted, volume }: PriceHistory): PriceMeasures & { returns: Float64Array } {
  const last = adjusted.length - 1;
  const returns = new Float64Array(last);
  for (let i = 1; i <= last; i++) returns[i - 1] = Math.log(adjusted[i]! / adjusted[i - 1]!);
  // A volume that is no number is none: compared as it is, it would pass every limit.
  const traded = close.subarray(-QUARTER).map((price, i) => price * (volume[volume.length - QUARTER + i]! || 0));
  return {
    price: close[last]!,
    momentum: settled(Math.log(adjusted[last - MONTH]! / adjusted[last - YEAR]!)),
    trend: settled(Math.log(adjusted[last]! / meanOf(adjusted.subarray(-TREND_BARS)))),
    sigma: settled(deviationOf(returns) * Math.sqrt(YEAR)),
    sigmaQuarter: settled(deviationOf(returns.subarray(-QUARTER)) * Math.sqrt(YEAR)),
    drawdown: settled(drawdownOf(adjusted)),
    dollarVolume: medianOf(traded),
    returns,
  };
}

/** Sums of 253 doubles are off by some 1e-14: without rounding, the same prices in another unit would break ties in another way. */
const settled = (value: number): number => Math.round(value * 1e10) / 1e10;

export const ITEMS = ['returnOnEquity', 'operatingMargins', 'lowDebt', 'earningsYield', 'bookYield', 'cashYield', 'dividendYield'] as const;
type Item = (typeof ITEMS)[number];
/** More is better in each of them; null where a part is missing. */
export type FundamentalItems = Record<Item, number | null>;

/** So many items of a group make its score. */
export const LEAST_ITEMS = 2;
export const QUALITY_ITEMS = ['returnOnEquity', 'operatingMargins', 'lowDebt'] as const satisfies readonly Item[];
export const VALUE_ITEMS = ['earningsYield', 'bookYield', 'cashYield'] as const satisfies readonly Item[];

/** A bank's debt is its raw material, and its cash flow is its customers' money. */
const FINANCIALS = 'financial-services';

/**
 * Yields and not P/E: a loss has no P/E and would count as neutral. Amounts of the statements are compared with the price only where both are in one currency. A book value
 * of 0 or less says nothing about the price.
 */
export function fundamentalItems(row: Fundamentals, price: number): FundamentalItems {
  const financial = row.sectorKey === FINANCIALS;
  const comparable = row.currency !== null && row.currency === row.financialCurrency;
  const { returnOnEquity, operatingMargins, debtToEquity, dividendYield } = row;
  return {
    returnOnEquity: finite(returnOnEquity),
    operatingMargins: finite(operatingMargins),
    lowDebt: financial ? null : finite(debtToEquity === null ? null : 0 - debtToEquity),
    earningsYield: comparable ? ratio(row.trailingEps, price) : null,
    bookYield: comparable && row.bookValue !== null && row.bookValue > 0 ? ratio(row.bookValue, price) : null,
    cashYield: comparable && !financial ? ratio(row.freeCashflow, row.marketCap) : null,
    dividendYield: finite(dividendYield),
  };
}

const finite = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null);

function ratio(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : finite(part / whole);
}

export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Of a sample: divided by n − 1. */
export function deviationOf(values: ArrayLike<number>): number {
  const mean = meanOf(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/** The mean of the middle two where their number is even; NaN of nothing. */
export function medianOf(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The deepest fall from an earlier high, as a fraction. */
export function drawdownOf(prices: ArrayLike<number>): number {
  let [high, deepest] = [0, 0];
  for (let i = 0; i < prices.length; i++) {
    high = Math.max(high, prices[i]!);
    deepest = Math.max(deepest, 1 - prices[i]! / high);
  }
  return deepest;
}
