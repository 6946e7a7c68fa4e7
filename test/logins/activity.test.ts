import { describe, expect, test } from 'vitest';
import { type Activity, countLogin, type Hours, usualHour } from '../../services/logins/activity.ts';

const rules = { halfLifeDays: 7, lookbackDays: 28 };
const habit = { lookbackDays: 28, minLogins: 3 };
const at = (text: string): number => Date.parse(`2026-03-${text}Z`);
const day = (text: string): number => Math.floor(at(`${text}T00:00`) / 86_400_000);

function signedIn(...logins: { at: string; timed?: boolean }[]): Activity {
  let activity: Activity | undefined;
  for (const login of logins)
    activity = countLogin(activity, { user: 'alice', atMs: at(login.at), timed: login.timed ?? true }, rules) ?? activity;
  return activity!;
}
const hoursOf = (entries: Record<number, string[]>): Hours => Array.from({ length: 24 }, (_, hour) => (entries[hour] ?? []).map(day));

describe('a login', () => {
  test('counts one, on top of what earlier ones have decayed to', () => {
    // Half-life of 7 days: 1 × 2^-1 + 1.
    expect(signedIn({ at: '02T13:05' }, { at: '09T13:05' }).logins).toBeCloseTo(1.5, 12);
  });

  test('that is delivered again changes nothing', () => {
    const before = signedIn({ at: '02T13:05' });
    expect(countLogin(before, { user: 'alice', atMs: at('02T13:05'), timed: true }, rules)).toBeUndefined();
  });

  test('that is older than the last one changes nothing', () => {
    expect(signedIn({ at: '02T13:05' }, { at: '01T13:05' }).logins).toBe(1);
  });

  test('without a time of its own is the same login as one within a minute before it', () => {
    expect(signedIn({ at: '02T13:05:00' }, { at: '02T13:05:59', timed: false }).logins).toBe(1);
    expect(signedIn({ at: '02T13:05:00' }, { at: '02T13:06:00', timed: false }).logins).toBe(1);
    expect(signedIn({ at: '02T13:05:00' }, { at: '02T13:06:01', timed: false }).logins).toBeCloseTo(2, 3);
  });

  test('is noted at its hour, once a day', () => {
    const { hours } = signedIn({ at: '02T13:05' }, { at: '02T13:50' }, { at: '03T13:10' }, { at: '03T21:00' });
    expect(hours).toEqual(hoursOf({ 13: ['02', '03'], 21: ['03'] }));
  });

  test('forgets the days before the look-back', () => {
    const { hours } = signedIn({ at: '01T13:05' }, { at: '02T13:05' }, { at: '29T20:00' });
    expect(hours).toEqual(hoursOf({ 13: ['02'], 20: ['29'] }));
  });
});

describe('the usual hour', () => {
  const now = at('20T00:00');

  test('is the one with the most days', () => {
    expect(usualHour(hoursOf({ 9: ['16', '17', '18'], 20: ['15', '16', '17', '18'] }), now, habit)).toBe(20);
  });

  test('is the earlier one when the habit lies across the full hour', () => {
    expect(usualHour(hoursOf({ 13: ['16', '18'], 14: ['17', '19'] }), now, habit)).toBe(13);
  });

  test('is 23 when the habit lies across midnight', () => {
    expect(usualHour(hoursOf({ 23: ['16', '18'], 0: ['18', '20'] }), now, habit)).toBe(23);
    expect(usualHour(hoursOf({ 0: ['16', '17', '18'] }), now, habit)).toBe(0);
  });

  test('is not the hour before the habit', () => {
    expect(usualHour(hoursOf({ 14: ['16', '17', '18'] }), now, habit)).toBe(14);
  });

  test('needs as many days as configured', () => {
    expect(usualHour(hoursOf({ 14: ['16', '17'] }), now, habit)).toBeUndefined();
    expect(usualHour(hoursOf({ 14: ['16', '17'] }), now, { ...habit, minLogins: 2 })).toBe(14);
  });

  test('is none for a user without a login', () => {
    expect(usualHour([], now, { ...habit, minLogins: 1 })).toBeUndefined();
  });

  test('looks back no further than configured', () => {
    expect(usualHour(hoursOf({ 14: ['13', '17', '18'] }), now, { ...habit, lookbackDays: 7 })).toBeUndefined();
    expect(usualHour(hoursOf({ 14: ['14', '17', '18'] }), now, { ...habit, lookbackDays: 7 })).toBe(14);
    expect(usualHour(hoursOf({ 14: ['10', '17', '18'] }), now, { ...habit, lookbackDays: 7 })).toBeUndefined();
  });
});
