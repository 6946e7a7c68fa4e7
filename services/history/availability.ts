/** From when on the data of a day can be had, and count. All times are of New York. */
import { usCalendar } from '../market/calendar/calendar.ts';
import { type Dataset, isDaily, type ObjectSpec } from './dataset.ts';
import { daysOf } from './plan.ts';
import { sessionsOf } from './sessions.ts';

/** ThetaData makes its report of a day's end at about 17:15 to 17:18. */
const END_OF_DAY_REPORT = '17:30';
/** Consolidated data are delayed by up to 15 minutes. */
const FEED_DELAY_MS = 15 * 60_000;
/** By then the sources have loaded the day before. */
const SETTLED = '06:00';

/** When the data of a trading day are complete: at the end of the day 17:30, earnings too; quotes and bars 15 minutes after the last session of the product. Undefined for a day without a session. */
export function completeAt({ asset, schema, root }: Pick<ObjectSpec, keyof Dataset | 'root'>, day: string): Temporal.Instant | undefined {
  const sessions = sessionsOf(root, asset, day);
  if (sessions === undefined) return undefined;
  return isDaily(schema) ? newYork(day, END_OF_DAY_REPORT) : Temporal.Instant.fromEpochMilliseconds(sessions.lastClose + FEED_DELAY_MS);
}

/** The trading days of an object's period of which complete data can be had now, ascending. */
export function availableDays(object: ObjectSpec, now: Temporal.Instant): string[] {
  return daysOf(object).filter((day) => isComplete(object, day, now));
}

/** Whether an object that is downloaded now lacks days, since its period is not over. */
export function isPartial(object: ObjectSpec, now: Temporal.Instant): boolean {
  const last = daysOf(object).at(-1);
  return last !== undefined && !isComplete(object, last, now);
}

/** From then on an empty answer means that there are no data of `day`: 06:00 of the calendar day after. Before, the source may not have loaded them. */
export function emptyCountsFrom(day: string): Temporal.Instant {
  return newYork(Temporal.PlainDate.from(day).add({ days: 1 }).toString(), SETTLED);
}

/** Whether the data of a trading day can be had, and are complete, at a moment. */
export function isComplete(dataset: Pick<ObjectSpec, keyof Dataset | 'root'>, day: string, at: Temporal.Instant): boolean {
  if (isLongOver(day, at)) return true;
  const from = completeAt(dataset, day);
  return from !== undefined && Temporal.Instant.compare(from, at) <= 0;
}

/** Whether an empty answer of a moment means that there are no data of `day`. */
export function emptyCounts(day: string, at: Temporal.Instant): boolean {
  return isLongOver(day, at) || Temporal.Instant.compare(emptyCountsFrom(day), at) <= 0;
}

/** After the second midnight UTC all moments of a day in New York are over, the next morning too. Ten years have 2,500 days, and time zones cost 10 µs each. */
function isLongOver(day: string, at: Temporal.Instant): boolean {
  return Date.parse(day) + 2 * 86_400_000 <= at.epochMilliseconds;
}

function newYork(day: string, plainTime: string): Temporal.Instant {
  return Temporal.PlainDate.from(day).toZonedDateTime({ timeZone: usCalendar.timeZone, plainTime }).toInstant();
}
