import { describe, expect, test } from 'vitest';
import { availableDays, completeAt, emptyCountsFrom, isPartial } from '../../services/history/availability.ts';
import type { Download, ObjectSpec } from '../../services/history/dataset.ts';
import { planOf } from '../../services/history/plan.ts';

const objectOf = (dataset: Pick<Download, 'asset' | 'schema'> & { root?: string }, day: string): ObjectSpec =>
  planOf({ root: 'AAPL', interval: dataset.schema === 'eod' ? '1d' : '1m', from: day, to: day, ...dataset })[0]!.object;
const at = (text: string) => Temporal.Instant.from(text);

const OPTION_EOD = { asset: 'option', schema: 'eod' } as const;
const OPTION_QUOTE = { asset: 'option', schema: 'quote' } as const;
const STOCK_EOD = { asset: 'stock', schema: 'eod' } as const;
const STOCK_OHLC = { asset: 'stock', schema: 'ohlc' } as const;

describe('complete', () => {
  // New York is 5 hours behind UTC before 2024-03-10 and after 2024-11-02, 4 between.
  test.each([
    ['the end of a winter day at 17:30', OPTION_EOD, '2024-03-08', '2024-03-08T22:30:00Z'],
    ['the end of a summer day at 17:30', OPTION_EOD, '2024-03-11', '2024-03-11T21:30:00Z'],
    ['the end of a short day at 17:30 too', OPTION_EOD, '2023-11-24', '2023-11-24T22:30:00Z'],
    ['quotes of a stock’s options at 16:15', OPTION_QUOTE, '2024-11-01', '2024-11-01T20:15:00Z'],
    ['… on a short day at 13:15', OPTION_QUOTE, '2023-11-24', '2023-11-24T18:15:00Z'],
    ['… of SPX after the curb session, at 17:15', { ...OPTION_QUOTE, root: '^SPX' }, '2024-11-04', '2024-11-04T22:15:00Z'],
    ['bars of a stock at 16:15', STOCK_OHLC, '2024-11-04', '2024-11-04T21:15:00Z'],
  ])('%s', (_, dataset, day, expected) => {
    expect(completeAt(objectOf(dataset, day), day)?.toString()).toBe(expected);
  });

  test.each(['2024-01-13', '2024-03-29'])('%s has no session, so nothing to complete', (day) => {
    expect(completeAt(objectOf(OPTION_EOD, '2024-01-10'), day)).toBeUndefined();
  });
});

describe('the days that can be had', () => {
  test('a running month has those that are complete, to the second', () => {
    const month = objectOf(OPTION_EOD, '2024-03-11');
    expect(availableDays(month, at('2024-03-11T21:29:59Z')).at(-1)).toBe('2024-03-08');
    expect(availableDays(month, at('2024-03-11T21:30:00Z')).at(-1)).toBe('2024-03-11');
    expect(availableDays(month, at('2024-02-29T12:00:00Z'))).toEqual([]);
  });

  test('a month ends with its last session, not with its last day', () => {
    // 2024-03-29 was Good Friday; 30 and 31 a weekend.
    const month = objectOf(OPTION_EOD, '2024-03-11');
    expect(isPartial(month, at('2024-03-28T21:29:59Z'))).toBe(true);
    expect(isPartial(month, at('2024-03-28T21:30:00Z'))).toBe(false);
  });

  test('a year ends with its last session', () => {
    // The last session of 2022 was Friday the 30th.
    const year = objectOf(STOCK_EOD, '2022-05-02');
    expect(isPartial(year, at('2022-12-30T22:29:59Z'))).toBe(true);
    expect(isPartial(year, at('2022-12-30T22:30:00Z'))).toBe(false);
  });

  test('a day of quotes is partial until it is complete', () => {
    const day = objectOf(OPTION_QUOTE, '2024-03-11');
    expect([isPartial(day, at('2024-03-11T18:00:00Z')), isPartial(day, at('2024-03-11T20:15:00Z'))]).toEqual([true, false]);
  });
});

test.each([
  ['2024-01-10', '2024-01-11T11:00:00Z'],
  // Friday: the calendar day after, not the next session.
  ['2024-01-12', '2024-01-13T11:00:00Z'],
  // The Saturday before summer time: Sunday 06:00 is already four hours behind.
  ['2024-03-09', '2024-03-10T10:00:00Z'],
])('an empty answer for %s counts from %s', (day, expected) => {
  expect(emptyCountsFrom(day).toString()).toBe(expected);
});
