import { describe, expect, test } from 'vitest';
import type { Bar, CorporateAction } from '../../../services/market/bars/bars.ts';
import { unrestatedReason, unrestatedSplit } from '../../../services/market/bars/splits.ts';
import { leanSource } from '../../../services/market/sources/lean.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';

const EX_DATE = '2026-02-04';
const bars = (...closes: number[]): Bar[] =>
  closes.map((close, day) => ({
    date: `2026-02-0${day + 1}`,
    open: close,
    high: close,
    low: close,
    close,
    adjustedClose: close,
    volume: 1,
  }));
const split = (value: number): CorporateAction => ({ date: EX_DATE, kind: 'split', value });

describe('a split is not restated', () => {
  test.each([
    ['1 for 10, from 10 to 100', 0.1, bars(10, 10, 10, 100, 100)],
    ['1 for 10, on a day of +30 %', 0.1, bars(10, 10, 10, 130, 130)],
    ['2 for 1, from 100 to 50', 2, bars(100, 100, 100, 50, 50)],
    ['3 for 2, from 90 to 60', 1.5, bars(90, 90, 90, 60, 60)],
    ['1 for 10, restated from the second day on only', 0.1, bars(10, 100, 100, 100, 100)],
  ])('%s', (_, value, prices) => {
    expect(unrestatedSplit(prices, [split(value)])).toBe(EX_DATE);
  });
});

describe('a split is restated', () => {
  test.each([
    ['and the price moves as on any day', 0.1, bars(100, 101, 102, 99, 100)],
    ['and the price falls by 20 % on a 2 for 1', 2, bars(100, 100, 100, 80, 80)],
    ['and the price doubles before a 2 for 1', 2, bars(50, 100, 100, 101, 100)],
    ['whatever a stock dividend of 0.27 % looks like', 1.0027, bars(100, 100, 100, 99.73, 100)],
    ['while its day is still to come', 0.1, bars(10, 100, 100)],
    ['when all bars come after it', 0.1, bars(10, 10, 10, 100, 100).slice(3)],
  ])('%s', (_, value, prices) => {
    expect(unrestatedSplit(prices, [split(value)])).toBeUndefined();
  });
});

describe('the limits of what is taken for a split', () => {
  const jump = (after: number) => bars(100, 100, 100, after, after);
  test.each<[string, number, Bar[], string | undefined]>([
    ['7 for 5 is the smallest split that can be told from a move', 1.4, jump(100 / 1.4), EX_DATE],
    ['4 for 3 is too small', 4 / 3, jump(75), undefined],
    ['5 for 7, the same the other way', 1 / 1.4, jump(140), EX_DATE],
    // A quarter of the split's size, as logarithms: 100 / 2^1.25 is 42.0, 100 / 2^0.75 is 59.5.
    ['a fall to 43 is near enough to 2 for 1', 2, jump(43), EX_DATE],
    ['a fall to 41 is not', 2, jump(41), undefined],
    ['a fall to 58 is near enough', 2, jump(58), EX_DATE],
    ['a fall to 61 is not', 2, jump(61), undefined],
    ['a rise of the same size is none', 2, jump(200), undefined],
    // Before the ex-date a tenth of the size of at least 3: 100 / 3^1.1 is 29.9, 100 / 3^0.9 is 37.2.
    ['3 for 1, restated in part: from 100 to 34 two days before', 3, bars(100, 34, 34, 34, 34), EX_DATE],
    ['and back up, from 34 to 100', 3, bars(34, 100, 100, 100, 100), EX_DATE],
    ['a fall to 29 before the split is not taken for it', 3, bars(100, 29, 29, 29, 29), undefined],
    ['nor is that of a 2.9 for 1', 2.9, bars(100, 100 / 2.9, 34, 34, 34), undefined],
  ])('%s', (_, value, prices, found) => {
    expect(unrestatedSplit(prices, [split(value)])).toBe(found);
  });

  test('of several the newest is named, and dividends are none', () => {
    const prices = bars(100, 50, 50, 25, 25);
    const splits = [{ ...split(2), date: '2026-02-02' }, split(2)];
    expect(unrestatedSplit(prices, splits)).toBe(EX_DATE);
    expect(unrestatedSplit(prices, splits.slice(0, 1))).toBe('2026-02-02');
    expect(unrestatedSplit(prices, [{ date: EX_DATE, kind: 'dividend', value: 2 }])).toBeUndefined();
    expect(unrestatedSplit([], splits)).toBeUndefined();
  });

  test('a split on the day of the newest bar counts', () => {
    expect(unrestatedSplit(bars(100, 100, 100, 50), [split(2)])).toBe(EX_DATE);
  });
});

test('the reason names the split as people do', () => {
  expect(unrestatedReason(EX_DATE, split(0.05))).toContain('the 1-for-20 split of 2026-02-04');
  expect(unrestatedReason(EX_DATE, split(1.5))).toContain('the 1.5-for-1 split of 2026-02-04');
  expect(unrestatedReason(EX_DATE, split(1 / 3))).toContain('the 1-for-3 split of 2026-02-04');
  expect(unrestatedReason(EX_DATE, split(1))).toContain('the 1-for-1 split');
  expect(unrestatedReason(EX_DATE)).toBe(
    'the source has not restated the prices before the split of 2026-02-04: there is no signal until it has',
  );
});

describeWithData('lean', 'a real Lean folder', () => {
  test.each(['AAPL', 'SPY', 'IBM', 'BAC', 'GOOG', 'QQQ', 'AIG', 'EEM', 'IWM', 'WM'])(
    '%s: every split since 1998 is restated',
    async (symbol) => {
      const { bars: all, actions } = await leanSource({ path: sharedData('lean'), clock: systemClock }).bars(
        symbol,
        { from: '1990-01-01' },
        new AbortController().signal,
      );
      expect(unrestatedSplit(all, actions)).toBeUndefined();
    },
  );

  test('the four splits of AAPL: each is found when its factor is undone', async () => {
    const { bars: all, actions } = await leanSource({ path: sharedData('lean'), clock: systemClock }).bars(
      'AAPL',
      { from: '1990-01-01' },
      new AbortController().signal,
    );
    const splits = actions.filter(({ kind }) => kind === 'split');
    const undone = (one: CorporateAction) =>
      all.map((bar) => (bar.date < one.date ? { ...bar, adjustedClose: bar.adjustedClose * one.value } : bar));
    expect(splits.map((one) => unrestatedSplit(undone(one), actions))).toEqual(splits.map(({ date }) => date));
  });
});
