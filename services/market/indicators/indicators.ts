import { ATR, BollingerBands, EMA, RSI, SMA } from 'trading-signals';
import { PermanentError } from '../../platform/errors.ts';
import type { Bar } from '../bars/bars.ts';

/** Bars as columns, ascending by date, prices adjusted for splits and dividends. All columns have one length. */
export interface Columns {
  date: string[];
  open: Float64Array;
  high: Float64Array;
  low: Float64Array;
  close: Float64Array;
  /** Shares as traded that day, not adjusted. */
  volume: Float64Array;
}

/** The fields of a bar, and of columns, that the indicators use. */
export type PriceBar = Omit<Bar, 'open' | 'volume'>;
export type PriceColumns = Omit<Columns, 'open' | 'volume'>;

/**
 * The indicators of one bar, in the currency of the prices unless said otherwise; null where history is too short (bars needed in brackets).
 *
 * - `sma*`: arithmetic mean of the last 20, 50, 200 closes.
 * - `ema*`: exponential mean, smoothing 2 / (n + 1), starting from the first close (12, 20, 26).
 * - `rsi14`: Wilder, New Concepts in Technical Trading Systems (1978), 0-100, both averages started as the mean of the first 14 changes (15). Null
 *   while the price has never moved: 0 / 0.
 * - `macd`: EMA 12 - EMA 26 (26); `macdSignal`: its EMA 9, and `macdHistogram`: their difference (34).
 * - `bollinger*`: SMA 20 ± 2 population standard deviations, as Bollinger defines it and TTR computes it (20).
 * - `atr14`: Wilder's average true range, started as the mean of the first 14; the first bar's range is high - low (14).
 * - `volatility20`: realised, annualised, 0.25 = 25 %: sample standard deviation of the last 20 log returns of the adjusted close × √252 (21).
 */
export interface Indicators {
  sma20: number | null;
  sma50: number | null;
  sma200: number | null;
  ema12: number | null;
  ema20: number | null;
  ema26: number | null;
  rsi14: number | null;
  macd: number | null;
  macdSignal: number | null;
  macdHistogram: number | null;
  bollingerUpper: number | null;
  bollingerMiddle: number | null;
  bollingerLower: number | null;
  atr14: number | null;
  volatility20: number | null;
}

export type IndicatorName = keyof Indicators;
/** One value per bar; null in the first ones. */
export type IndicatorSeries = Record<IndicatorName, (number | null)[]>;

/**
 * Bars to load before the first bar whose indicators count. The longest window needs 200; in the exponential ones the first value still has a weight
 * of (25/27)^250 = 4e-9 for EMA 26 and (13/14)^236 = 3e-8 for Wilder's averages. That is their error against the whole history: relative for
 * EMA, RSI and ATR, as a share of the price for MACD, which itself may be near 0.
 */
export const WARM_UP_BARS = 250;

/** Sums and averages of 250 doubles are off by some 1e-14 of their size. No move of a price is as small as this share of it. */
const SAME = 1e-12;

/** 1 or -1; 0 for two numbers of which one is none, or that differ by less than 1e-12 of the larger, or of `scale`: what they were computed from. */
export function compareNumbers(a: number, b: number, scale = 0): -1 | 0 | 1 {
  if (Math.abs(a - b) <= SAME * Math.max(Math.abs(a), Math.abs(b), Math.abs(scale))) return 0;
  return a > b ? 1 : a < b ? -1 : 0;
}

const TRADING_DAYS_PER_YEAR = 252;
const VOLATILITY_RETURNS = 20;
const MACD_BARS = 26;
/** The signal line is an EMA 9 over MACD values, so it begins with the ninth value. */
const MACD_SIGNAL_BARS = MACD_BARS + 8;

/**
 * Raw bars to adjusted columns: open, high and low are scaled by adjusted close / close.
 * @throws PermanentError `market.bad_bar`: a price that is not a positive number, or dates that do not ascend.
 */
export function adjust(bars: readonly Bar[]): Columns {
  const prices = adjustPrices(bars);
  const open = Float64Array.from(bars, (bar) => bar.open * (bar.adjustedClose / bar.close));
  return { ...prices, open, volume: Float64Array.from(bars, ({ volume }) => volume) };
}

/** `adjust` for bars without open and volume. */
export function adjustPrices(bars: readonly PriceBar[]): PriceColumns {
  const length = bars.length;
  const column = () => new Float64Array(length);
  const columns: PriceColumns = { date: new Array(length), high: column(), low: column(), close: column() };
  let previousDate = '';
  for (let i = 0; i < length; i++) {
    const bar = bars[i]!;
    if (!(bar.date > previousDate)) throw badBar(bar, `comes after ${previousDate}; bars must ascend by date`);
    if (!isPrice(bar.close) || !isPrice(bar.adjustedClose)) {
      throw badBar(
        bar,
        `has close ${bar.close} and adjusted close ${bar.adjustedClose}; both must be positive numbers. The next fetch of the symbol replaces it`,
      );
    }
    const factor = bar.adjustedClose / bar.close;
    columns.date[i] = bar.date;
    columns.high[i] = bar.high * factor;
    columns.low[i] = bar.low * factor;
    columns.close[i] = bar.adjustedClose;
    previousDate = bar.date;
  }
  return columns;
}

