/** The judgement of a symbol's row, the counts and texts that people read, and the moments at which one state becomes the next. */
import { describe, expect, test } from 'vitest';
import { momentsAt } from '../../../services/market/calendar/calendar.ts';
import {
  countStates,
  countsText,
  type Failure,
  freshnessRules,
  judgeAnalysis,
  judgePrice,
  judgeState,
  sourceSet,
} from '../../../services/market/freshness/freshness.ts';
import { configWith } from '../../worker/workshop.ts';

/** New York is UTC-5 in November 2026; the 20th is a Friday. */
const thresholds = { market_open: 5, market_closed: 60, weekend: 720, default: 30 };
const ms = (text: string) => Temporal.Instant.from(text).epochMilliseconds;
const momentAt = (now: string, symbol = 'AAPL') => momentsAt(Temporal.Instant.from(now))(symbol);

describe('counts', () => {
  test('as text name each state that is there; how many are fresh is always said', () => {
    expect(countsText({ fresh: 9, outdated: 2, stale: 3, missing: 1, unknown: 4 })).toBe(
      '9 fresh, 2 outdated, 3 stale, 1 without data, 4 unknown to the sources',
    );
    expect(countsText({ fresh: 0, outdated: 1 })).toBe('0 fresh, 1 outdated');
    expect(countsText({ fresh: 2, outdated: 0, stale: 0, missing: 0, unknown: 0 })).toBe('2 fresh');
  });

  test('are those of the states', () => {
    const judged = (['fresh', 'stale', 'fresh', 'missing', 'outdated', 'outdated', 'fresh'] as const).map((state) => ({ state }));
    expect(countStates(judged)).toEqual({ fresh: 3, outdated: 2, stale: 1, missing: 1 });
  });
});

describe('the rules of a configuration', () => {
  test('have its thresholds, the hours of an analysis and its sources', () => {
    const config = configWith({
      'portfolio.freshness_schedule.market_open': 6,
      'portfolio.freshness_schedule.market_closed': 61,
      'portfolio.freshness_schedule.weekend': 721,
      'stock_jobs.portfolio_priority.data_staleness_threshold': 31,
      'stock_jobs.analysis.cache_ttl': 7,
      'stock_jobs.data_fetch.sources': 'yahoo_finance,cached',
    });
    expect(freshnessRules(config)).toEqual({
      thresholds: { market_open: 6, market_closed: 61, weekend: 721, default: 31 },
      analysisTtlHours: 7,
      sources: 'yahoo_finance,cached',
    });
  });

  test('a source without its key is none of the set whose failures count', () => {
    const sources = { 'stock_jobs.data_fetch.sources': 'yahoo_finance,alpha_vantage' };
    expect(sourceSet(configWith(sources))).toBe('yahoo_finance');
    expect(sourceSet(configWith({ ...sources, 'stock_jobs.data_fetch.alpha_vantage.api_key': '' }))).toBe('yahoo_finance');
    expect(sourceSet(configWith({ ...sources, 'stock_jobs.data_fetch.alpha_vantage.api_key': 'k' }))).toBe('yahoo_finance,alpha_vantage');
  });
});

describe('after a failure of the sources', () => {
  const failure: Failure = {
    since: new Date('2026-11-23T14:00:00Z'),
    askedAt: new Date('2026-11-23T15:00:00Z'),
    againAt: new Date('2026-11-23T15:10:00Z'),
    times: 2,
    code: 'source.unknown_symbol',
    reason: 'no source knows AAPL',
  };
  const missing = { newestBar: null, asOf: null, checkedAt: null };
  const judge = (now: string, state: Partial<Parameters<typeof judgeState>[1]> = {}) =>
    judgeState('AAPL', { ...missing, failure, ...state }, momentAt(now), thresholds);

  test('a symbol is not due in the pause, and says since when, when it was asked and when it is asked again', () => {
    expect(judge('2026-11-23T15:09:59Z')).toMatchObject({
      state: 'missing',
      due: false,
      dueAtMs: failure.againAt.getTime(),
      failure,
      reason:
        'unknown since 2026-11-23 14:00 UTC, last asked 9 min ago, asked again by the first login after 2026-11-23 15:10 UTC (no source knows AAPL)',
    });
  });

  test('it is due from the end of the pause on', () => {
    expect(judge('2026-11-23T15:10:00Z')).toMatchObject({
      due: true,
      reason: 'unknown since 2026-11-23 14:00 UTC, last asked 10 min ago, asked again now (no source knows AAPL)',
    });
  });

  test('it is called unknown only where the sources said so', () => {
    expect(judge('2026-11-23T15:05:00Z', { failure: { ...failure, code: 'source.all_failed', reason: 'not readable' } }).reason).toBe(
      'no usable answer since 2026-11-23 14:00 UTC, last asked 5 min ago, asked again by the first login after 2026-11-23 15:10 UTC (not readable)',
    );
  });

  test('stored bars that are fresh stay fresh, whatever the sources answered', () => {
    const live = { newestBar: '2026-11-23', asOf: new Date('2026-11-23T15:04:00Z'), checkedAt: null };
    const judged = judge('2026-11-23T15:05:00Z', live);
    expect(judged).toMatchObject({ state: 'fresh', due: false, reason: 'live bar 1 min old, threshold 5 min (market open)' });
    expect(judged.failure).toBeUndefined();
  });

  test('stored bars that are not yet due are due later than the pause ends when their own time is later', () => {
    const outdated = { newestBar: '2026-11-19', asOf: new Date('2026-11-19T21:00:00Z'), checkedAt: new Date('2026-11-23T15:09:00Z') };
    expect(judge('2026-11-23T15:11:00Z', outdated)).toMatchObject({
      state: 'outdated',
      due: false,
      dueAtMs: Date.parse('2026-11-23T15:14:00Z'),
    });
  });
});

