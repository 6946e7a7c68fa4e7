import { compareNumbers } from '../../indicators/indicators.ts';

/** The direction of an underlying's price. */
export type Trend = 'bullish' | 'bearish' | 'neutral';

const SHORT_BARS = 10;
const LONG_BARS = 20;

/**
 * Bullish when the last close is above its 10-day mean and that above the 20-day mean, bearish when below and below, else neutral. `close` holds daily closes adjusted for
 * splits, oldest first, as `adjustPrices` of `indicators.ts` gives them: it refuses bars in any other order. Fewer than 20 are neutral, and so is
 * a price that never moved.
 */
export function trendOf(close: Float64Array): Trend {
  if (close.length < LONG_BARS) return 'neutral';
  const last = close.at(-1)!;
  const short = meanOfLast(close, SHORT_BARS);
  const long = meanOfLast(close, LONG_BARS);
  const [price, mean] = [compareNumbers(last, short), compareNumbers(short, long)];
  if (price > 0 && mean > 0) return 'bullish';
  return price < 0 && mean < 0 ? 'bearish' : 'neutral';
}

function meanOfLast(values: Float64Array, count: number): number {
  let sum = 0;
  for (let i = values.length - count; i < values.length; i++) sum += values[i]!;
  return sum / count;
}
