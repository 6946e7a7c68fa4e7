import { describe, expect, test } from 'vitest';
import { momentsAt, tradesEveryDay } from '../../../services/market/calendar/calendar.ts';
import { type AnalysisInput, judgeAnalysis, judgePrice } from '../../../services/market/freshness/freshness.ts';

/** Every expected age is counted by hand on the exchange's clock. 20 November 2026 is a Friday, the 26th Thanksgiving; New York is UTC-5, in summer UTC-4. */
const thresholds = { market_open: 5, market_closed: 60, weekend: 720, default: 30 };
const ms = (text: string) => Temporal.Instant.from(text).epochMilliseconds;

interface Known {
  bar?: string;
  asOf?: string;
  checked?: string;
  symbol?: string;
}

function judge(now: string, { bar, asOf, checked, symbol = 'AAPL' }: Known) {
  const input = {
    newestBarDate: bar,
    asOfMs: asOf === undefined ? undefined : ms(asOf),
    checkedAtMs: checked === undefined ? undefined : ms(checked),
    everyDay: tradesEveryDay(symbol),
  };
  return judgePrice(input, momentsAt(Temporal.Instant.from(now))(symbol), thresholds);
}

const friday = { bar: '2026-11-20', asOf: '2026-11-20T16:00-05:00' };

describe('nothing stored', () => {
  test('never fetched and never checked is missing, without an age', () => {
    expect(judge('2026-11-23T10:00-05:00', {})).toEqual({
      state: 'missing',
      due: true,
      ageMinutes: null,
      thresholdMinutes: 5,
      session: 'open',
      reason: 'no bar and never checked',
    });
  });

  test('a symbol without a calendar is missing too', () => {
    expect(judge('2026-11-23T10:00-05:00', { symbol: 'BTC-USD' })).toMatchObject({
      state: 'missing',
      session: 'none',
      thresholdMinutes: 30,
    });
  });

  test('no bar, but checked a moment ago: missing, and not asked for again before the threshold', () => {
    expect(judge('2026-11-23T10:04-05:00', { checked: '2026-11-23T10:00-05:00' })).toMatchObject({
      state: 'missing',
      due: false,
      ageMinutes: 4,
    });
    expect(judge('2026-11-23T10:05-05:00', { checked: '2026-11-23T10:00-05:00' })).toMatchObject({
      state: 'missing',
      due: true,
      ageMinutes: 5,
      reason: 'no bar; checked 5 min ago, threshold 5 min (market open)',
    });
  });
});

describe('a final bar of the newest session', () => {
  test.each([
    ['an hour after the close', '2026-11-20T17:00-05:00', 'closed', 60],
    ['three hours after it', '2026-11-20T19:00-05:00', 'closed', 180],
    ['on Sunday noon', '2026-11-22T12:00-05:00', 'weekend', 44 * 60],
    ['on Monday before the open', '2026-11-23T09:29-05:00', 'closed', 65 * 60 + 29],
  ])('is fresh %s, however old', (_, now, session, ageMinutes) => {
    expect(judge(now, friday)).toMatchObject({
      state: 'fresh',
      session,
      ageMinutes,
      reason: 'bar of 2026-11-20 is final; no later session has started',
    });
  });

  test('is due five minutes after the next open', () => {
    expect(judge('2026-11-22T12:00-05:00', friday).dueAtMs).toBe(ms('2026-11-23T09:35-05:00'));
  });

  test('is fresh on a holiday Monday, and due on Tuesday', () => {
    // Labor Day 2026 is Monday 7 September; Friday's session closed at 16:00 summer time.
    const judgement = judge('2026-09-07T11:00-04:00', { bar: '2026-09-04', asOf: '2026-09-04T16:20-04:00' });
    expect(judgement).toMatchObject({ state: 'fresh', session: 'weekend', ageMinutes: 67 * 60, dueAtMs: ms('2026-09-08T09:35-04:00') });
  });

  test('is younger by a later check', () => {
    expect(judge('2026-11-22T12:00-05:00', { ...friday, checked: '2026-11-22T11:00-05:00' })).toMatchObject({
      state: 'fresh',
      ageMinutes: 60,
    });
  });

  test('is final on a short day from 13:00 on', () => {
    const short = { bar: '2026-11-27', asOf: '2026-11-27T13:00-05:00' };
    expect(judge('2026-11-27T15:00-05:00', short)).toMatchObject({ state: 'fresh', session: 'closed', ageMinutes: 120 });
  });

  test('is taken as final when the moment it was true is unknown and its session has closed', () => {
    expect(judge('2026-11-22T12:00-05:00', { bar: '2026-11-20' })).toMatchObject({ state: 'fresh', ageMinutes: 44 * 60 });
  });

  test('counts the hour that daylight saving time takes away', () => {
    // Friday 6 March 2026 16:00 EST to Monday 9 March 09:00 EDT: 65 hours on the wall, 64 in fact.
    const judgement = judge('2026-03-09T09:00-04:00', { bar: '2026-03-06', asOf: '2026-03-06T16:00-05:00' });
    expect(judgement).toMatchObject({ state: 'fresh', ageMinutes: 64 * 60, dueAtMs: ms('2026-03-09T09:35-04:00') });
  });
});