test('a symbol of which nothing was ever requested is missing and due', () => {
  expect(judgeState('AAPL', undefined, momentAt('2026-11-23T15:00:00Z'), thresholds)).toMatchObject({
    state: 'missing',
    due: true,
    reason: 'no bar and never checked',
  });
});

test('a coin is judged by the days of the week, a share of another exchange by weekdays', () => {
  // Friday's bar, on Sunday, just checked.
  const state = { newestBar: '2026-11-20', asOf: new Date('2026-11-20T23:00:00Z'), checkedAt: new Date('2026-11-22T11:59:00Z') };
  const judge = (symbol: string) => judgeState(symbol, state, momentAt('2026-11-22T12:00:00Z', symbol), thresholds);
  expect(judge('BTC-USD')).toMatchObject({ state: 'outdated', reason: 'newest bar 2026-11-20, 1 day behind, checked 1 min ago' });
  expect(judge('VOD.L').state).toBe('fresh');
});

describe('the very moment', () => {
  const price = (now: string, input: Parameters<typeof judgePrice>[0]) => judgePrice(input, momentAt(now), thresholds);

  test('of the close makes a bar without a moment final', () => {
    const unknown = { newestBarDate: '2026-11-23' };
    expect(price('2026-11-23T15:59:59-05:00', unknown).state).toBe('stale');
    expect(price('2026-11-23T16:00-05:00', unknown)).toMatchObject({
      state: 'fresh',
      ageMinutes: 0,
      reason: expect.stringContaining('final'),
    });
  });

  test('of the threshold after the check makes outdated bars stale', () => {
    const halted = { newestBarDate: '2026-11-19', asOfMs: ms('2026-11-19T16:00-05:00'), checkedAtMs: ms('2026-11-23T10:00-05:00') };
    expect(price('2026-11-23T10:04:59-05:00', halted)).toMatchObject({ state: 'outdated', dueAtMs: ms('2026-11-23T10:05-05:00') });
    expect(price('2026-11-23T10:05-05:00', halted)).toMatchObject({
      state: 'stale',
      due: true,
      reason: 'bar of 2026-11-19 checked 5 min ago, threshold 5 min (market open)',
    });
  });

  test('of the open: a check then was before anything newer could exist', () => {
    const friday = { newestBarDate: '2026-11-20', asOfMs: ms('2026-11-20T16:00-05:00'), checkedAtMs: ms('2026-11-23T09:30-05:00') };
    expect(price('2026-11-23T09:33-05:00', friday).reason).toBe(
      'bar of 2026-11-20; session of 2026-11-23 opened 3 min ago, threshold 5 min (market open)',
    );
  });

  test.each([
    [119, '119 min'],
    [120, '2 h'],
    [47 * 60 + 59, '47 h'],
    [48 * 60, '2 d'],
  ])('an age of %i minutes reads %s', (minutes, text) => {
    const now = '2026-11-23T10:00-05:00';
    const { reason } = judgeAnalysis({ computedAtMs: ms(now) - minutes * 60_000 }, momentAt(now), 6);
    expect(reason).toBe(`analysis ${text} old, threshold 6 h (market open)`);
  });

  test.each([
    ['2026-11-23T10:00-05:00', 'AAPL', 'market open'],
    ['2026-11-23T08:00-05:00', 'AAPL', 'market closed'],
    ['2026-11-22T08:00-05:00', 'AAPL', 'weekend or holiday'],
    ['2026-11-22T08:00-05:00', 'VOD.L', 'no calendar'],
  ])('%s for %s reads "%s"', (now, symbol, text) => {
    expect(judgeAnalysis({ computedAtMs: ms(now) }, momentAt(now, symbol), 6).reason).toBe(`analysis 0 min old, threshold 6 h (${text})`);
  });

  test('an analysis of a newer bar than is stored is not stale for that', () => {
    const now = '2026-11-23T10:00-05:00';
    const input = { computedAtMs: ms(now), barDate: '2026-11-23', newestBarDate: '2026-11-20' };
    expect(judgeAnalysis(input, momentAt(now), 6).state).toBe('fresh');
  });

  test('an analysis that time made stale keeps its due moment when a newer bar is stored', () => {
    const now = '2026-11-23T12:00-05:00';
    const input = { computedAtMs: ms('2026-11-23T05:00-05:00'), barDate: '2026-11-20', newestBarDate: '2026-11-23' };
    expect(judgeAnalysis(input, momentAt(now), 6)).toMatchObject({ state: 'stale', dueAtMs: ms('2026-11-23T11:00-05:00') });
    expect(judgeAnalysis({ ...input, barDate: undefined }, momentAt(now), 6).reason).toBe(
      'the analysis is of the bar of an unknown day, and a bar of 2026-11-23 is stored',
    );
  });
});
