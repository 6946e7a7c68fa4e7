import { getHolidays } from 'nyse-holidays';

/**
 * Days since 1972 on which the US exchanges were closed for another reason than a holiday. `nyse-holidays` has the holiday rules only.
 * Source: NYSE, "Special Closings". Add a line for a new closing (a day of mourning, a storm).
 */
const SPECIAL_CLOSURES: ReadonlySet<string> = new Set([
  '1972-12-28', // funeral of Harry S. Truman
  '1973-01-25', // funeral of Lyndon B. Johnson
  '1977-07-14', // New York City blackout
  '1985-09-27', // hurricane Gloria
  '1994-04-27', // funeral of Richard Nixon
  '2001-09-11', // attacks of September 11, four days
  '2001-09-12',
  '2001-09-13',
  '2001-09-14',
  '2004-06-11', // funeral of Ronald Reagan
  '2007-01-02', // funeral of Gerald Ford
  '2012-10-29', // hurricane Sandy, two days
  '2012-10-30',
  '2018-12-05', // funeral of George H. W. Bush
  '2025-01-09', // funeral of Jimmy Carter
]);

/** Days that closed at 13:00 outside the yearly rules of `earlyClosesOf`. */
const SPECIAL_EARLY_CLOSES = ['1997-12-26', '1999-12-31', '2003-12-26'];

/** The first years of the 13:00 closes: since then they follow rules (before 1993 a short day ended at 14:00, for other reasons). */
const EARLY_CLOSES_SINCE = 1993;
const EARLY_CLOSE_BEFORE_INDEPENDENCE_DAY_SINCE = 1995;
/** With 4 July on a Thursday the short day was the Friday after it until 2012, and is the Wednesday before it since 2013. */
const WEDNESDAY_BEFORE_INDEPENDENCE_DAY_SINCE = 2013;

const SUNDAY = 0;
const WEDNESDAY = 3;
const FRIDAY = 5;
const SATURDAY = 6;

/** Day of the week of a calendar date, 0 = Sunday. `Date.UTC` and not Temporal: a year's table asks 366 times. */
export function weekdayOf(date: string): number {
  return new Date(`${date}T00:00:00Z`).getUTCDay();
}

export function isWeekendDay(date: string): boolean {
  const weekday = weekdayOf(date);
  return weekday === SUNDAY || weekday === SATURDAY;
}

/** The weekdays of `year` without a session of the US exchanges. Exact since 1972. */
export function closuresOf(year: number): ReadonlySet<string> {
  const closures = new Set(getHolidays(year).map((holiday) => holiday.dateString));
  for (const date of SPECIAL_CLOSURES) if (Number(date.slice(0, 4)) === year) closures.add(date);
  return closures;
}

/**
 * The days of `year` whose session ends at 13:00 New York time: the day after Thanksgiving, the eves of Independence Day and Christmas.
 * May name days without a session (Christmas Eve on a Sunday); the calendar looks only at days that have one. Exact since 1993.
 */
export function earlyClosesOf(year: number): ReadonlySet<string> {
  const days = new Set(SPECIAL_EARLY_CLOSES.filter((date) => Number(date.slice(0, 4)) === year));
  if (year < EARLY_CLOSES_SINCE) return days;
  days.add(dayAfterThanksgiving(year));
  days.add(`${year}-12-24`);
  if (year < EARLY_CLOSE_BEFORE_INDEPENDENCE_DAY_SINCE) return days;
  const eve = `${year}-07-03`;
  const holidayIsThursday = weekdayOf(eve) === WEDNESDAY;
  days.add(holidayIsThursday && year < WEDNESDAY_BEFORE_INDEPENDENCE_DAY_SINCE ? `${year}-07-05` : eve);
  return days;
}

/** Thanksgiving is the fourth Thursday of November, so the day after it is the Friday between the 23rd and the 29th. */
function dayAfterThanksgiving(year: number): string {
  const weekdayOf23rd = weekdayOf(`${year}-11-23`);
  return `${year}-11-${23 + ((FRIDAY - weekdayOf23rd + 7) % 7)}`;
}
