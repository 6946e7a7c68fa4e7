/** What a terminal is asked for: its spelling of symbols, the hours of a day, ranges of days. */
import { usCalendar } from '../../../market/calendar/calendar.ts';
import { optionRoot } from '../../../market/options/chain/roots.ts';
import { PermanentError } from '../../../platform/errors.ts';
import { INTERVALS, type ObjectSpec } from '../../dataset.ts';
import { isIndexOption } from '../../sessions.ts';

/** Milliseconds since midnight in New York, both inclusive. */
export interface Hours {
  fromMs: number;
  toMs: number;
}

const at = (hours: number, minutes: number): number => (hours * 60 + minutes) * 60_000;
/** Regular hours begin. Intervals are counted from here. */
export const OPEN_MS = at(9, 30);

/** The symbol as ThetaData writes it. Errors: `PermanentError('theta.no_index')`. */
export function thetaSymbol({ asset, root }: Pick<ObjectSpec, 'asset' | 'root'>): string {
  if (asset === 'option') return optionRoot(root);
  if (root.startsWith('^')) throw new PermanentError('theta.no_index', `${root} is an index; the stock prices of ThetaData have none`);
  return root.replace(/^([A-Z]{1,5})-([A-Z])$/, '$1.$2');
}

/**
 * The hours that an answer has: the terminal's own default ends at 16:00. Options of funds trade until 16:15, those of indexes until 17:00; the night session of indexes is
 * not asked for. On short days all but indexes end early.
 */
export function hoursOf(object: Pick<ObjectSpec, 'asset' | 'root'>, day: string): Hours {
  const isShort = usCalendar.session(day)?.early === true;
  if (object.asset === 'stock') return { fromMs: OPEN_MS, toMs: isShort ? at(13, 0) : at(16, 0) };
  if (isIndexOption(object.root)) return { fromMs: OPEN_MS, toMs: at(17, 0) };
  return { fromMs: OPEN_MS, toMs: isShort ? at(13, 15) : at(16, 15) };
}

/** Two halves of the hours; the second begins on an interval. Empty for a single interval. */
export function halvesOf({ fromMs, toMs }: Hours, interval: ObjectSpec['interval']): Hours[] {
  const length = interval === '1d' ? Number.POSITIVE_INFINITY : INTERVALS[interval];
  const stamps = Math.floor((toMs - fromMs) / length) + 1;
  if (stamps < 2) return [];
  const middleMs = fromMs + Math.floor(stamps / 2) * length;
  // A bar that ends with the range would be cut if the range ended on the next stamp.
  return [
    { fromMs, toMs: middleMs - 1 },
    { fromMs: middleMs, toMs },
  ];
}

/** `09:30:00.000`. */
export function clockTime(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}

/** `20240102`. */
export function compact(day: string): string {
  return day.replaceAll('-', '');
}

/** The months of days, as ranges of the days that are asked for. ThetaData gives at most a month at once. */
export function monthsOf(days: readonly string[]): [first: string, last: string][] {
  return [...Map.groupBy(days, (day) => day.slice(0, 7)).values()].map((month) => [month[0]!, month.at(-1)!]);
}