describe('a bar of an earlier session', () => {
  test.each([
    ['at the open', '2026-11-23T09:30-05:00', 'fresh', 0],
    ['four minutes into the session', '2026-11-23T09:34-05:00', 'fresh', 4],
    ['five minutes into it', '2026-11-23T09:35-05:00', 'stale', 5],
    ['in the afternoon', '2026-11-23T15:30-05:00', 'stale', 360],
  ] as const)("counts from today's open, before which nothing newer existed: %s", (_, now, state, ageMinutes) => {
    expect(judge(now, friday)).toMatchObject({ state, ageMinutes, thresholdMinutes: 5, session: 'open' });
  });

  test('says which session it lacks', () => {
    expect(judge('2026-11-23T09:37-05:00', friday).reason).toBe(
      'bar of 2026-11-20; session of 2026-11-23 opened 7 min ago, threshold 5 min (market open)',
    );
  });

  test('counts from the first session that it lacks, not from the newest', () => {
    // Thursday's bar; Friday's session opened 73 hours before Monday 10:30.
    expect(judge('2026-11-23T10:30-05:00', { bar: '2026-11-19', asOf: '2026-11-19T16:00-05:00' })).toMatchObject({
      state: 'stale',
      ageMinutes: 73 * 60,
    });
  });

  test('is stale before the open when the session of the day before is missing', () => {
    // Tuesday 08:00, Monday opened 22.5 hours ago.
    expect(judge('2026-11-24T08:00-05:00', friday)).toMatchObject({
      state: 'stale',
      ageMinutes: 22.5 * 60,
      session: 'closed',
      thresholdMinutes: 60,
    });
  });

  test('is fresh for the first minutes after the open, also when the sources were asked in them', () => {
    expect(judge('2026-11-23T09:34-05:00', { ...friday, checked: '2026-11-23T09:33-05:00' })).toMatchObject({ state: 'fresh', due: false });
    expect(judge('2026-11-23T09:35-05:00', { ...friday, checked: '2026-11-23T09:33-05:00' })).toMatchObject({
      state: 'outdated',
      reason: 'newest bar 2026-11-20, 1 session behind, checked 2 min ago',
    });
  });

  // Sessions of the NYSE: 191 from April to December 2021, then 251, 250, 252 and 250 a year, 227 of 2026 to Wednesday 25 November.
  test('of 2021, checked two minutes ago, is outdated and says by how many sessions', () => {
    const old = { bar: '2021-03-31', asOf: '2021-03-31T16:00-04:00', checked: '2026-11-25T12:58-05:00' };
    expect(judge('2026-11-25T13:00-05:00', old)).toMatchObject({
      state: 'outdated',
      due: false,
      sessionsBehind: 1421,
      reason: 'newest bar 2021-03-31, 1,421 sessions behind, checked 2 min ago',
    });
    expect(judge('2026-11-25T13:03-05:00', old)).toMatchObject({ state: 'stale', due: true, sessionsBehind: 1421 });
  });

  test('of a halted symbol is asked again only after the threshold since the last check', () => {
    const halted = { bar: '2026-11-19', asOf: '2026-11-19T16:00-05:00', checked: '2026-11-23T10:00-05:00' };
    expect(judge('2026-11-23T10:04-05:00', halted)).toMatchObject({
      state: 'outdated',
      due: false,
      ageMinutes: 4,
      reason: 'newest bar 2026-11-19, 2 sessions behind, checked 4 min ago',
    });
    expect(judge('2026-11-23T10:06-05:00', halted)).toMatchObject({ state: 'stale', ageMinutes: 6 });
    expect(judge('2026-11-23T16:30-05:00', { ...halted, checked: '2026-11-23T16:10-05:00' })).toMatchObject({
      state: 'outdated',
      due: false,
      ageMinutes: 20,
    });
  });

  test('of a delisted symbol is asked again twice a day on a weekend', () => {
    const delisted = { bar: '2021-03-31', asOf: '2021-03-31T16:00-04:00', checked: '2026-11-21T08:00-05:00' };
    expect(judge('2026-11-21T19:59-05:00', delisted)).toMatchObject({ state: 'outdated', due: false, ageMinutes: 719 });
    expect(judge('2026-11-21T20:00-05:00', delisted)).toMatchObject({ state: 'stale', due: true, ageMinutes: 720 });
  });

  test('that a live source confirmed today has thereby been checked', () => {
    expect(judge('2026-11-23T10:02-05:00', { bar: '2026-11-20', asOf: '2026-11-23T10:00-05:00' })).toMatchObject({
      state: 'outdated',
      due: false,
      ageMinutes: 2,
    });
  });

  test('confirmed on the weekend still counts from the open', () => {
    expect(judge('2026-11-23T09:33-05:00', { ...friday, asOf: '2026-11-22T11:00-05:00', checked: '2026-11-22T12:00-05:00' })).toMatchObject(
      { state: 'fresh', ageMinutes: 3 },
    );
  });
});

