import type { ExchangeCalendar } from '../../market/calendar/calendar.ts';
import { barsThrough, dateOf, dayOf, type UniverseMember } from './input.ts';

/** So many of the universe must have the session. */
const SHARE = 0.95;
/** A member whose newest bar is so many sessions older than that of the median member has stopped trading or is not fetched: it does not hold the others back. */
const SESSIONS = 21;

/**
 * The session of a screen, `YYYY-MM-DD`: the newest one that closed at or before `at` and that 95 % of the universe have. Members without bars, and those whose newest bar
 * is more than 21 sessions older than the median one, are not counted. Where no session since then reaches the share, the one that most have. Undefined: no bars at all.
 */
export function dataDateOf(
  members: readonly Pick<UniverseMember, 'history'>[],
  at: Temporal.Instant,
  calendar: ExchangeCalendar,
): string | undefined {
  const latest = dayOf(calendar.latestClosed(at).date);
  const columns = members.flatMap(({ history }) => {
    const end = history === null ? 0 : barsThrough(history.days, latest);
    return end === 0 ? [] : [history!.days.subarray(0, end)];
  });
  const newest = columns.map((days) => days.at(-1)!).sort((a, b) => a - b);
  const median = newest[newest.length >> 1];
  if (median === undefined) return undefined;

  const oldest = dayOf(sessionsBefore(calendar, dateOf(median), SESSIONS));
  const counted = columns.filter((days) => days.at(-1)! >= oldest);
  let best = { date: dateOf(median), count: 0 };
  const first = dateOf(newest.at(-1)!);
  for (let date = calendar.isTradingDay(first) ? first : calendar.previous(first).date; ; date = calendar.previous(date).date) {
    const day = dayOf(date);
    if (day < oldest) return best.date;
    const count = counted.filter((days) => days[barsThrough(days, day) - 1] === day).length;
    if (count >= SHARE * counted.length) return date;
    if (count > best.count) best = { date, count };
  }
}

function sessionsBefore(calendar: ExchangeCalendar, date: string, count: number): string {
  let found = date;
  for (let walked = 0; walked < count; walked++) found = calendar.previous(found).date;
  return found;
}
