import { expect, test } from 'vitest';
import { expiryTimes } from '../../../../services/market/options/chain/time.ts';

const at = (moment: string, ...expirations: string[]) => {
  const { dte, years, expired } = expiryTimes(expirations, Temporal.Instant.from(moment));
  return { dte: [...dte], years: [...years], expired: [...expired] };
};

test('days are calendar days from the date in New York, not in UTC', () => {
  // 03:30 UTC on the 16th is 23:30 on the 15th in New York (UTC-4).
  expect(at('2026-06-16T03:30:00Z', '2026-06-15', '2026-06-16', '2026-07-17').dte).toEqual([0, 1, 32]);
});

test('years run to the close at 16:00 in New York, of 365 days', () => {
  // By hand: 14:00 UTC is 10:00; six hours and then 30 days more.
  const { years } = at('2026-06-16T14:00:00Z', '2026-06-16', '2026-07-16');
  expect(years[0]).toBeCloseTo(6 / 24 / 365, 15);
  expect(years[1]).toBeCloseTo(30.25 / 365, 15);
});

test('a clock change in between adds its hour', () => {
  // By hand: summer time ends on 2026-11-01; 16:00 EDT to 16:00 EST of the next week is 7 days and an hour.
  expect(at('2026-10-30T20:00:00Z', '2026-11-06').years[0]).toBeCloseTo((7 + 1 / 24) / 365, 15);
});

test('an expiration on a short day ends at 13:00', () => {
  // The day after Thanksgiving: 18:00 UTC is 13:00.
  expect(at('2026-11-27T17:59:59Z', '2026-11-27').expired).toEqual([0]);
  expect(at('2026-11-27T18:00:00Z', '2026-11-27').expired).toEqual([1]);
});

test('an expiration of today expires with the close, of yesterday it has, of tomorrow it has not', () => {
  expect(at('2026-06-16T19:59:59Z', '2026-06-15', '2026-06-16', '2026-06-17').expired).toEqual([1, 0, 0]);
  expect(at('2026-06-16T20:00:00Z', '2026-06-15', '2026-06-16', '2026-06-17').expired).toEqual([1, 1, 0]);
});

test('a Saturday expiration stops trading on Friday, and its days still count to Saturday', () => {
  // The monthly options of June 2014 expired on Saturday the 21st. By hand: Friday 16:00 is 1/24 of a day after 15:00.
  const friday = at('2014-06-20T19:00:00Z', '2014-06-21');
  expect(friday).toEqual({ dte: [1], years: [expect.closeTo(1 / 24 / 365, 15)], expired: [0] });
  expect(at('2014-06-20T20:00:00Z', '2014-06-21')).toMatchObject({ dte: [1], expired: [1] });
});

test('text that is not a date is refused', () => {
  expect(() => at('2026-06-16T14:00:00Z', '20260717')).toThrow(/"20260717" is not a date/);
});

test('a contract that is settled in the morning ends at the opening of its day, its weekly sister at the close', () => {
  // The third Friday of December 2026; the opening is 14:30 UTC.
  const times = expiryTimes(['2026-12-18', '2026-12-18'], Temporal.Instant.from('2026-12-17T14:30:00Z'), ['SPX', 'SPXW']);
  expect([...times.years].map((years) => years * 365 * 24)).toEqual([expect.closeTo(24, 9), expect.closeTo(30.5, 9)]);
  const expired = (moment: string) => [
    ...expiryTimes(['2026-12-18', '2026-12-18'], Temporal.Instant.from(moment), ['SPX', 'SPXW']).expired,
  ];
  expect(expired('2026-12-18T14:29:59Z')).toEqual([0, 0]);
  expect(expired('2026-12-18T14:30:00Z')).toEqual([1, 0]);
  expect(expired('2026-12-18T21:00:00Z')).toEqual([1, 1]);
});
