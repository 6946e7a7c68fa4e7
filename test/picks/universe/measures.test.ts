import { describe, expect, test } from 'vitest';
import { priceHistoryOf } from '../../../services/picks/universe/input.ts';
import { drawdownOf, fundamentalItems, medianOf, priceMeasures } from '../../../services/picks/universe/measures.ts';
import { fundamentals, SESSIONS, walk } from '../invented-universe.ts';

const DATES = SESSIONS.slice(-253);
const measuresOf = (prices: readonly number[], volume = 1000) =>
  priceMeasures(priceHistoryOf(prices.map((close, i) => ({ date: DATES[i]!, close: close * 2, adjustedClose: close, volume }))));

describe('price measures of a year', () => {
  // Doubling over 252 days, 1/252 of an octave a day: each measure has a closed form.
  const steady = Array.from({ length: 253 }, (_, i) => 50 * 2 ** (i / 252));

  test('momentum is the log of the price a month ago over that of a year ago', () => {
    expect(measuresOf(steady).momentum).toBeCloseTo((231 / 252) * Math.LN2, 9);
  });

  test('trend is the log of the close over the mean of the last 200 closes, a geometric series here', () => {
    const q = 2 ** (-1 / 252);
    expect(measuresOf(steady).trend).toBeCloseTo(-Math.log((1 - q ** 200) / (200 * (1 - q))), 9);
  });

  test('a price that grows by the same share every day has no volatility and no fall', () => {
    expect(measuresOf(steady)).toMatchObject({ sigma: 0, drawdown: 0 });
  });

  test('a price that goes up and down by the same step has a volatility of that step', () => {
    // 252 returns of ±h with mean 0: the sample deviation is h × √(252/251).
    const h = 0.01;
    const zigzag = Array.from({ length: 253 }, (_, i) => 100 * Math.exp(i % 2 === 0 ? 0 : h));
    expect(measuresOf(zigzag).sigma).toBeCloseTo(h * Math.sqrt(252 / 251) * Math.sqrt(252), 9);
  });

  test('the deepest fall is counted from the highest price before it', () => {
    expect(drawdownOf([100, 80, 120, 90, 60, 200, 150])).toBeCloseTo(0.5, 12);
  });

  test('dollar volume is the median of raw close × volume over 63 days', () => {
    const flat = new Array<number>(253).fill(10);
    expect(measuresOf(flat, 1000).dollarVolume).toBe(20_000);
  });

  test('the median of an even number of values is the mean of the middle two', () => {
    expect(medianOf([4, 1, 3, 2])).toBe(2.5);
  });

  test('all measures agree with formulas written another way, on a random walk', () => {
    const bars = walk(5).slice(-253);
    const p = bars.map(({ adjustedClose }) => adjustedClose);
    const logs = p.map(Math.log);
    const steps = logs.slice(1).map((value, i) => value - logs[i]!);
    const sum = steps.reduce((a, b) => a + b, 0);
    const squares = steps.reduce((a, b) => a + b * b, 0);
    const deepest = Math.max(...p.flatMap((high, i) => p.slice(i).map((low) => (high - low) / high)));
    const measures = priceMeasures(priceHistoryOf(bars));
    expect(measures.sigma).toBeCloseTo(Math.sqrt(((squares - (sum * sum) / 252) / 251) * 252), 8);
    expect(measures.drawdown).toBeCloseTo(deepest, 8);
    expect(measures.momentum).toBeCloseTo(logs[231]! - logs[0]!, 8);
    expect(measures.trend).toBeCloseTo(logs[252]! - Math.log(p.slice(53).reduce((a, b) => a + b, 0) / 200), 8);
  });
});

describe('figures of a company', () => {
  const row = fundamentals({
    sectorKey: 'technology',
    trailingEps: 4,
    bookValue: 20,
    freeCashflow: 5e9,
    marketCap: 1e11,
    returnOnEquity: 0.3,
    operatingMargins: 0.2,
    debtToEquity: 1.5,
    dividendYield: 0.01,
  });

  test('value is measured by yields on the price', () => {
    expect(fundamentalItems(row, 80)).toEqual({
      returnOnEquity: 0.3,
      operatingMargins: 0.2,
      lowDebt: -1.5,
      earningsYield: 0.05,
      bookYield: 0.25,
      cashYield: 0.05,
      dividendYield: 0.01,
    });
  });

  test('a loss has a negative yield, it does not count as unknown', () => {
    expect(fundamentalItems({ ...row, trailingEps: -8 }, 80).earningsYield).toBe(-0.1);
  });

  test('statements in another currency than the price give no yield', () => {
    const items = fundamentalItems({ ...row, financialCurrency: 'TWD' }, 80);
    expect(items).toMatchObject({ earningsYield: null, bookYield: null, cashYield: null, returnOnEquity: 0.3 });
  });

  test('an unknown currency of the statements gives no yield', () => {
    expect(fundamentalItems({ ...row, financialCurrency: null }, 80).earningsYield).toBeNull();
  });

  test('a negative book value gives no yield', () => {
    expect(fundamentalItems({ ...row, bookValue: -3 }, 80).bookYield).toBeNull();
  });

  test('debt and cash flow of a bank are not scored', () => {
    expect(fundamentalItems({ ...row, sectorKey: 'financial-services' }, 80)).toMatchObject({
      lowDebt: null,
      cashYield: null,
      bookYield: 0.25,
    });
  });

  test('a number that is none counts as missing', () => {
    expect(fundamentalItems({ ...row, returnOnEquity: Number.NaN, marketCap: 0 }, 80)).toMatchObject({
      returnOnEquity: null,
      cashYield: null,
    });
  });
});