/** The indicators of the last bar. All are null for an empty history. */
export function computeIndicators(columns: PriceColumns): Indicators {
  const { close } = columns;
  // Window indicators depend only on the bars of their window. Feeding only those saves nine tenths of the time (SMA 200 sums its window on every bar).
  const sma = (bars: number) => lastOfWindow(new SMA(bars), bars, close);
  const bands = lastOfWindow(new BollingerBands(20, 2), 20, close);
  const walk = recursive(columns);
  for (let i = 0; i < close.length; i++) walk.add(i);
  return {
    sma20: sma(20),
    sma50: sma(50),
    sma200: sma(200),
    ...walk.values(),
    bollingerUpper: bands?.upper ?? null,
    bollingerMiddle: bands?.middle ?? null,
    bollingerLower: bands?.lower ?? null,
    volatility20: volatilityAt(close, close.length - 1),
  };
}

/** The indicators of every bar, for charts: the last entries equal `computeIndicators`. */
export function indicatorSeries(columns: PriceColumns): IndicatorSeries {
  const { close } = columns;
  const series = Object.fromEntries(INDICATOR_NAMES.map((name) => [name, new Array(close.length).fill(null)])) as IndicatorSeries;
  const sma20 = new SMA(20);
  const sma50 = new SMA(50);
  const sma200 = new SMA(200);
  const bollinger = new BollingerBands(20, 2);
  const walk = recursive(columns);
  for (let i = 0; i < close.length; i++) {
    const price = close[i]!;
    walk.add(i);
    const bands = bollinger.add(price);
    const values: Indicators = {
      sma20: sma20.add(price),
      sma50: sma50.add(price),
      sma200: sma200.add(price),
      ...walk.values(),
      bollingerUpper: bands?.upper ?? null,
      bollingerMiddle: bands?.middle ?? null,
      bollingerLower: bands?.lower ?? null,
      volatility20: volatilityAt(close, i),
    };
    for (const name of INDICATOR_NAMES) series[name][i] = values[name];
  }
  return series;
}

type Recursive = Pick<Indicators, 'ema12' | 'ema20' | 'ema26' | 'rsi14' | 'macd' | 'macdSignal' | 'macdHistogram' | 'atr14'>;

/** The indicators that carry state from bar to bar. `values`: those of the newest added bar. */
function recursive({ high, low, close }: PriceColumns): { add(index: number): void; values(): Recursive } {
  const ema12 = new EMA(12);
  const ema20 = new EMA(20);
  const ema26 = new EMA(26);
  // The library's MACD has these three averages and a window that it never reads. Computing it here saves a third of the time.
  const signal = new EMA(9);
  const rsi = new RSI(14);
  const atr = new ATR(14);
  let count = 0;
  let moved = false;
  // Before it has enough values, an indicator of the library throws and catches an error to give null, which takes 3 µs each time.
  const from = (bars: number, indicator: { getResult(): number | null }) => (count >= bars ? indicator.getResult() : null);
  return {
    add(index) {
      const price = close[index]!;
      const macd = ema12.update(price, false) - ema26.update(price, false);
      ema20.add(price);
      rsi.add(price);
      atr.add({ high: high[index]!, low: low[index]!, close: price });
      moved ||= compareNumbers(price, close[0]!) !== 0;
      count++;
      if (count >= MACD_BARS) signal.add(macd);
    },
    values() {
      const macd = count >= MACD_BARS ? ema12.getResult()! - ema26.getResult()! : null;
      const macdSignal = from(MACD_SIGNAL_BARS, signal);
      return {
        ema12: from(12, ema12),
        ema20: from(20, ema20),
        ema26: from(26, ema26),
        rsi14: moved ? from(15, rsi) : null,
        macd,
        macdSignal,
        macdHistogram: macdSignal === null ? null : macd! - macdSignal,
        atr14: from(14, atr),
      };
    },
  };
}

function lastOfWindow<T>(indicator: { add(price: number): T | null }, bars: number, close: Float64Array): T | null {
  if (close.length < bars) return null;
  let result: T | null = null;
  for (let i = close.length - bars; i < close.length; i++) result = indicator.add(close[i]!);
  return result;
}

function volatilityAt(close: Float64Array, last: number): number | null {
  if (last < VOLATILITY_RETURNS) return null;
  const first = last - VOLATILITY_RETURNS + 1;
  // The log returns of a window add up to ln(last / first), so their mean needs only the two ends.
  const mean = Math.log(close[last]! / close[first - 1]!) / VOLATILITY_RETURNS;
  let squares = 0;
  for (let i = first; i <= last; i++) squares += (Math.log(close[i]! / close[i - 1]!) - mean) ** 2;
  return Math.sqrt((squares / (VOLATILITY_RETURNS - 1)) * TRADING_DAYS_PER_YEAR);
}

const isPrice = (value: number) => Number.isFinite(value) && value > 0;

function badBar(bar: PriceBar, what: string): PermanentError {
  return new PermanentError('market.bad_bar', `bar of ${bar.date} ${what}`);
}

const INDICATOR_NAMES: readonly IndicatorName[] = [
  'sma20',
  'sma50',
  'sma200',
  'ema12',
  'ema20',
  'ema26',
  'rsi14',
  'macd',
  'macdSignal',
  'macdHistogram',
  'bollingerUpper',
  'bollingerMiddle',
  'bollingerLower',
  'atr14',
  'volatility20',
];