describe('a live bar', () => {
  const live = { bar: '2026-11-23', asOf: '2026-11-23T10:00-05:00' };

  test('is fresh below the threshold and stale from it on', () => {
    expect(judge('2026-11-23T10:04:59-05:00', live).state).toBe('fresh');
    expect(judge('2026-11-23T10:07-05:00', live)).toMatchObject({
      state: 'stale',
      ageMinutes: 7,
      dueAtMs: ms('2026-11-23T10:05-05:00'),
      reason: 'live bar 7 min old, threshold 5 min (market open)',
    });
  });

  test('stays live after the close, by the threshold of the closed market', () => {
    const nearClose = { bar: '2026-11-23', asOf: '2026-11-23T15:50-05:00' };
    expect(judge('2026-11-23T16:49-05:00', nearClose)).toMatchObject({ state: 'fresh', ageMinutes: 59, thresholdMinutes: 60 });
    expect(judge('2026-11-23T16:50-05:00', nearClose)).toMatchObject({ state: 'stale', ageMinutes: 60 });
  });

  test('from before a short close is live after it', () => {
    expect(judge('2026-11-27T14:30-05:00', { bar: '2026-11-27', asOf: '2026-11-27T12:55-05:00' })).toMatchObject({
      state: 'stale',
      ageMinutes: 95,
      session: 'closed',
    });
  });

  test('is as old as the last check that found nothing newer', () => {
    expect(judge('2026-11-23T11:03-05:00', { ...live, checked: '2026-11-23T11:00-05:00' })).toMatchObject({
      state: 'fresh',
      ageMinutes: 3,
    });
  });

  test('without a known moment counts from the open', () => {
    expect(judge('2026-11-23T09:40-05:00', { bar: '2026-11-23' })).toMatchObject({ state: 'stale', ageMinutes: 10 });
  });

  test('from a clock that runs ahead is new, not younger than new', () => {
    expect(judge('2026-11-23T10:00-05:00', { bar: '2026-11-23', asOf: '2026-11-23T10:03-05:00' })).toMatchObject({
      state: 'fresh',
      ageMinutes: 0,
    });
  });
});

