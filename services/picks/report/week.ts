/** The zone in which a week of picks begins. */
export const PICKS_TIME_ZONE = 'America/Los_Angeles';

/** The Monday of the week of a moment, `YYYY-MM-DD`: a week ends at midnight between Sunday and Monday in the zone, at changes of the clock too. */
export function weekOf(at: Temporal.Instant, timeZone: string = PICKS_TIME_ZONE): string {
  const day = at.toZonedDateTimeISO(timeZone).toPlainDate();
  return day.subtract({ days: day.dayOfWeek - 1 }).toString();
}
