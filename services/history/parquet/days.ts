/** When the trading days of New York begin and end, for a process that knows no calendar. */
import type { Asset } from '../dataset.ts';
import { sessionsOf } from '../sessions.ts';

const ZONE = 'America/New_York';
/** The overnight session of index options begins on the evening before its trading day. */
const EVENING = Temporal.PlainTime.from('20:15');
/** The last trade of a day: index options are traded until 17:00, stocks after hours until 20:00. */
const LAST: Readonly<Record<Asset, Temporal.PlainTime>> = {
  option: Temporal.PlainTime.from('17:00'),
  stock: Temporal.PlainTime.from('20:00'),
};
/** From a trading day's first moment to midnight. */
const UNTIL_MIDNIGHT = { hours: 3, minutes: 45 };
const MARGIN = { days: 7 };

/** All in microseconds since the epoch, both ends inclusive. */
export interface DayWindow {
  day: string;
  fromUs: number;
  lastUs: number;
  /** The regular session; null on a day without one. */
  openUs: number | null;
  closeUs: number | null;
}

export const microseconds = (instant: Temporal.Instant): number => instant.epochMilliseconds * 1000;

const at = (day: Temporal.PlainDate, plainTime: Temporal.PlainTime): Temporal.Instant =>
  day.toZonedDateTime({ timeZone: ZONE, plainTime }).toInstant();

/**
 * The times that rows of trading days may have: from 20:15 of the evening before, to 17:00 for options and 20:00 for stocks. The regular session is that of the root; without one
 * that of most stocks and their options.
 */
export function dayWindows(days: readonly string[], asset: Asset, root = ''): DayWindow[] {
  return days.map((day) => {
    const date = Temporal.PlainDate.from(day);
    const session = sessionsOf(root, asset, day);
    return {
      day,
      fromUs: microseconds(dayStart(day)),
      lastUs: microseconds(at(date, LAST[asset])),
      openUs: session === undefined ? null : session.open * 1000,
      closeUs: session === undefined ? null : session.close * 1000,
    };
  });
}

/** The first moment of a trading day: 20:15 in New York on the day before. */
export function dayStart(day: string): Temporal.Instant {
  return at(Temporal.PlainDate.from(day).subtract({ days: 1 }), EVENING);
}

/** The trading day of a moment. */
export function tradingDayOf(instant: Temporal.Instant): string {
  return instant.toZonedDateTimeISO(ZONE).toPlainDateTime().add(UNTIL_MIDNIGHT).toPlainDate().toString();
}

/** A stretch of whole days with one offset: wall time in New York plus `offsetUs` is UTC. `from` inclusive, `until` exclusive, `YYYY-MM-DD`. */
export interface OffsetPeriod {
  from: string;
  until: string;
  offsetUs: number;
}

/**
 * The offsets around some days, without the days on which the offset changes. Adding a constant takes a tenth of the time of a time zone's arithmetic (0.06 against
 * 0.5 µs a row).
 */
export function offsetPeriods(days: readonly string[]): OffsetPeriod[] {
  if (days.length === 0) return [];
  const sorted = days.toSorted();
  let from = Temporal.PlainDate.from(sorted[0]!).subtract(MARGIN);
  const end = Temporal.PlainDate.from(sorted.at(-1)!).add(MARGIN);
  const periods: OffsetPeriod[] = [];
  while (Temporal.PlainDate.compare(from, end) < 0) {
    const start = from.toZonedDateTime(ZONE);
    const change = start.getTimeZoneTransition('next')!.toPlainDate();
    const until = Temporal.PlainDate.compare(change, end) < 0 ? change : end;
    if (Temporal.PlainDate.compare(from, until) < 0)
      periods.push({ from: from.toString(), until: until.toString(), offsetUs: -start.offsetNanoseconds / 1000 });
    from = until.add({ days: 1 });
  }
  return periods;
}