describe('a bar that is ahead of its session', () => {
  const early = { bar: '2026-11-23', asOf: '2026-11-23T08:00-05:00' };

  test('is fresh before the open, and counts from the open after it', () => {
    expect(judge('2026-11-23T09:00-05:00', early)).toMatchObject({ state: 'fresh', ageMinutes: 60, session: 'closed' });
    expect(judge('2026-11-23T09:34-05:00', early)).toMatchObject({ state: 'fresh', ageMinutes: 4 });
    expect(judge('2026-11-23T09:35-05:00', early)).toMatchObject({ state: 'stale', ageMinutes: 5 });
  });

  test('by more than one session proves nothing: it counts from when it was true', () => {
    expect(judge('2026-11-23T10:00-05:00', { bar: '2027-11-23', asOf: '2026-11-23T09:50-05:00' })).toMatchObject({
      state: 'stale',
      ageMinutes: 10,
    });
    expect(judge('2026-11-23T10:00-05:00', { bar: '2027-11-23' }).state).toBe('stale');
  });
});

describe('a symbol without a calendar', () => {
  test('is fresh for the default threshold, also on Sunday', () => {
    const coin = { symbol: 'BTC-USD', bar: '2026-11-22', asOf: '2026-11-22T12:00Z' };
    expect(judge('2026-11-22T12:29Z', coin)).toMatchObject({ state: 'fresh', ageMinutes: 29, thresholdMinutes: 30, session: 'none' });
    expect(judge('2026-11-22T12:30Z', coin)).toMatchObject({
      state: 'stale',
      reason: 'bar of 2026-11-22 30 min old, threshold 30 min (no calendar)',
    });
    expect(judge('2026-11-22T12:40Z', { ...coin, checked: '2026-11-22T12:35Z' })).toMatchObject({ state: 'fresh', ageMinutes: 5 });
  });

  // 20 November 2026 is a Friday.
  test.each([
    ['on Sunday', 'VOD.L', '2026-11-22T12:00Z', 'fresh', 0],
    ['on Monday, whose day is not over', 'VOD.L', '2026-11-23T20:00Z', 'fresh', 0],
    ['on Tuesday', 'VOD.L', '2026-11-24T09:00Z', 'outdated', 1],
    ['on the Monday after', 'VOD.L', '2026-11-30T09:00Z', 'outdated', 5],
    ['on Sunday, as a coin that trades every day', 'BTC-USD', '2026-11-22T12:00Z', 'outdated', 1],
    ['on Sunday, as a currency', 'GBPUSD=X', '2026-11-22T12:00Z', 'fresh', 0],
  ] as const)('with a bar of Friday that was just checked %s: %s', (_, symbol, now, state, sessionsBehind) => {
    const checked = Temporal.Instant.from(now).subtract({ minutes: 1 }).toString();
    expect(judge(now, { symbol, bar: '2026-11-20', asOf: '2026-11-20T16:30Z', checked })).toMatchObject({
      state,
      due: false,
      sessionsBehind,
    });
  });

  test('names the days that passed without a bar', () => {
    const known = { bar: '2021-03-31', asOf: '2026-11-23T10:00Z', symbol: 'VOD.L' };
    // April 2021 to 22 November 2026: 2,062 days in 294 weeks and 4 days (Thursday to Sunday), so 294 × 5 + 2 weekdays.
    expect(judge('2026-11-23T10:03Z', known).reason).toBe('newest bar 2021-03-31, 1,472 weekdays behind, checked 3 min ago');
    expect(judge('2026-11-23T10:30Z', known)).toMatchObject({ state: 'stale', sessionsBehind: 1472 });
  });
});

