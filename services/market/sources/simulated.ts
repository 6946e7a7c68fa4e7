import type { Clock } from '../../platform/clock.ts';
import { PermanentError } from '../../platform/errors.ts';
import type { Bar, BarsAnswer, CorporateAction } from '../bars/bars.ts';
import { parseSymbol } from '../symbol.ts';
import type { MarketSource } from './source.ts';

const timeZone = 'America/New_York';
const OPENING = Temporal.PlainTime.from('09:30');
const DAY_MS = 86_400_000;
const FIRST_DAY = dayOf('1990-01-02');
/** Waves of 1, 2, 4, … 2048 days, each higher by the root of its length: their sum looks like a random walk, and each day can be computed on its own. */
const WAVES = Array.from({ length: 12 }, (_, octave) => ({
  days: 2 ** octave,
  height: 0.018 * Math.sqrt(2 ** octave),
  purpose: 100 + octave,
}));
/** Dollars. A lower price is not split, so that a long history does not end at a few cents. */
const SPLIT_ABOVE = 120;
const YEARLY_DRIFT = 0.06;

interface Market {
  /** The price of a day before any split. */
  level(day: number): number;
  /** A number in [0, 1) that depends on seed, symbol, purpose and index alone. */
  random(purpose: number, index: number): number;
  isTradingDay(day: number): boolean;
}

interface Event {
  day: number;
  kind: 'split' | 'dividend';
  value: number;
}

const PURPOSE = { level: 1, drift: 2, split: 3, dividend: 4, gap: 5, high: 6, low: 7, volume: 8 } as const;

/**
 * A simulated market for demos and measurements. A bar's raw values depend only on the seed, the symbol and the date, not on the requested range or the time. There are
 * splits and dividends; the adjusted close includes those up to now, as a real source's does. No bar of a day whose session has not opened (09:30 New York).
 * Symbols that begin with XX are unknown (`source.unknown_symbol`); nothing else fails. Without `isTradingDay` every weekday is one.
 */
export function simulatedSource({
  seed,
  clock,
  isTradingDay,
}: {
  seed: string | number;
  clock: Clock;
  isTradingDay?: (date: string) => boolean;
}): MarketSource {
  // A calendar takes as long to look a date up as the bar of that date takes to be made.
  const tradingDays: boolean[] = [];
  const isTradingDayAt =
    isTradingDay === undefined
      ? isWeekday
      : (day: number): boolean => {
          tradingDays[day] ??= isWeekday(day) && isTradingDay(dateOf(day));
          return tradingDays[day];
        };
  return {
    name: 'simulated',
    async bars(text, range, signal): Promise<BarsAnswer> {
      signal.throwIfAborted();
      const symbol = parseSymbol(text);
      if (symbol.startsWith('XX')) throw new PermanentError('source.unknown_symbol', `simulated: unknown symbol ${symbol}`);
      const now = clock.now();
      const last = lastOpenedDay(now);
      const random = hashed(`${seed}/${symbol}`);
      const market: Market = { random, level: levels(random), isTradingDay: isTradingDayAt };
      const splits = splitsUntil(market, last);
      const from = Math.max(dayOf(range.from), FIRST_DAY);
      const to = Math.min(range.to === undefined ? last : dayOf(range.to), last);
      const events = [...splits, ...dividendsBetween(market, splits, from, last)].sort((a, b) => b.day - a.day);

      // Newest first, so that the splits and dividends since a day are known when the day is reached.
      const bars: Bar[] = [];
      let adjustment = 1;
      let next = 0;
      for (let day = to; day >= from; day--) {
        if (!market.isTradingDay(day)) continue;
        for (let event = events[next]; event !== undefined && event.day > day; event = events[++next]) {
          adjustment *= adjustmentOf(event, market, splits);
        }
        bars.push(barOf(day, market, splits, adjustment));
      }
      const actions = events
        .filter(({ day }) => day >= from && day <= to)
        .map(({ day, kind, value }): CorporateAction => ({ date: dateOf(day), kind, value }));
      return { symbol, source: 'simulated', asOf: now, bars: bars.reverse(), actions: actions.reverse(), currency: 'USD', timeZone };
    },
  };
}

