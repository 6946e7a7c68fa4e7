import { InputError } from '../../platform/errors.ts';
import { closuresOf, earlyClosesOf, isWeekendDay } from './closures.ts';

/** One trading session. `date` is the calendar date in the exchange's zone, `YYYY-MM-DD`. */
export interface Session {
  date: string;
  open: Temporal.Instant;
  close: Temporal.Instant;
  /** True when it ends before the usual hour. */
  early: boolean;
}

/** `open`: a session is running. `closed`: a trading day, outside its session. `weekend`: a day without a session, so a weekend or a holiday. */
export type MarketState = 'open' | 'closed' | 'weekend';

/** The state of an exchange at one moment. Computed once and used for any number of symbols. */
export interface Moment {
  nowMs: number;
  /** `none` for symbols without a calendar. */
  session: MarketState | 'none';
  /** Absent for symbols without a calendar. */
  exchange?: { calendar: ExchangeCalendar; latestStarted: Session; latestClosed: Session; next: Session } | undefined;
}

/** The sessions of one exchange. Dates are `YYYY-MM-DD` in its zone; a malformed one is an `InputError('market.bad_date')`, except in `session` and `isTradingDay`, which give undefined and false. */
export interface ExchangeCalendar {
  timeZone: string;
  session(date: string): Session | undefined;
  isTradingDay(date: string): boolean;
  /** The first session after a date, which need not be a trading day. */
  following(date: string): Session;
  /** The last session before a date, which need not be a trading day. */
  previous(date: string): Session;
  /** The dates of all sessions between two dates, both inclusive. */
  tradingDays(from: string, to: string): string[];
  /** The number of sessions after a date, up to another one inclusive. */
  sessionsAfter(date: string, through: string): number;
  state(now: Temporal.Instant): MarketState;
  /** The newest session whose open is at or before `now`. */
  latestStarted(now: Temporal.Instant): Session;
  /** The newest session whose close is at or before `now`. */
  latestClosed(now: Temporal.Instant): Session;
  /** The first session that opens after `now`. */
  next(now: Temporal.Instant): Session;
  /** All of the above for `now` at once. Its last result is reused until the market's state can change. */
  at(now: Temporal.Instant): Moment;
}

/** The last year a date may lie in: a sanity limit, far past any bar. */
const LAST_YEAR = 2199;
/** The first year of the holiday rules. */
const FIRST_YEAR = 1885;
/** A year's table takes about 50 KB once all its sessions were used; a full history of 60 years stays in memory. */
const YEARS_KEPT = 64;

interface Year {
  dates: string[];
  sessions: Map<string, Session | null>;
  early: ReadonlySet<string>;
}

interface ExchangeRules {
  timeZone: string;
  open: Temporal.PlainTime;
  close: Temporal.PlainTime;
  earlyClose: Temporal.PlainTime;
  closures(year: number): ReadonlySet<string>;
  earlyCloses(year: number): ReadonlySet<string>;
}

/** The sessions of one exchange by date, computed on first use. */
interface SessionTable {
  session(date: string): Session | undefined;
  yearOf(year: number): Year;
}

function sessionTable(rules: ExchangeRules): SessionTable {
  const years = new Map<number, Year>();

  function yearOf(year: number): Year {
    const known = years.get(year);
    if (known !== undefined) return known;
    const closures = rules.closures(year);
    const dates = datesOf(year).filter((date) => !closures.has(date) && !isWeekendDay(date));
    const table: Year = { dates, sessions: new Map(dates.map((date) => [date, null])), early: rules.earlyCloses(year) };
    if (years.size >= YEARS_KEPT) years.delete(years.keys().next().value!);
    years.set(year, table);
    return table;
  }

  function session(date: string): Session | undefined {
    const year = Number(date.slice(0, 4));
    if (!isKnownYear(year)) return undefined;
    const table = yearOf(year);
    const known = table.sessions.get(date);
    if (known !== null) return known;
    const early = table.early.has(date);
    const day = Temporal.PlainDate.from(date);
    const instantAt = (plainTime: Temporal.PlainTime) => day.toZonedDateTime({ timeZone: rules.timeZone, plainTime }).toInstant();
    const made: Session = { date, open: instantAt(rules.open), close: instantAt(early ? rules.earlyClose : rules.close), early };
    table.sessions.set(date, made);
    return made;
  }

  return { session, yearOf };
}

