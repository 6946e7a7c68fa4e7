import { usCalendar } from '../../calendar/calendar.ts';
import { settlesAtOpening } from './roots.ts';

/** The time left of each expiration at one moment; entry `i` belongs to `expirations[i]`. */
export interface ExpiryTimes {
  /** Whole calendar days from the date in New York to the expiration date; negative once it is past. */
  readonly dte: Int32Array;
  /** Years left to trade, of 365 days of 24 hours, down to the last trading moment; 0 or less once that is past. */
  readonly years: Float64Array;
  /** 1 once its last trading moment has come: `dte < 0`, or `dte = 0` after the close (after the opening for those settled in the morning). */
  readonly expired: Uint8Array;
}

export const DAYS_PER_YEAR = 365;
const YEAR_MS = DAYS_PER_YEAR * 24 * 60 * 60 * 1000;

/**
 * The times of expirations (`YYYY-MM-DD`) at `now`. The last trading moment is the close of the expiration day in New York: 16:00, 13:00 on short days. An
 * expiration on a day without a session, as the monthly Saturdays until 2015, stops trading at the close of the session before it, and counts as expired from then on.
 * The contracts of some index roots are settled at the opening prices of that day (SPX beside SPXW) and end then. `roots`: of each expiration.
 * @throws InputError `market.bad_date`
 */
export function expiryTimes(expirations: readonly string[], now: Temporal.Instant, roots?: readonly string[]): ExpiryTimes {
  const today = now.toZonedDateTimeISO(usCalendar.timeZone).toPlainDate();
  const times = {
    dte: new Int32Array(expirations.length),
    years: new Float64Array(expirations.length),
    expired: new Uint8Array(expirations.length),
  };
  for (const [index, date] of expirations.entries()) {
    const { open, close } = usCalendar.session(date) ?? usCalendar.previous(date);
    const end = roots !== undefined && settlesAtOpening(roots[index]!) ? open : close;
    const leftMs = end.epochMilliseconds - now.epochMilliseconds;
    times.dte[index] = today.until(date).days;
    times.years[index] = leftMs / YEAR_MS;
    times.expired[index] = leftMs <= 0 ? 1 : 0;
  }
  return times;
}