function barOf(day: number, market: Market, splits: Event[], adjustment: number): Bar {
  const factor = splitFactor(day, splits);
  const close = cents(market.level(day) / factor);
  const gap = 1 + (market.random(PURPOSE.gap, day) - 0.5) * 0.01;
  const open = cents((market.level(day - 1) / factor) * gap);
  const high = cents(Math.max(open, close) * (1 + market.random(PURPOSE.high, day) * 0.012));
  const low = cents(Math.min(open, close) * (1 - market.random(PURPOSE.low, day) * 0.012));
  const turnover = 2_000_000 + 200_000_000 * market.random(PURPOSE.volume, -1);
  const volume = Math.ceil((turnover / close) * (0.5 + market.random(PURPOSE.volume, day)));
  return { date: dateOf(day), open, high, low, close, adjustedClose: close * adjustment, volume };
}

/** Raw close in dollars: depends on the splits up to the day, never on a later one. */
function closeOf(day: number, market: Market, splits: Event[]): number {
  return cents(market.level(day) / splitFactor(day, splits));
}

function splitFactor(day: number, splits: Event[]): number {
  return splits.reduce((factor, split) => (split.day <= day ? factor * split.value : factor), 1);
}

/**
 * The prices before any split: growth and a sum of smoothed value noise. Days are mostly asked for one after the other, each twice: as a close and as the open of the day behind
 * it. So the last one is kept, and of each wave the two heights between which it lies: a wave of 2048 days has the same for years.
 */
function levels(random: Market['random']): Market['level'] {
  const start = 15 + 285 * random(PURPOSE.level, 0) ** 2;
  const growth = (YEARLY_DRIFT * (0.5 + random(PURPOSE.drift, 0))) / 365;
  const waves = WAVES.map((wave) => ({ ...wave, cell: Number.NaN, left: 0, right: 0 }));
  let lastDay = Number.NaN;
  let lastLevel = 0;
  return (day) => {
    if (day === lastDay) return lastLevel;
    let walk = growth * (day - FIRST_DAY);
    for (const wave of waves) {
      const x = day / wave.days;
      const cell = Math.floor(x);
      if (cell !== wave.cell) {
        wave.cell = cell;
        wave.left = random(wave.purpose, cell);
        wave.right = random(wave.purpose, cell + 1);
      }
      walk += (between(wave.left, wave.right, x - cell) - 0.5) * wave.height;
    }
    lastDay = day;
    lastLevel = start * Math.exp(walk);
    return lastLevel;
  };
}

/** Value noise in [0, 1): random at whole `x`, smooth between. */
export function smoothNoise(random: Market['random'], purpose: number, x: number): number {
  const cell = Math.floor(x);
  return between(random(purpose, cell), random(purpose, cell + 1), x - cell);
}

const between = (left: number, right: number, within: number): number => left + (right - left) * within * within * (3 - 2 * within);

/** In one year of three a price that has grown over `SPLIT_ABOVE` is split: two, three or four new shares for one. Depends on earlier days alone. */
function splitsUntil(market: Market, last: number): Event[] {
  const splits: Event[] = [];
  for (let year = 0; FIRST_DAY + year * 365 <= last; year++) {
    const chance = market.random(PURPOSE.split, year * 2) * 3;
    if (chance >= 1) continue;
    const day = tradingDayFrom(FIRST_DAY + year * 365 + Math.floor(market.random(PURPOSE.split, year * 2 + 1) * 300) + 1, market);
    if (day <= last && closeOf(day, market, splits) > SPLIT_ABOVE) splits.push({ day, kind: 'split', value: 2 + Math.floor(chance * 3) });
  }
  return splits;
}