function followingSession({ session, yearOf }: SessionTable, date: string): Session {
  for (let year = yearIn(date); year <= LAST_YEAR; year++) {
    const { dates } = yearOf(year);
    const found = dates[firstIndexAfter(dates, date)];
    if (found !== undefined) return session(found)!;
  }
  throw outsideCalendar(date);
}

function previousSession({ session, yearOf }: SessionTable, date: string): Session {
  for (let year = yearIn(date); year >= FIRST_YEAR; year--) {
    const { dates } = yearOf(year);
    const after = firstIndexAfter(dates, date);
    const found = dates[after - 1] === date ? dates[after - 2] : dates[after - 1];
    if (found !== undefined) return session(found)!;
  }
  throw outsideCalendar(date);
}

function tradingDaysOf({ yearOf }: SessionTable, from: string, to: string): string[] {
  const days: string[] = [];
  for (let year = yearIn(from); year <= yearIn(to); year++) {
    const { dates } = yearOf(year);
    for (const date of dates) if (from <= date && date <= to) days.push(date);
  }
  return days;
}

function sessionsAfter({ yearOf }: SessionTable, date: string, through: string): number {
  let count = 0;
  for (let year = yearIn(date); year <= yearIn(through); year++) {
    const { dates } = yearOf(year);
    count += Math.max(0, firstIndexAfter(dates, through) - firstIndexAfter(dates, date));
  }
  return count;
}

/** The moment, and the milliseconds since the epoch between which only its `nowMs` changes: `fromMs` inclusive, `untilMs` exclusive. */
interface MomentSpan {
  moment: Moment;
  fromMs: number;
  untilMs: number;
}

function momentSpan(calendar: ExchangeCalendar, now: Temporal.Instant): MomentSpan {
  const nowMs = now.epochMilliseconds;
  const midnight = now.toZonedDateTimeISO(calendar.timeZone).startOfDay();
  const today = midnight.toPlainDate().toString();
  const running = calendar.session(today);
  const openMs = running?.open.epochMilliseconds ?? Number.POSITIVE_INFINITY;
  const closeMs = running?.close.epochMilliseconds ?? Number.POSITIVE_INFINITY;
  const before = calendar.previous(today);
  const latestStarted = running !== undefined && openMs <= nowMs ? running : before;
  const latestClosed = running !== undefined && closeMs <= nowMs ? running : before;
  const next = running !== undefined && nowMs < openMs ? running : calendar.following(today);
  const state = running === undefined ? 'weekend' : openMs <= nowMs && nowMs < closeMs ? 'open' : 'closed';
  const changes = [midnight.epochMilliseconds, openMs, closeMs, midnight.add({ days: 1 }).epochMilliseconds];
  return {
    moment: { nowMs, session: state, exchange: { calendar, latestStarted, latestClosed, next } },
    fromMs: Math.max(...changes.filter((ms) => ms <= nowMs)),
    untilMs: Math.min(...changes.filter((ms) => ms > nowMs)),
  };
}

function exchangeCalendar(rules: ExchangeRules): ExchangeCalendar {
  const table = sessionTable(rules);
  let last: MomentSpan | undefined;

  function at(now: Temporal.Instant): Moment {
    const nowMs = now.epochMilliseconds;
    if (last !== undefined && last.fromMs <= nowMs && nowMs < last.untilMs) return { ...last.moment, nowMs };
    last = momentSpan(calendar, now);
    return last.moment;
  }

  const calendar: ExchangeCalendar = {
    timeZone: rules.timeZone,
    session: table.session,
    // Does not create the session, because computing its instants is the expensive part.
    isTradingDay(date) {
      const year = Number(date.slice(0, 4));
      return isKnownYear(year) && table.yearOf(year).sessions.has(date);
    },
    following: (date) => followingSession(table, date),
    previous: (date) => previousSession(table, date),
    tradingDays: (from, to) => tradingDaysOf(table, from, to),
    sessionsAfter: (date, through) => sessionsAfter(table, date, through),
    state: (now) => at(now).session as MarketState,
    latestStarted: (now) => at(now).exchange!.latestStarted,
    latestClosed: (now) => at(now).exchange!.latestClosed,
    next: (now) => at(now).exchange!.next,
    at,
  };
  return calendar;
}

