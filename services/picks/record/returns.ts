/**
 * What a pick returned since a reader could buy it. Computed from raw closes and corporate actions when it is read: an adjusted price that was kept would be wrong after the
 * next split.
 */
import type { CorporateAction } from '../../market/bars/bars.ts';
import type { ExchangeCalendar } from '../../market/calendar/calendar.ts';

/** Weeks after the start, and calendar days. */
export const HORIZONS = { 1: 7, 4: 28, 12: 84 } as const;
export type Weeks = 1 | 4 | 12;

/** Raw closes and actions of one symbol, ascending by date. */
export interface RecordSeries {
  closes: readonly { date: string; close: number }[];
  actions: readonly CorporateAction[];
  /** True where the symbol is known to be traded no more: its last price is cash from then on. */
  ended: boolean;
}

/** A raw close with its date: both are frozen, since a price alone is not comparable after a split. */
export interface DatedClose {
  date: string;
  close: number;
}

export interface PickReturn {
  /**
   * `open`: the session of the horizon has not closed. `final`: measured at that session. `carried`: no trade at that session, the last close before it counts. `delisted`:
   * the last price, then cash. `missing`: bars are not stored.
   */
  state: 'open' | 'final' | 'carried' | 'delisted' | 'missing';
  start: DatedClose | null;
  end: DatedClose | null;
  /** A fraction, dividends and splits included; null while open or missing. No fees, spreads or taxes. */
  value: number | null;
}

/** The session at whose close a reader could buy: the first one that ends after the report was made. */
export function startSession(generatedAt: Temporal.Instant, calendar: ExchangeCalendar): string {
  return calendar.following(calendar.latestClosed(generatedAt).date).date;
}

/** The first session so many weeks after the start or later. */
export function endSession(start: string, weeks: Weeks, calendar: ExchangeCalendar): string {
  const date = Temporal.PlainDate.from(start).add({ days: HORIZONS[weeks] }).toString();
  return calendar.isTradingDay(date) ? date : calendar.following(date).date;
}

/** A pick that was not traded at the start is bought at its first close within so many days. */
const START_DAYS = 7;

/** The return of a symbol over a horizon. `through`: the newest session whose bars are stored, by the index. */
export function returnOver(series: RecordSeries, start: string, weeks: Weeks, calendar: ExchangeCalendar, through: string): PickReturn {
  return returnUntil(series, start, endSession(start, weeks, calendar), through);
}

/** The return from the start to a session; to the newest stored one with `end` = `through`. */
export function returnUntil(series: RecordSeries, start: string, end: string, through: string): PickReturn {
  const { closes, ended } = series;
  const latestStart = Temporal.PlainDate.from(start).add({ days: START_DAYS }).toString();
  const first = closes[placeOf(closes, start)];
  const from = first !== undefined && first.date <= latestStart && first.date <= through ? { date: first.date, close: first.close } : null;
  if (end > through) return { state: 'open', start: from, end: null, value: null };
  if (from === null) return { state: 'missing', start: null, end: null, value: null };

  const place = placeOf(closes, end);
  const at = closes[place];
  const last = at?.date === end ? at : closes[place - 1];
  if (last === undefined || last.date < from.date) return { state: 'missing', start: from, end: null, value: null };
  const state = last.date === end ? 'final' : at !== undefined ? 'carried' : ended ? 'delisted' : 'missing';
  if (state === 'missing') return { state, start: from, end: null, value: null };
  return { state, start: from, end: { date: last.date, close: last.close }, value: totalReturn(series, from.date, last.date) };
}

/** The index of the first close on or after a date. */
function placeOf(closes: RecordSeries['closes'], date: string): number {
  let [low, high] = [0, closes.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (closes[middle]!.date < date) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The total return between two closes, as a fraction. A day with an action returns (close + dividend) × new shares for one old / close before − 1, as the Center for Research
 * in Security Prices defines a holding period's return; the product over the days reinvests each dividend at its ex-date's close. An action on a day without a bar counts on
 * the next one.
 */
function totalReturn({ closes, actions }: RecordSeries, from: string, to: string): number {
  let growth = 1;
  let before = closes[placeOf(closes, from)]!;
  const within = actions.filter(({ date }) => date > from && date <= to);
  const days = new Set(within.map(({ date }) => closes[placeOf(closes, date)]!.date));
  for (const day of [...days].sort()) {
    const place = placeOf(closes, day);
    const previous = closes[place - 1]!;
    growth *= previous.close / before.close;
    const todays = within.filter(({ date }) => date > previous.date && date <= day);
    const product = todays.filter(({ kind }) => kind === 'split').reduce((shares, { value }) => shares * value, 1);
    const cash = todays.filter(({ kind }) => kind === 'dividend').reduce((sum, { value }) => sum + value, 0);
    growth *= ((closes[place]!.close + cash) * product) / previous.close;
    before = closes[place]!;
  }
  return (growth * closes[placeOf(closes, to)]!.close) / before.close - 1;
}