/** About three symbols of five pay roughly half a percent of the price every quarter. */
function dividendsBetween(market: Market, splits: Event[], from: number, to: number): Event[] {
  if (market.random(PURPOSE.dividend, -1) > 0.6) return [];
  const dividends: Event[] = [];
  // Begins one quarter early, because a closure may move that quarter's ex-date into the range.
  for (let quarter = Math.max(0, Math.floor((from - FIRST_DAY) / 91) - 1); FIRST_DAY + quarter * 91 <= to; quarter++) {
    const day = tradingDayFrom(FIRST_DAY + quarter * 91 + 1 + Math.floor(market.random(PURPOSE.dividend, quarter) * 60), market);
    if (day < from || day > to) continue;
    const value = cents((closeOf(tradingDayBefore(day, market), market, splits) / splitOn(day, splits)) * 0.005);
    dividends.push({ day, kind: 'dividend', value });
  }
  return dividends;
}

/** CRSP's factor: 1 ÷ ratio for a split; 1 − dividend ÷ the close before, in shares of the ex-date, for a dividend. */
function adjustmentOf({ day, kind, value }: Event, market: Market, splits: Event[]): number {
  if (kind === 'split') return 1 / value;
  return 1 - (value * splitOn(day, splits)) / closeOf(tradingDayBefore(day, market), market, splits);
}

function splitOn(day: number, splits: Event[]): number {
  return splits.find((split) => split.day === day)?.value ?? 1;
}

function tradingDayFrom(day: number, market: Market): number {
  return nearestTradingDay(day, 1, market);
}

function tradingDayBefore(day: number, market: Market): number {
  return nearestTradingDay(day - 1, -1, market);
}

/** No exchange has been closed for a month since 1914. A calendar without a session in 30 days has no data, so the day itself is used. */
function nearestTradingDay(day: number, step: 1 | -1, market: Market): number {
  let near = day;
  for (let tries = 0; !market.isTradingDay(near); tries++) {
    if (tries === 30) return day;
    near += step;
  }
  return near;
}

/** The last minute that was asked for: all symbols of a moment ask for the same, and a zone's clock takes as long as a month of bars. */
let lastOpened = { minute: Number.NaN, day: 0 };

function lastOpenedDay(now: Temporal.Instant): number {
  const minute = Math.floor(now.epochMilliseconds / 60_000);
  if (minute !== lastOpened.minute) lastOpened = { minute, day: lastOpenedDayAt(now) };
  return lastOpened.day;
}

function lastOpenedDayAt(now: Temporal.Instant): number {
  const there = now.toZonedDateTimeISO(timeZone);
  const today = dayOf(there.toPlainDate().toString());
  return Temporal.PlainTime.compare(there.toPlainTime(), OPENING) < 0 ? today - 1 : today;
}

function cents(dollars: number): number {
  return Math.max(0.01, Math.round(dollars * 100) / 100);
}

function dayOf(date: string): number {
  return Math.floor(Date.parse(`${date}T00:00:00Z`) / DAY_MS);
}

// Formatting dates took two thirds of the time. There are a few thousand dates, the same for every symbol, so they are cached.
const dates: string[] = [];
function dateOf(day: number): string {
  dates[day] ??= new Date(day * DAY_MS).toISOString().slice(0, 10);
  return dates[day];
}

// Day 0, 1970-01-01, was a Thursday.
function isWeekday(day: number): boolean {
  return (day + 4) % 7 !== 0 && (day + 4) % 7 !== 6;
}

/** A number in [0, 1) that depends on text, purpose and index alone: FNV-1a over the text, then MurmurHash3's 32-bit finalizer over all three. */
export function hashed(text: string): (purpose: number, index: number) => number {
  let base = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) base = Math.imul(base ^ text.charCodeAt(i), 0x01000193);
  return (purpose, index) => {
    let h = base ^ Math.imul(purpose, 0x9e3779b1) ^ Math.imul(index, 0x85ebca77);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
  };
}
