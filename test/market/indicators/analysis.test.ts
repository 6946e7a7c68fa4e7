import { describe, expect, test } from 'vitest';
import type { Bar } from '../../../services/market/bars/bars.ts';
import { analyse } from '../../../services/market/indicators/analysis.ts';
import { adjust, computeIndicators, type Indicators } from '../../../services/market/indicators/indicators.ts';
import fc from '../../support/fast-check.ts';

function columnsOf(closes: number[]) {
  const start = Temporal.PlainDate.from('2026-01-01');
  const bars = closes.map((close, i): Bar => {
    return {
      date: start.add({ days: i }).toString(),
      open: close,
      high: close * 1.01,
      low: close * 0.99,
      close,
      adjustedClose: close,
      volume: 1,
    };
  });
  return adjust(bars);
}

/** A history whose last close is 100, and indicators given by hand. */
function analysed(indicators: Partial<Indicators>) {
  const columns = columnsOf(new Array(250).fill(100));
  const neutral: Indicators = {
    ...computeIndicators(columns),
    sma20: 100,
    sma50: 100,
    sma200: 100,
    rsi14: 50,
    macd: 0,
    macdSignal: 0,
    bollingerLower: 90,
    bollingerUpper: 110,
  };
  return analyse('AAPL', columns, { ...neutral, ...indicators });
}

