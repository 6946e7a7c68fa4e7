/** When an answer continues the stored history, and when that has to be replaced. */
import { describe, expect, test } from 'vitest';
import type { Bar, BarsAnswer, CorporateAction } from '../../../services/market/bars/bars.ts';
import { changedBars, differenceOf, type Stored } from '../../../services/market/bars/differences.ts';

const bar = (date: string, changes: Partial<Bar> = {}): Bar => ({
  ...{ date, open: 10, high: 12, low: 9, close: 11, adjustedClose: 5.5, volume: 100, ...changes },
});
const DAYS = ['2026-03-05', '2026-03-06', '2026-03-09'];
const BARS = DAYS.map((date) => bar(date));

function difference({
  bars = BARS,
  actions = [],
  source = 'yahoo_finance',
  answered = BARS,
  events = [],
  from = 'yahoo_finance',
  isWhole = false,
}: {
  bars?: Bar[];
  actions?: CorporateAction[];
  source?: BarsAnswer['source'];
  answered?: Bar[];
  events?: CorporateAction[];
  from?: BarsAnswer['source'];
  isWhole?: boolean;
}): string | undefined {
  const state = { newestBar: '2026-03-09', source } as Stored['state'];
  const answer = { symbol: 'AAA', source: from, asOf: Temporal.Instant.from('2026-03-10T00:00:00Z'), bars: answered, actions: events };
  return differenceOf({ state, bars, actions }, answer, isWhole);
}
const withBar = (at: number, changes: Partial<Bar>) => BARS.with(at, bar(DAYS[at]!, changes));
const dividend = (value: number, date = '2026-03-06'): CorporateAction => ({ date, kind: 'dividend', value });

describe('no difference', () => {
  test.each<[string, Parameters<typeof difference>[0]]>([
    ['the same bars', {}],
    ['a newest bar whose prices have moved', { answered: withBar(2, { high: 13, close: 12, adjustedClose: 6 }) }],
    ['a volume that was counted again', { answered: withBar(0, { volume: 7 }) }],
    ['a day that the answer lacks', { answered: BARS.slice(1) }],
    ['a newer bar', { answered: [...BARS, bar('2026-03-10', { close: 20, adjustedClose: 20 })] }],
    ["a source's own rounding of the adjusted close", { answered: withBar(0, { adjustedClose: 5.5 * (1 + 4e-7) }) }],
    ['the last digits of a double', { answered: withBar(0, { high: 12 * (1 + 4e-13) }) }],
    ['the last digits of a dividend', { actions: [dividend(0.5)], events: [dividend(0.5 * (1 + 4e-7))] }],
    ['a dividend that a part of the history does not list', { actions: [dividend(0.5)] }],
    ['one that another source does not list', { actions: [dividend(0.5)], isWhole: true, from: 'lean' }],
    ['one from before the first bar of the answer', { actions: [dividend(0.5, '2026-03-04')], isWhole: true }],
    ['an answer without bars', { bars: withBar(0, { close: 0 }), answered: [], isWhole: true, actions: [dividend(0.5)] }],
  ])('%s', (_, given) => {
    expect(difference(given)).toBeUndefined();
  });
});

describe('a difference, and its reason', () => {
  test.each<[string, Parameters<typeof difference>[0]]>([
    ['real data replaces made-up data', { source: 'simulated' }],
    ['the stored bar of 2026-03-05 cannot be true (close 0 is not a price)', { bars: withBar(0, { close: 0 }) }],
    ['the adjusted close of 2026-03-06 has changed from 5.5 to 5.49989', { answered: withBar(1, { adjustedClose: 5.49989 }) }],
    ['the adjusted close of 2026-03-09 has changed from 5.5 to 5.4', { answered: withBar(2, { adjustedClose: 5.4 }) }],
    ['the bar of 2026-03-05 has been repaired: its prices have changed', { answered: withBar(0, { open: 10.01 }) }],
    ['the bar of 2026-03-05 has been repaired: its prices have changed', { answered: withBar(0, { high: 12.01 }) }],
    ['the bar of 2026-03-05 has been repaired: its prices have changed', { answered: withBar(0, { low: 8.99 }) }],
    ['the bar of 2026-03-05 has been repaired: its prices have changed', { answered: withBar(0, { close: 22, adjustedClose: 11 }) }],
    ['the dividend of 2026-03-06 is new', { events: [dividend(0.5)] }],
    ['the split of 2026-03-06 is new', { actions: [dividend(4)], events: [{ date: '2026-03-06', kind: 'split', value: 4 }] }],
    ['the dividend of 2026-03-06 has changed from 0.5 to 0.55', { actions: [dividend(0.5)], events: [dividend(0.55)] }],
    ["the dividend of 2026-03-06 is no longer among the source's", { actions: [dividend(0.5)], isWhole: true }],
    ["the dividend of 2026-03-05 is no longer among the source's", { actions: [dividend(0.5, '2026-03-05')], isWhole: true }],
  ])('%s', (reason, given) => {
    expect(difference(given)).toBe(reason);
  });
});

describe('bars to be written', () => {
  test.each<[string, Partial<Bar>]>([
    ['open', { open: 10.5 }],
    ['high', { high: 12.5 }],
    ['low', { low: 8.5 }],
    ['close', { close: 11.5 }],
    ['adjusted close', { adjustedClose: 5 }],
    ['volume', { volume: 101 }],
  ])('are those with another %s', (_, changes) => {
    expect(changedBars(BARS, withBar(1, changes))).toEqual([bar('2026-03-06', changes)]);
  });

  test('and those of new days; none when all are stored', () => {
    expect(changedBars(BARS, [...BARS, bar('2026-03-10')])).toEqual([bar('2026-03-10')]);
    expect(changedBars(BARS, BARS)).toEqual([]);
    expect(changedBars(BARS, withBar(0, { open: 10 * (1 + 4e-13), volume: 100 * (1 + 4e-13) }))).toEqual([]);
    expect(changedBars([bar('2026-03-05', { volume: 0 })], [bar('2026-03-05', { volume: 0 })])).toEqual([]);
  });
});
