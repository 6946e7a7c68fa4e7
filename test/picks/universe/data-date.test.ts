import { expect, test } from 'vitest';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import { dataDateOf } from '../../../services/picks/universe/data-date.ts';
import { priceHistoryOf } from '../../../services/picks/universe/input.ts';
import { AT, SESSIONS, walk } from '../invented-universe.ts';

const history = (dates: readonly string[]) => ({ history: priceHistoryOf(walk(1, { dates: [...dates] })) });
const through = (back: number) => history(back === 0 ? SESSIONS : SESSIONS.slice(0, -back));
const many = <T>(count: number, one: T): T[] => new Array<T>(count).fill(one);
const dateOf = (members: Parameters<typeof dataDateOf>[0], at = AT) => dataDateOf(members, at, usCalendar);

test('the newest closed session is the date where 95 of 100 have it', () => {
  expect(dateOf([...many(95, through(0)), ...many(5, through(1))])).toBe(SESSIONS.at(-1));
});

test('where only 94 of 100 have the newest session, it is the one before', () => {
  expect(dateOf([...many(94, through(0)), ...many(6, through(1))])).toBe(SESSIONS.at(-2));
});

test('a session that runs is not the date, though bars of it are stored', () => {
  const running = Temporal.Instant.from('2026-11-20T20:59:00Z');
  expect(dateOf(many(20, through(0)), running)).toBe('2026-11-19');
  expect(dateOf(many(20, through(0)), Temporal.Instant.from('2026-11-20T21:00:00Z'))).toBe('2026-11-20');
});

test('symbols without bars, and those that stopped trading long ago, hold nobody back', () => {
  expect(dateOf([...many(8, through(0)), ...many(3, through(60)), ...many(5, { history: null })])).toBe(SESSIONS.at(-1));
});

test('one symbol that is far ahead does not decide for the others', () => {
  expect(dateOf([...many(10, through(60)), through(0)])).toBe(SESSIONS.at(-61));
});

test('where no session reaches the share, the one that most have is the date', () => {
  // Two groups without a common session within the month.
  const odd = history(SESSIONS.filter((_, i) => i % 2 === 1));
  const even = history(SESSIONS.filter((_, i) => i % 2 === 0));
  expect(dateOf([...many(6, even), ...many(4, odd)])).toBe(SESSIONS.at(-2));
});

test('a universe without bars has no date', () => {
  expect(dateOf([{ history: null }])).toBeUndefined();
});
