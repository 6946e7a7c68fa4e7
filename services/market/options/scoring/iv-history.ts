import { InputError } from '../../../platform/errors.ts';

/** The 30-day at-the-money IV of an underlying on one day (`YYYY-MM-DD`), annual. */
export interface DailyIv {
  readonly date: string;
  readonly iv: number;
}

/** A trading year. */
const WINDOW_DAYS = 252;
/** With fewer days, today included, there is no IV rank. */
const LEAST_DAYS = 20;

/**
 * The position of today's IV between the lowest and the highest of the last 252 stored days, today being the last of them: 100 (iv - low) / (high - low), so 0-100; 50
 * when they are all the same. `history` is oldest first; of it only days before `today` count. NaN with fewer than 20 days, or without an IV today.
 * @throws InputError `options.iv_history`: dates that do not ascend, or an IV that is not above 0.
 */
export function ivRank(history: readonly DailyIv[], today: DailyIv): number {
  const ivs = lastYear(history, today);
  if (ivs === undefined) return Number.NaN;
  let low = today.iv;
  let high = today.iv;
  for (const { iv } of ivs) {
    if (iv < low) low = iv;
    if (iv > high) high = iv;
  }
  // The quotient of two equal differences times 100 may be above 100 by a rounding error.
  return high === low ? 50 : Math.min((100 * (today.iv - low)) / (high - low), 100);
}

/** The share of the same days whose IV was below today's, in percent: 100 · days below / days. Conditions and errors as `ivRank`. */
export function ivPercentile(history: readonly DailyIv[], today: DailyIv): number {
  const ivs = lastYear(history, today);
  if (ivs === undefined) return Number.NaN;
  const below = ivs.reduce((count, { iv }) => count + (iv < today.iv ? 1 : 0), 0);
  return (100 * below) / (ivs.length + 1);
}

/** The stored days of the window without today, or undefined where they are too few. */
function lastYear(history: readonly DailyIv[], today: DailyIv): readonly DailyIv[] | undefined {
  for (const [index, { date, iv }] of history.entries()) {
    const before = history[index - 1]?.date;
    if (before !== undefined && date <= before) {
      throw new InputError(
        'options.iv_history',
        `IV history must be oldest first, one entry a day: ${date} follows ${before}; sort it by date`,
      );
    }
    if (!(iv > 0 && iv < Number.POSITIVE_INFINITY)) {
      throw new InputError('options.iv_history', `IV history of ${date} is ${iv}; leave out days without an IV`);
    }
  }
  if (!(today.iv > 0)) return undefined;
  const end = history.findLastIndex(({ date }) => date < today.date) + 1;
  return end + 1 < LEAST_DAYS ? undefined : history.slice(Math.max(0, end - (WINDOW_DAYS - 1)), end);
}
