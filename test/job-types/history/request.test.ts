/** The jobs of a download. Numbers of days: the calendar of the NYSE, counted in test/market/calendar. */
import { expect, test } from 'vitest';
import type { Download } from '../../../services/history/dataset.ts';
import { HistoryPayload } from '../../../services/job-types/history/definition.ts';
import { type HistoryOptions, historyRequests } from '../../../services/job-types/history/request.ts';
import { configOf } from '../../scheduler/configuration.ts';

const config = configOf();
const rules = config.jobs.priority_rules;

function made(download: Partial<Download>, options: Partial<HistoryOptions> = {}) {
  const whole: Download = {
    asset: 'option',
    schema: 'quote',
    interval: '15m',
    root: 'AAPL',
    from: '2014-01-01',
    to: '2023-12-31',
    ...download,
  };
  return historyRequests(whole, { origin: { cause: 'user_request', rules, user: 'ada' }, config, ...options });
}

// 2014 to 2023 had 252, 252, 252, 251, 251, 252, 253, 252, 251 and 250 trading days: 2516.
test('ten years of quotes are one job over ten parts of at most 260 days, the newest first', () => {
  const [job, ...parts] = made({});
  expect(job).toMatchObject({ type: 'history', symbol: 'AAPL', level: 5, user: 'ada', payload: { from: '2014-01-01', parts: 10 } });
  expect(job?.parts).toEqual(parts.map(({ dedupeKey }) => dedupeKey));
  expect(parts).toHaveLength(10);
  expect(parts.reduce((sum, { items = [] }) => sum + items.length, 0)).toBe(2516);
  for (const { items = [], user } of parts) expect([items.length <= 260, user]).toEqual([true, undefined]);
  expect(parts.at(0)?.payload).toMatchObject({ to: '2023-12-29' });
  expect(parts.at(-1)?.payload).toMatchObject({ from: '2014-01-02' });
  for (const { payload } of [job!, ...parts]) expect(() => HistoryPayload.parse(payload)).not.toThrow();
});

test('ten years of option reports are one job of 120 months, of stock reports one of ten years', () => {
  const months = made({ schema: 'eod', interval: '1d' });
  expect([months.length, months[0]?.items?.length, months[0]?.parts]).toEqual([1, 120, undefined]);
  const years = made({ asset: 'stock', schema: 'eod', interval: '1d' });
  expect([years.length, years[0]?.items?.length]).toEqual([1, 10]);
});

test('the same objects with the same options are the same job, whatever the days are called', () => {
  const keyOf = (...args: Parameters<typeof made>) => made(...args)[0]?.dedupeKey;
  const week = { from: '2024-01-02', to: '2024-01-05' };
  // The first is New Year's Day, the 6th and 7th a weekend.
  expect(keyOf({ from: '2024-01-01', to: '2024-01-07' })).toBe(keyOf(week));
  for (const other of [
    keyOf(week, { force: true }),
    keyOf(week, { source: 'theta' }),
    keyOf({ ...week, filter: { maxDte: 30, basePct: 0.1 } }),
    keyOf({ ...week, root: 'SPY' }),
  ])
    expect(other).not.toBe(keyOf(week));
});

test('a range without a trading day is refused', () => {
  expect(() => made({ from: '2024-01-06', to: '2024-01-07' })).toThrow(expect.objectContaining({ code: 'history.no_trading_day' }));
});

test('a priority that was chosen is that of the parts too', () => {
  for (const { level } of made({}, { priority: 9 })) expect(level).toBe(9);
});
