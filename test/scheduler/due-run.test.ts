import { expect, test } from 'vitest';
import { dueRun } from '../../services/scheduler/schedules.ts';

const weekdays = { cron: '0 9 * * 1-5', time_zone: 'America/New_York', skip_holidays: false };
const due = (last: string, now: string, schedule = weekdays) => dueRun(schedule, new Date(last), new Date(now));

// 2026: New York is on UTC-4 from 8 March to 1 November (US Energy Policy Act of 2005: second Sunday of March, first of November).
test.each([
  ['before its time nothing is due', '2026-06-01T13:00:00Z', '2026-06-02T12:59:59.999Z', undefined],
  ['at its very time it is due', '2026-06-01T13:00:00Z', '2026-06-02T13:00:00Z', '2026-06-02T13:00:00.000Z'],
  ['in winter it is an hour later in UTC', '2026-03-05T14:00:00Z', '2026-03-06T14:00:01Z', '2026-03-06T14:00:00.000Z'],
  ['on a weekend nothing is due', '2026-06-05T13:00:00Z', '2026-06-07T23:00:00Z', undefined],
])('%s', (_, last, now, at) => {
  expect(due(last, now)?.at.toISOString()).toBe(at);
});

test('a run is due once', () => {
  expect(due('2026-06-02T13:00:00Z', '2026-06-02T13:00:30Z')).toBeUndefined();
});

test('a time that summer time leaves out runs at the first moment after the gap', () => {
  const nightly = { ...weekdays, cron: '30 2 * * *' };
  expect(due('2026-03-07T07:30:00Z', '2026-03-08T07:10:00Z', nightly)?.at.toISOString()).toBe('2026-03-08T07:00:00.000Z');
});

test('a time that comes twice runs once', () => {
  const nightly = { ...weekdays, cron: '30 1 * * *' };
  const first = due('2026-10-31T05:30:00Z', '2026-11-01T05:40:00Z', nightly);
  expect(first?.at.toISOString()).toBe('2026-11-01T05:30:00.000Z');
  expect(due('2026-11-01T05:30:00Z', '2026-11-01T06:40:00Z', nightly)).toBeUndefined();
});

test('of several runs that fell due only the newest is made up for', () => {
  const hourly = { ...weekdays, cron: '0 * * * *' };
  expect(due('2026-06-02T10:00:00Z', '2026-06-02T13:20:00Z', hourly)).toMatchObject({
    at: new Date('2026-06-02T13:00:00Z'),
    missed: true,
    skip: undefined,
  });
});

test('a run that is an hour late is skipped, and one that is a second less is not', () => {
  expect(due('2026-06-01T13:00:00Z', '2026-06-02T13:59:59Z')?.skip).toBeUndefined();
  expect(due('2026-06-01T13:00:00Z', '2026-06-02T14:00:00Z')?.skip).toMatch(/60 minutes ago/);
});

// NYSE holidays of 2026: Independence Day is kept on Friday, 3 July.
test('a holiday of the exchange is skipped where the schedule says so', () => {
  const kept = { ...weekdays, skip_holidays: true };
  expect(due('2026-07-02T13:00:00Z', '2026-07-03T13:00:00Z', kept)?.skip).toBe('the exchange has no session on 2026-07-03');
  expect(due('2026-07-02T13:00:00Z', '2026-07-03T13:00:00Z')?.skip).toBeUndefined();
  expect(due('2026-07-01T13:00:00Z', '2026-07-02T13:00:00Z', kept)?.skip).toBeUndefined();
});

test("the holiday is that of the zone's day, not of the day in UTC", () => {
  // 23:30 on Thursday in New York is Friday, the holiday, in UTC.
  const late = { cron: '30 23 * * 1-5', time_zone: 'America/New_York', skip_holidays: true };
  expect(due('2026-07-02T03:30:00Z', '2026-07-03T03:30:00Z', late)).toMatchObject({
    at: new Date('2026-07-03T03:30:00Z'),
    skip: undefined,
  });
});
