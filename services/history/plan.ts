/** Splits a download into objects. */
import { usCalendar } from '../market/calendar/calendar.ts';
import { InputError } from '../platform/errors.ts';
import { type Dataset, type Download, type ObjectSpec, objectKey, type Period, unitOf } from './dataset.ts';

/** An object, and its trading days that lie in the range asked for: ascending, at least one. */
export interface PlannedObject {
  object: ObjectSpec;
  days: readonly string[];
}

/**
 * The objects of a download, the oldest first; empty when its range has no trading day. An object is whole: its period may be longer than the range, and then the other days of
 * the period are downloaded too.
 */
export function planOf({ root, from, to, filter, ...dataset }: Download): PlannedObject[] {
  const periods = Map.groupBy(usCalendar.tradingDays(from, to), (day) => periodName(dataset, day));
  return Array.from(periods, ([name, days]) => {
    const period = periodOf(dataset, name);
    return { object: { ...dataset, root, filter, period, key: objectKey({ ...dataset, root, filter }, period) }, days };
  });
}

/** Why a download has no objects. */
export function noTradingDay({ from, to }: Pick<Download, 'from' | 'to'>): InputError {
  return new InputError('history.no_trading_day', `there is no trading day from ${from} to ${to}; choose a range with one`);
}

/** The trading days of an object's whole period. */
export function daysOf({ period }: ObjectSpec): string[] {
  return usCalendar.tradingDays(period.from, period.to);
}

const LENGTH_OF_NAME = { day: 10, month: 7, year: 4 } as const;

function periodName(dataset: Pick<Dataset, 'asset' | 'schema'>, day: string): string {
  return day.slice(0, LENGTH_OF_NAME[unitOf(dataset)]);
}

/** The period of a name such as `2024-01`. */
function periodOf(dataset: Pick<Dataset, 'asset' | 'schema'>, name: string): Period {
  const unit = unitOf(dataset);
  if (unit === 'day') return { unit, name, from: name, to: name };
  if (unit === 'year') return { unit, name, from: `${name}-01-01`, to: `${name}-12-31` };
  const month = Temporal.PlainYearMonth.from(name);
  return { unit, name, from: `${name}-01`, to: `${name}-${month.daysInMonth}` };
}

/** The objects before and after one, as far as there are trading days: where they have rows, it should have some too. */
export function neighboursOf({ key: _, period, ...rest }: ObjectSpec): ObjectSpec[] {
  const days = [usCalendar.previous(period.from).date, usCalendar.following(period.to).date];
  return days.flatMap((day) => planOf({ ...rest, from: day, to: day }).map(({ object }) => object));
}
