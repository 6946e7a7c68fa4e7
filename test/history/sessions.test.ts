import { describe, expect, test } from 'vitest';
import { sessionsOf } from '../../services/history/sessions.ts';

const utc = (ms: number) => new Date(ms).toISOString().slice(0, 16);
const hours = (root: string, asset: 'option' | 'stock', day: string) => {
  const { open, close, expiringClose, lastClose } = sessionsOf(root, asset, day)!;
  return [open, close, expiringClose, lastClose].map((ms) => utc(ms).slice(11));
};

// New York is 5 hours behind UTC in winter and 4 in summer; the clocks change on the second Sunday of March and the first of November (15 U.S.C. 260a).
describe('a day’s sessions in UTC', () => {
  test.each([
    ['the Friday before summer time', '2024-03-08', '14:30', '21:00'],
    ['the Monday after', '2024-03-11', '13:30', '20:00'],
    ['the Friday before winter time', '2024-11-01', '13:30', '20:00'],
    ['the Monday after it', '2024-11-04', '14:30', '21:00'],
  ])('%s', (_, day, open, close) => {
    expect(hours('AAPL', 'option', day).slice(0, 2)).toEqual([open, close]);
  });

  test('the window of the Monday after a change of the clocks begins on Sunday evening, in the new time', () => {
    const monday = sessionsOf('SPX', 'option', '2024-03-11')!;
    // 20:15 on Sunday 2024-03-10, four hours behind; 17:00 on Monday.
    expect([utc(monday.windowStart), utc(monday.windowEnd)]).toEqual(['2024-03-11T00:15', '2024-03-11T21:00']);
    const friday = sessionsOf('SPX', 'option', '2024-03-08')!;
    expect([utc(friday.windowStart), utc(friday.windowEnd)]).toEqual(['2024-03-08T01:15', '2024-03-08T22:00']);
  });
});

test('the window of stocks ends with their extended hours, at 20:00', () => {
  expect(utc(sessionsOf('AAPL', 'stock', '2024-03-08')!.windowEnd)).toBe('2024-03-09T01:00');
});

describe('by product, on a winter day (UTC is New York and five hours)', () => {
  test.each([
    ['a stock', 'AAPL', 'stock', '2024-01-10', ['14:30', '21:00', '21:00', '21:00']],
    ['an option of a stock', 'AAPL', 'option', '2024-01-10', ['14:30', '21:00', '21:00', '21:00']],
    ['an option of a late fund', 'SPY', 'option', '2024-01-10', ['14:30', '21:15', '21:15', '21:15']],
    ['the late fund itself', 'SPY', 'stock', '2024-01-10', ['14:30', '21:00', '21:00', '21:00']],
    ['an index option without a curb session', 'NDX', 'option', '2024-01-10', ['14:30', '21:15', '21:15', '21:15']],
    [
      'SPXW: expiring contracts stop at 16:00; a curb session to 17:00',
      'SPXW',
      'option',
      '2024-01-10',
      ['14:30', '21:15', '21:00', '22:00'],
    ],
    // Cboe's contract specifications: 8:30 a.m. to 3:15 p.m. Chicago time.
    ['MXEA', 'MXEA', 'option', '2024-01-10', ['14:30', '21:15', '21:15', '21:15']],
    ['SPX, written as the index', '^SPX', 'option', '2024-01-10', ['14:30', '21:15', '21:15', '22:00']],
    ['a short day of stocks', 'AAPL', 'option', '2023-11-24', ['14:30', '18:00', '18:00', '18:00']],
    ['a short day of index options', 'NDXP', 'option', '2023-11-24', ['14:30', '18:15', '18:00', '18:15']],
  ] as const)('%s', (_, root, asset, day, expected) => {
    expect(hours(root, asset, day)).toEqual(expected);
  });

  test('the curb session has a first day', () => {
    // Cboe: 2022-04-25, a Monday in summer. The Friday before ended at 16:15.
    expect(hours('VIX', 'option', '2022-04-22')[3]).toBe('20:15');
    expect(hours('VIX', 'option', '2022-04-25')[3]).toBe('21:00');
  });
});

test.each(['2024-01-13', '2024-03-29', '2025-01-09', '2012-10-29', 'no day'])('%s has no session', (day) => {
  expect(sessionsOf('SPX', 'option', day)).toBeUndefined();
});