describe('the rules', () => {
  test.each<[string, Partial<Indicators>, number, string]>([
    ['trend', { sma50: 100, sma200: 99 }, 20, 'SMA 50 100.00 is above SMA 200 99.00'],
    ['trend', { sma50: 98.5, sma200: 99 }, -20, 'SMA 50 98.50 is below SMA 200 99.00'],
    ['long-term price', { sma200: 95 }, 15, 'close 100.00 is above SMA 200 95.00'],
    ['medium-term price', { sma50: 105 }, -10, 'close 100.00 is below SMA 50 105.00'],
    ['short-term price', { sma20: 99.5 }, 10, 'close 100.00 is above SMA 20 99.50'],
    ['MACD histogram', { macd: 1.5, macdSignal: 2 }, -15, 'MACD 1.50 is below its signal line 2.00'],
    ['MACD', { macd: 0.25 }, 5, 'MACD 0.25 is above zero'],
    ['RSI 14', { rsi14: 30 }, 15, 'RSI 30.0 is at or below 30: oversold'],
    ['RSI 14', { rsi14: 70 }, -15, 'RSI 70.0 is at or above 70: overbought'],
    ['RSI 14', { rsi14: 69.9 }, 0, 'RSI 69.9 is between 30 and 70: neutral'],
    ['Bollinger bands', { bollingerLower: 101 }, 10, 'close 100.00 is below the lower band 101.00'],
    ['Bollinger bands', { bollingerUpper: 99 }, -10, 'close 100.00 is above the upper band 99.00'],
  ])('%s with %o: %d points, "%s"', (indicator, indicators, points, observation) => {
    expect(analysed(indicators).reasons.find((reason) => reason.indicator === indicator)).toMatchObject({ points, observation });
  });

  test('their weights add up to 100', () => {
    expect(analysed({}).reasons.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
  });
});

describe('signal and confidence', () => {
  test('everything neutral is a hold with full confidence', () => {
    expect(analysed({})).toMatchObject({ signal: 'hold', score: 0, confidence: 1 });
  });

  test('a trend that all averages and MACD confirm is a buy: 20 + 15 + 10 + 10 + 15 + 5 = 75 of 100', () => {
    const values = { sma20: 99, sma50: 98, sma200: 97, macd: 1, macdSignal: 0.5 };
    expect(analysed(values)).toMatchObject({ signal: 'buy', score: 0.75, confidence: 0.75 });
  });

  test('its mirror is a sell', () => {
    const values = { sma20: 101, sma50: 102, sma200: 103, macd: -1, macdSignal: -0.5 };
    expect(analysed(values)).toMatchObject({ signal: 'sell', score: -0.75, confidence: 0.75 });
  });

  test('30 points of 100 are enough to buy', () => {
    // Close above SMA 200 (+15) and SMA 50 (+10), below SMA 20 (-10), oversold (+15); SMA 50 equals SMA 200.
    expect(analysed({ sma200: 99, sma50: 99, sma20: 101, rsi14: 20 })).toMatchObject({
      score: 0.3,
      signal: 'buy',
      confidence: 0.3,
    });
  });

  test('15 points of 100 hold, half as sure: 1 - 0.15 / 0.3', () => {
    expect(analysed({ rsi14: 20 })).toMatchObject({ signal: 'hold', score: 0.15, confidence: 0.5 });
  });

  test('what could not be measured counts neither for nor against, but costs confidence', () => {
    // Without SMA 200: 65 of 100 measured; close above SMA 50 and 20, MACD twice: 10 + 10 + 15 + 5 = 40 of 65.
    const analysis = analysed({ sma200: null, sma50: 99, sma20: 99, macd: 1, macdSignal: 0 });
    expect(analysis.score).toBeCloseTo(40 / 65, 4);
    expect(analysis.confidence).toBeCloseTo((40 / 65) * 0.65, 4);
  });
});

describe('too little history', () => {
  const wave = (count: number) => Array.from({ length: count }, (_, i) => 100 + Math.sin(i) + i / 10);

  test('33 bars: hold, confidence 0, and the reason first', () => {
    const analysis = analyse('NEW', columnsOf(wave(33)));
    expect(analysis).toMatchObject({ signal: 'hold', confidence: 0 });
    expect(analysis.reasons[0]?.observation).toBe('too little history: 33 bars measure 40 of 100 points of the rules, 50 are needed');
    expect(analysis.reasons[1]).toEqual({ indicator: 'trend', observation: 'not measured: needs 200 bars, has 33', points: 0, weight: 0 });
  });

  test('34 bars are enough for an opinion', () => {
    expect(analyse('NEW', columnsOf(wave(34))).reasons[0]?.indicator).toBe('trend');
  });

  test('one bar is analysed', () => {
    expect(analyse('NEW', columnsOf([10]))).toMatchObject({ date: '2026-01-01', signal: 'hold', confidence: 0, values: { close: 10 } });
  });

  test('no bar is an error that names the symbol', () => {
    expect(() => analyse('NEW', columnsOf([]))).toThrow(
      expect.objectContaining({ code: 'analysis.no_bars', message: expect.stringContaining('NEW') }),
    );
  });
});

test('a price that never moved is a hold, and RSI says why it is not measured', () => {
  const analysis = analyse('FLAT', columnsOf(new Array(250).fill(10)));
  expect(analysis).toMatchObject({ signal: 'hold', score: 0, confidence: 0.85 });
  expect(analysis.reasons.find(({ indicator }) => indicator === 'RSI 14')?.observation).toBe('not measured: the price has never moved');
});

test('261 bars of 17.37: hold, and the close is equal to its mean', () => {
  const { signal, score, reasons } = analyse('FLAT', columnsOf(new Array(261).fill(17.37)));
  expect([signal, score]).toEqual(['hold', 0]);
  expect(reasons[1]?.observation).toBe('close 17.37 is equal to SMA 200 17.37');
  expect(reasons[5]?.observation).toBe('MACD 0.00 is equal to zero');
});

test('20,000 prices from 1e-12 to 1e9 that never moved are all holds, with and without an adjustment', () => {
  // Mulberry32: the same prices in every run.
  let state = 1;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const date = columnsOf(new Array(261).fill(1)).date;
  const moved: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const price = i % 2 === 0 ? Math.round(1 + random() * 1e6) / 100 : 10 ** (-12 + 21 * random());
    const close = new Float64Array(261).fill(i % 4 < 2 ? price : price * (0.37 / 0.41));
    const { signal, score } = analyse('FLAT', { date, high: close, low: close, close });
    if (signal !== 'hold' || score !== 0) moved.push(price);
  }
  expect(moved).toEqual([]);
}, 120_000);

test.each([0.000000001, 1, 1e9])('a close of %d one billionth above all others is above its means', (price) => {
  const { reasons } = analyse('UP', columnsOf([...new Array(260).fill(price), price * (1 + 1e-9)]));
  expect(reasons.slice(0, 4).map(({ points }) => points)).toEqual([20, 15, 10, 10]);
});

test('a rest of rounding in RSI and in the score does not decide', () => {
  expect(analysed({ rsi14: 30.000000000000004 }).reasons[6]).toMatchObject({ points: 15 });
  expect(analysed({ bollingerLower: 100.00000000000001 }).reasons[7]).toMatchObject({ points: 0 });
});