function datesOf(year: number): string[] {
  const dates: string[] = [];
  for (let day = new Date(Date.UTC(year, 0, 1)); day.getUTCFullYear() === year; day.setUTCDate(day.getUTCDate() + 1)) {
    dates.push(day.toISOString().slice(0, 10));
  }
  return dates;
}

/** Dates in ISO form sort as text. Returns `dates.length` when none is later. */
function firstIndexAfter(dates: string[], date: string): number {
  let low = 0;
  let high = dates.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (dates[middle]! > date) high = middle;
    else low = middle + 1;
  }
  return low;
}

function isKnownYear(year: number): boolean {
  return year >= FIRST_YEAR && year <= LAST_YEAR;
}

function yearIn(date: string): number {
  const year = Number(date.slice(0, 4));
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) throw new InputError('market.bad_date', `"${date}" is not a date; write it as YYYY-MM-DD`);
  if (!isKnownYear(year)) throw outsideCalendar(date);
  return year;
}

function outsideCalendar(date: string): InputError {
  return new InputError('market.bad_date', `"${date}" is outside of the calendar; use a date of the years ${FIRST_YEAR} to ${LAST_YEAR}`);
}

/** NYSE and Nasdaq: 09:30 to 16:00 New York time, 13:00 on short days. Checked against a published market-hours database for 1998-2028. */
export const usCalendar: ExchangeCalendar = exchangeCalendar({
  timeZone: 'America/New_York',
  open: Temporal.PlainTime.from('09:30'),
  close: Temporal.PlainTime.from('16:00'),
  earlyClose: Temporal.PlainTime.from('13:00'),
  closures: closuresOf,
  earlyCloses: earlyClosesOf,
});

/**
 * One to five letters; a share class after a dot, or after a hyphen where the dot is an exchange's (`BRK.B`, `MKC-V`), a preferred share, unit or warrant after a hyphen (`BAC-PL`, `X-UN`).
 * The dotted letters F, L, T and V are left out: they are Yahoo's suffixes for Frankfurt, London, Tokyo and the TSX Venture exchange.
 */
const US_SYMBOL = /^[A-Z]{1,5}(\.[A-EG-KM-SUW-Z]|-[A-Z]{1,2})?$/;

/** Yahoo's indices of other exchanges; every other `^…` is a US one. */
const FOREIGN_INDICES: ReadonlySet<string> = new Set(
  '^AEX ^AORD ^ATX ^AXJO ^BFX ^BSESN ^BVSP ^FCHI ^FTSE ^GDAXI ^GSPTSE ^HSI ^IBEX ^JKSE ^KLSE ^KS11 ^MERV ^MXX ^N100 ^N225 ^NSEI ^NZ50 ^OMX ^SSMI ^STI ^STOXX50E ^TWII'.split(
    ' ',
  ),
);

/** The calendar of a symbol, written as Yahoo writes it. Symbols of other exchanges (`.CO`, `.TO`), crypto, currencies and futures have none. */
export function calendarOf(symbol: string): ExchangeCalendar | undefined {
  if (symbol.startsWith('^')) return FOREIGN_INDICES.has(symbol) ? undefined : usCalendar;
  return US_SYMBOL.test(symbol) ? usCalendar : undefined;
}

/** Whether a symbol has a price of every day of the week: a crypto currency, written as Yahoo writes it (`BTC-USD`). */
export const tradesEveryDay = (symbol: string): boolean => /^[A-Z0-9]+-[A-Z]{3,4}$/.test(symbol);

/** For a batch: the moment of each symbol's own exchange at `now`, computed once per calendar. */
export function momentsAt(now: Temporal.Instant): (symbol: string) => Moment {
  const withoutCalendar: Moment = { nowMs: now.epochMilliseconds, session: 'none' };
  const moments = new Map<ExchangeCalendar | undefined, Moment>([[undefined, withoutCalendar]]);
  return (symbol) => {
    const calendar = calendarOf(symbol);
    const known = moments.get(calendar);
    if (known !== undefined) return known;
    const moment = calendar!.at(now);
    moments.set(calendar, moment);
    return moment;
  };
}
