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

test('the reason names the split as people do', () => {
  expect(unrestatedReason(EX_DATE, split(0.05))).toContain('the 1-for-20 split of 2026-02-04');
  expect(unrestatedReason(EX_DATE, split(1.5))).toContain('the 1.5-for-1 split of 2026-02-04');
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