test('for any prices: bounds hold, points add up to the score, and the answer is the same twice', () => {
  const closes = fc.array(fc.double({ min: 0.01, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 230 });
  fc.assert(
    fc.property(closes, (prices) => {
      const columns = columnsOf(prices);
      const analysis = analyse('ANY', columns);
      const { score, confidence, signal, reasons } = analysis;
      expect(Math.abs(score)).toBeLessThanOrEqual(1);
      expect(confidence).toBeGreaterThanOrEqual(0);
      expect(confidence).toBeLessThanOrEqual(1);
      const measured = reasons.reduce((sum, { weight }) => sum + weight, 0);
      const points = reasons.reduce((sum, reason) => sum + reason.points, 0);
      expect(score).toBeCloseTo(measured === 0 ? 0 : points / measured, 4);
      if (signal !== 'hold') expect(Math.sign(score)).toBe(signal === 'buy' ? 1 : -1);
      expect(analyse('ANY', columns)).toEqual(analysis);
    }),
    { numRuns: 200 },
  );
});

test('bars that cannot be trusted give no signal: the doubt is the only reason, and the values stay', () => {
  const columns = columnsOf(Array.from({ length: 250 }, (_, i) => 100 + i));
  const doubted = analyse('ODD', columns, undefined, 'a split on 2026-03-02 is not in the prices');
  expect(doubted).toEqual({
    ...analyse('ODD', columns),
    signal: 'hold',
    confidence: 0,
    score: 0,
    reasons: [{ indicator: 'history', observation: 'a split on 2026-03-02 is not in the prices', points: 0, weight: 0 }],
  });
});

test('with too little history each rule says how many bars it needs, and the score is that of the rules that could be asked', () => {
  const { reasons, score, signal, values } = analyse('NEW', columnsOf(Array.from({ length: 14 }, (_, i) => 100 + i)));
  expect(reasons.map(({ indicator, observation }) => [indicator, observation])).toEqual([
    ['history', 'too little history: 14 bars measure 0 of 100 points of the rules, 50 are needed'],
    ['trend', 'not measured: needs 200 bars, has 14'],
    ['long-term price', 'not measured: needs 200 bars, has 14'],
    ['medium-term price', 'not measured: needs 50 bars, has 14'],
    ['short-term price', 'not measured: needs 20 bars, has 14'],
    ['MACD histogram', 'not measured: needs 34 bars, has 14'],
    ['MACD', 'not measured: needs 26 bars, has 14'],
    ['RSI 14', 'not measured: needs 15 bars, has 14'],
    ['Bollinger bands', 'not measured: needs 20 bars, has 14'],
  ]);
  expect(reasons[0]).toMatchObject({ points: 0, weight: 0 });
  expect([score, signal, values.close]).toEqual([0, 'hold', 113]);
  // Fifteen rising bars: RSI 100 alone, overbought.
  expect(analyse('NEW', columnsOf(Array.from({ length: 15 }, (_, i) => 100 + i)))).toMatchObject({
    signal: 'hold',
    confidence: 0,
    score: -1,
  });
});

describe('a price that never moved', () => {
  const flat = (bars: number, price = 10) => analyse('FLAT', columnsOf(new Array(bars).fill(price)));

  test('is judged by half of the rules from 50 bars on, which is enough', () => {
    expect(flat(50)).toMatchObject({ signal: 'hold', score: 0, confidence: 0.5, reasons: [{ indicator: 'trend' }, ...Array(7).fill({})] });
    expect(flat(49).reasons[0]).toMatchObject({ indicator: 'history', observation: expect.stringContaining('49 bars measure 40 of 100') });
  });

  test('has no RSI for that reason as soon as there are bars enough, and before for theirs', () => {
    const rsi = (bars: number) => flat(bars).reasons.find(({ indicator }) => indicator === 'RSI 14')?.observation;
    expect([rsi(14), rsi(15)]).toEqual(['not measured: needs 15 bars, has 14', 'not measured: the price has never moved']);
  });

  test('of 1 is shown as 1, as its means are', () => {
    expect(
      flat(200, 1)
        .reasons.slice(0, 2)
        .map(({ observation }) => observation),
    ).toEqual(['SMA 50 1.00 is equal to SMA 200 1.00', 'close 1.00 is equal to SMA 200 1.00']);
  });
});