describe('analysis', () => {
  const now = '2026-11-23T12:00-05:00';
  const judgeIt = (input: AnalysisInput) => judgeAnalysis(input, momentsAt(Temporal.Instant.from(now))('AAPL'), 6);

  test('is missing when there is none', () => {
    expect(judgeIt({ newestBarDate: '2026-11-23' })).toMatchObject({ state: 'missing', ageMinutes: null, thresholdMinutes: 360 });
  });

  test('is stale from six hours on', () => {
    const bars = { barDate: '2026-11-23', newestBarDate: '2026-11-23' };
    expect(judgeIt({ ...bars, computedAtMs: ms('2026-11-23T06:01-05:00') })).toMatchObject({ state: 'fresh', ageMinutes: 359 });
    expect(judgeIt({ ...bars, computedAtMs: ms('2026-11-23T06:00-05:00') })).toMatchObject({ state: 'stale', ageMinutes: 360 });
  });

  test('is stale at once when a newer bar is stored', () => {
    const judgement = judgeIt({ computedAtMs: ms('2026-11-23T11:50-05:00'), barDate: '2026-11-20', newestBarDate: '2026-11-23' });
    expect(judgement).toMatchObject({
      state: 'stale',
      ageMinutes: 10,
      reason: 'the analysis is of the bar of 2026-11-20, and a bar of 2026-11-23 is stored',
    });
    expect(judgement.dueAtMs).toBe(ms(now));
  });

  test('of outdated bars is outdated, and not made again for that', () => {
    const bars = { barDate: '2021-03-31', newestBarDate: '2021-03-31', computedAtMs: ms('2026-11-23T11:50-05:00') };
    expect(judgeIt({ ...bars, price: { state: 'outdated', sessionsBehind: 1419 } })).toMatchObject({
      state: 'outdated',
      due: false,
      sessionsBehind: 1419,
      reason: 'analysis 10 min old, of the bar of 2021-03-31, which is not of the newest session',
    });
    expect(judgeIt({ ...bars, price: { state: 'fresh', sessionsBehind: 1 } })).toMatchObject({ state: 'fresh', due: false });
    expect(
      judgeIt({ ...bars, computedAtMs: ms('2026-11-23T05:50-05:00'), price: { state: 'outdated', sessionsBehind: 1419 } }),
    ).toMatchObject({
      state: 'stale',
      due: true,
    });
  });

  test('is not due where there is no bar to make it of', () => {
    expect(judgeIt({})).toMatchObject({ state: 'missing', due: false });
    expect(judgeIt({ newestBarDate: '2026-11-23' })).toMatchObject({ state: 'missing', due: true });
  });

  test('of an unknown bar is stale when any bar is stored, and by time alone when none is', () => {
    expect(judgeIt({ computedAtMs: ms(now), newestBarDate: '2026-11-23' }).state).toBe('stale');
    expect(judgeIt({ computedAtMs: ms(now) }).state).toBe('fresh');
  });
});

test('twenty thousand judgements take less than three seconds', () => {
  const moment = momentsAt(Temporal.Instant.from('2026-11-23T10:30-05:00'))('AAPL');
  const bars = ['2026-11-23', '2026-11-20', '2026-11-19', undefined];
  const started = performance.now();
  for (let i = 0; i < 20_000; i++) judgePrice({ newestBarDate: bars[i % 4], asOfMs: moment.nowMs - i * 1000 }, moment, thresholds);
  expect(performance.now() - started).toBeLessThan(3_000);
});
