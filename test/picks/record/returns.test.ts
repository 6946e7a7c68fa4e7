import { describe, expect, test } from 'vitest';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import { leanSource } from '../../../services/market/sources/lean.ts';
import { endSession, type RecordSeries, returnOver, returnUntil, startSession } from '../../../services/picks/record/returns.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';

const at = (text: string) => Temporal.Instant.from(text);
const START = '2026-10-05';
/** Closes of all sessions from the start; the given ones, then the last of them. */
const series = (closes: readonly number[], overrides: Partial<RecordSeries> = {}): RecordSeries => ({
  closes: usCalendar.tradingDays(START, '2027-01-29').map((date, i) => ({ date, close: closes[Math.min(i, closes.length - 1)]! })),
  actions: [],
  ended: false,
  ...overrides,
});
const measured = (one: RecordSeries, weeks: 1 | 4 | 12 = 1) => returnOver(one, START, weeks, usCalendar, '2027-01-29');

describe('the sessions of a return', () => {
  test.each([
    ['before the open on Monday', '2026-11-23T13:30:00Z', '2026-11-23'],
    ['within the session', '2026-11-23T20:59:59Z', '2026-11-23'],
    ['at the close', '2026-11-23T21:00:00Z', '2026-11-24'],
    ['on the eve of a holiday', '2026-11-25T22:00:00Z', '2026-11-27'],
    ['after an early close', '2026-11-27T18:00:00Z', '2026-11-30'],
    ['at a weekend', '2026-11-21T12:00:00Z', '2026-11-23'],
  ])('a report made %s is bought at the close of the first session that ends after it', (_, made, session) => {
    expect(startSession(at(made), usCalendar)).toBe(session);
  });

  test.each([
    ['2026-10-05', 1, '2026-10-12'],
    // Thanksgiving is 2026-11-26; the New Year's holiday 2027-01-01 is a Friday.
    ['2026-11-19', 1, '2026-11-27'],
    ['2026-12-04', 4, '2027-01-04'],
    ['2026-10-05', 12, '2026-12-28'],
  ] as const)('from %s on, %i weeks end on %s', (start, weeks, end) => {
    expect(endSession(start, weeks, usCalendar)).toBe(end);
  });
});

describe('a return', () => {
  test('is the change of the close where nothing happened', () => {
    // 2026-10-12 is the sixth session.
    expect(measured(series([100, 101, 102, 103, 104, 110]))).toEqual({
      state: 'final',
      start: { date: START, close: 100 },
      end: { date: '2026-10-12', close: 110 },
      value: expect.closeTo(0.1, 12),
    });
  });

  test('does not lose by a split', () => {
    const split = { date: '2026-10-08', kind: 'split', value: 4 } as const;
    expect(measured(series([100, 100, 100, 25, 25, 27.5], { actions: [split] })).value).toBeCloseTo(0.1, 12);
  });

  test('counts a dividend as reinvested at the close of its ex-date', () => {
    // By hand: 100 → 98 with 2 paid is 0 %, then 98 → 107.8 is 10 %.
    const dividend = { date: '2026-10-07', kind: 'dividend', value: 2 } as const;
    expect(measured(series([100, 100, 98, 98, 98, 107.8], { actions: [dividend] })).value).toBeCloseTo(0.1, 12);
  });

  test('counts a dividend on the day of a split per new share', () => {
    // By hand: one share of 100 becomes two of 49 with 1 paid on each: (49 + 1) × 2 / 100.
    const day = '2026-10-07';
    const actions = [
      { date: day, kind: 'split', value: 2 },
      { date: day, kind: 'dividend', value: 1 },
    ] as const;
    expect(measured(series([100, 100, 49, 49], { actions })).value).toBeCloseTo(0, 12);
  });

  test('leaves out what went ex on the day of the start, and takes what goes ex on the last day', () => {
    const onStart = { date: START, kind: 'dividend', value: 50 } as const;
    const onEnd = { date: '2026-10-12', kind: 'dividend', value: 5 } as const;
    expect(measured(series([100], { actions: [onStart, onEnd] })).value).toBeCloseTo(0.05, 12);
  });

  test('is open until its session is stored', () => {
    expect(returnOver(series([100]), START, 1, usCalendar, '2026-10-09')).toMatchObject({
      state: 'open',
      start: { close: 100 },
      value: null,
    });
  });

  test('of a symbol that is traded no more is its last price, then cash', () => {
    const whole = series([100, 90, 80]);
    const ended = { ...whole, closes: whole.closes.slice(0, 3), ended: true };
    expect(measured(ended, 12)).toMatchObject({
      state: 'delisted',
      end: { date: '2026-10-07', close: 80 },
      value: expect.closeTo(-0.2, 12),
    });
  });

  test('of a symbol that nobody fetched is missing, not final', () => {
    const whole = series([100, 90, 80]);
    expect(measured({ ...whole, closes: whole.closes.slice(0, 3) }, 12)).toMatchObject({ state: 'missing', value: null });
  });

  test('of a symbol that was halted on the last day is carried from the close before', () => {
    const whole = series([100, 101, 102, 103, 104, 999, 105]);
    const halted = { ...whole, closes: whole.closes.filter(({ date }) => date !== '2026-10-12') };
    expect(measured(halted)).toMatchObject({ state: 'carried', end: { date: '2026-10-09', close: 104 }, value: expect.closeTo(0.04, 12) });
  });

  test('of a symbol that was halted at the start begins at its next close, within a week', () => {
    const whole = series([100, 50]);
    expect(measured({ ...whole, closes: whole.closes.slice(1) }).start).toEqual({ date: '2026-10-06', close: 50 });
    expect(measured({ ...whole, closes: whole.closes.slice(8) }).state).toBe('missing');
  });

  test('without bars is missing', () => {
    expect(measured({ closes: [], actions: [], ended: true })).toEqual({ state: 'missing', start: null, end: null, value: null });
  });
});

describeWithData('lean', 'real prices', () => {
  test.each([
    ['AAPL', '2014-05-05', '2014-06-30'],
    ['IBM', '2012-01-03', '2013-01-02'],
    ['BAC', '2004-06-01', '2004-12-31'],
  ])('the return of %s from %s to %s agrees with the adjusted closes of the source', async (symbol, from, to) => {
    const { bars, actions } = await leanSource({ path: sharedData('lean'), clock: systemClock }).bars(
      symbol,
      { from, to },
      new AbortController().signal,
    );
    const result = returnUntil({ closes: bars, actions, ended: false }, from, to, to);
    // The factors of Lean take a dividend off the close before it: within a few hundredths of a percent of reinvesting it a day later.
    expect(result.value).toBeCloseTo(bars.at(-1)!.adjustedClose / bars[0]!.adjustedClose - 1, 2);
    expect(actions.length).toBeGreaterThan(0);
  });
});
