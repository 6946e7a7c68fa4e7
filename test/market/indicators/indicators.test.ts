import { SMA } from 'trading-signals';
import { describe, expect, test } from 'vitest';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { adjust, computeIndicators, type IndicatorName, indicatorSeries } from '../../../services/market/indicators/indicators.ts';

/** Bars of consecutive days from closes; the range of each day is close ± 1. */
function barsOf(closes: number[]): Bar[] {
  const start = Temporal.PlainDate.from('2026-01-01');
  return closes.map((close, i) => ({
    date: start.add({ days: i }).toString(),
    open: close,
    high: close + 1,
    low: close - 1,
    close,
    adjustedClose: close,
    volume: 1000,
  }));
}

const of = (closes: number[]) => computeIndicators(adjust(barsOf(closes)));
const rising = (count: number) => Array.from({ length: count }, (_, i) => 101 + i);

describe('adjusting', () => {
  test('scales open, high and low by adjusted close / close, and leaves volume', () => {
    const bar: Bar = { date: '2026-01-02', open: 98, high: 104, low: 96, close: 100, adjustedClose: 25, volume: 7 };
    const columns = adjust([bar]);
    expect([columns.date[0], columns.open[0], columns.high[0], columns.low[0], columns.close[0], columns.volume[0]]).toEqual([
      '2026-01-02',
      24.5,
      26,
      24,
      25,
      7,
    ]);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses a close of %d and names the day', (close) => {
    const bars = barsOf([10, 11]).map((bar, i) => (i === 1 ? { ...bar, close } : bar));
    expect(() => adjust(bars)).toThrow(expect.objectContaining({ code: 'market.bad_bar', message: expect.stringContaining('2026-01-02') }));
  });

  test('refuses an adjusted close of 0', () => {
    expect(() => adjust(barsOf([10]).map((bar) => ({ ...bar, adjustedClose: 0 })))).toThrow(
      expect.objectContaining({ code: 'market.bad_bar' }),
    );
  });

  test('refuses a day twice', () => {
    const [bar] = barsOf([10]);
    expect(() => adjust([bar!, bar!])).toThrow(expect.objectContaining({ code: 'market.bad_bar' }));
  });
});

describe('by hand', () => {
  test('of a price that rises by 1 a day', () => {
    // Closes 101…350. SMA n = 350 - (n - 1) / 2. RSI: only gains. True range: max(2, |high - previous close|) = 2, so ATR 2.
    // Bollinger: the population variance of n consecutive numbers is (n² - 1) / 12 = 33.25 for 20.
    const values = of(rising(250));
    expect(values).toMatchObject({ sma20: 340.5, sma50: 325.5, sma200: 250.5, rsi14: 100, atr14: 2, bollingerMiddle: 340.5 });
    expect(values.bollingerUpper).toBeCloseTo(340.5 + 2 * Math.sqrt(33.25), 10);
    expect(values.bollingerLower).toBeCloseTo(340.5 - 2 * Math.sqrt(33.25), 10);
  });

  test('an EMA lags a line by (n - 1) / 2, so MACD settles at 7 and its histogram at 0', () => {
    const values = of(rising(1000));
    expect(values.ema12).toBeCloseTo(1100 - 5.5, 9);
    expect(values.ema20).toBeCloseTo(1100 - 9.5, 9);
    expect(values.ema26).toBeCloseTo(1100 - 12.5, 9);
    expect(values.macd).toBeCloseTo(7, 9);
    expect(values.macdSignal).toBeCloseTo(7, 9);
    expect(values.macdHistogram).toBeCloseTo(0, 9);
  });

  test('the RSI of one loss of 1 among thirteen gains of 1 is 100 × 13 / 14', () => {
    const closes = [100, 99, ...Array.from({ length: 13 }, (_, i) => 100 + i)];
    expect(of(closes).rsi14).toBeCloseTo((100 * 13) / 14, 10);
  });

  test('volatility of returns that alternate between +r and -r: sample deviation r √(20/19), × √252', () => {
    const r = 0.01;
    const closes = Array.from({ length: 21 }, (_, i) => (i % 2 === 0 ? 100 : 100 * Math.exp(r)));
    expect(of(closes).volatility20).toBeCloseTo(r * Math.sqrt(20 / 19) * Math.sqrt(252), 12);
  });

  test('a price that never moved has no RSI, no width and no volatility', () => {
    expect(of(new Array(250).fill(10))).toMatchObject({ rsi14: null, bollingerUpper: 10, bollingerLower: 10, volatility20: 0, macd: 0 });
  });
});

test.each<[IndicatorName, number]>([
  ['sma20', 20],
  ['sma50', 50],
  ['sma200', 200],
  ['ema12', 12],
  ['ema20', 20],
  ['ema26', 26],
  ['rsi14', 15],
  ['macd', 26],
  ['macdSignal', 34],
  ['macdHistogram', 34],
  ['bollingerUpper', 20],
  ['bollingerMiddle', 20],
  ['bollingerLower', 20],
  ['atr14', 14],
  ['volatility20', 21],
])('%s needs %d bars', (name, bars) => {
  expect(of(rising(bars - 1))[name]).toBeNull();
  expect(of(rising(bars))[name]).toEqual(expect.any(Number));
});

test('no bars: no indicators', () => {
  expect(new Set(Object.values(of([])))).toEqual(new Set([null]));
});

test('the last entry of the series is what is computed alone, at every length', () => {
  const closes = Array.from({ length: 260 }, (_, i) => 100 + 10 * Math.sin(i / 7) + (i % 5));
  const series = indicatorSeries(adjust(barsOf(closes)));
  for (const length of [1, 14, 20, 34, 199, 200, 260]) {
    const single = of(closes.slice(0, length));
    for (const name of Object.keys(single) as IndicatorName[]) {
      expect(series[name]).toHaveLength(260);
      expect(series[name][length - 1], `${name} of ${length} bars`).toBe(single[name]);
    }
  }
});

test('the library still sums a window from its start: what makes feeding the window alone exact', () => {
  const prices = Array.from({ length: 60 }, (_, i) => 1e6 / (i + 1));
  const all = new SMA(20);
  const window = new SMA(20);
  for (const price of prices) all.add(price);
  for (const price of prices.slice(-20)) window.add(price);
  expect(window.getResult()).toBe(all.getResult());
});
