/** The users of a simulated day: what each of them holds and when each signs in. Nothing is kept: every number follows from the seed, so a million users take no memory. */
import { usCalendar } from '../market/calendar/calendar.ts';
import type { Holding } from '../market/portfolios/holdings.ts';
import { hashed } from '../market/sources/simulated.ts';

export interface PopulationOptions {
  users: number;
  symbols: number;
  /** Mean number of symbols in a portfolio. */
  holdings: number;
  /** Logins of each user in the day. */
  loginsPerUser: number;
  /** Exponent of the popularity of symbols: the n-th most popular one is held n^-zipf times as often as the first. */
  zipf: number;
  seed: string;
  /** Ending of the symbols' names: without one they have the US calendar, with `-USD` none. */
  ending?: string | undefined;
}

export interface SimulatedLogin {
  atMs: number;
  /** From 0 on. */
  user: number;
}

export interface Population {
  symbols: readonly string[];
  /** Closes in dollars, by symbol. */
  closes: readonly number[];
  holdingsOf(user: number): Holding[];
  /** Logins of the days before, decayed. */
  activityOf(user: number): number;
}

/** Most symbols of one simulated portfolio. */
const MOST_HELD = 200;
/** Dollars in one holding: half of them are smaller, and e times as large is one standard deviation and a bit. */
const MEDIAN_VALUE = 5_000;
const VALUE_SPREAD = 1.5;
/** Decayed logins of the mean user: with a half-life of seven days, three or four a week. */
const MEAN_ACTIVITY = 4;
const PURPOSE = { held: 1, size: 2, value: 3, activity: 4, close: 5, login: 6 } as const;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * Share of a trading day's logins by hour in New York, in thousandths or so. An assumption, not a measurement: quiet nights, the highest at the open, a second one at the
 * close. Replace it by the hours of your own users (`SELECT HOUR(at), COUNT(*) FROM user_portfolio_priority GROUP BY 1`) where you know them.
 */
const TRADING_DAY = [3, 2, 1, 1, 2, 4, 9, 18, 36, 100, 80, 55, 48, 45, 50, 75, 65, 40, 30, 27, 25, 20, 13, 7];
/** The same of a weekend or holiday. */
const DAY_OFF = [8, 5, 3, 2, 2, 4, 8, 15, 25, 35, 45, 50, 50, 48, 46, 45, 45, 45, 45, 48, 50, 45, 30, 16];

/** Normal by Box and Muller. */
const normal = (a: number, b: number): number => Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b);

export function simulatedPopulation({ symbols: count, holdings, zipf, seed, ending = '' }: PopulationOptions): Population {
  const random = hashed(`${seed}/population`);
  const symbols = Array.from({ length: count }, (_, place) => `${nameOf(place)}${ending}`);
  const closes = symbols.map((_, place) => Math.round((15 + 285 * random(PURPOSE.close, place) ** 2) * 100) / 100);
  const cumulative = popularity(count, zipf);
  return {
    symbols,
    closes,
    holdingsOf(user) {
      const own = hashed(`${seed}/${user}`);
      // Geometric: many small portfolios, few large ones.
      const size = Math.min(1 + Math.round(-Math.log(1 - own(PURPOSE.size, 0)) * (holdings - 1)), MOST_HELD, count);
      const places = new Set<number>();
      // The most popular symbols are drawn again and again: a portfolio of nearly all symbols may be a little smaller.
      for (let draw = 0; places.size < size && draw < size * 8; draw++) places.add(firstAbove(cumulative, own(PURPOSE.held, draw)));
      return [...places].map((place, index) => {
        const value = MEDIAN_VALUE * Math.exp(VALUE_SPREAD * normal(own(PURPOSE.value, 2 * index), own(PURPOSE.value, 2 * index + 1)));
        return { symbol: symbols[place] as string, quantity: value / (closes[place] as number), cost: null };
      });
    },
    activityOf: (user) => -Math.log(1 - hashed(`${seed}/${user}`)(PURPOSE.activity, 0)) * MEAN_ACTIVITY,
  };
}

/** The share of each symbol in all holdings, summed up: ascending to 1. */
export function popularity(symbols: number, zipf: number): Float64Array {
  const sums = new Float64Array(symbols);
  let sum = 0;
  for (let place = 0; place < symbols; place++) {
    sum += (place + 1) ** -zipf;
    sums[place] = sum;
  }
  return sums.map((one) => one / sum);
}

/** Hours of a day in New York with their share of its logins; 23 or 25 of them where the clock is changed. */
export function hoursOf(day: string): { startMs: number; hour: number; share: number }[] {
  const weights = usCalendar.isTradingDay(day) ? TRADING_DAY : DAY_OFF;
  const midnight = Temporal.PlainDate.from(day).toZonedDateTime({ timeZone: usCalendar.timeZone });
  const hours = Array.from({ length: midnight.hoursInDay }, (_, index) => midnight.add({ hours: index }));
  const sum = hours.reduce((all, { hour }) => all + (weights[hour] as number), 0);
  return hours.map((at) => ({ startMs: at.epochMilliseconds, hour: at.hour, share: (weights[at.hour] as number) / sum }));
}

/** The logins of a day, in the order of their times; each user signs in `loginsPerUser` times. */
export function* loginsOf(
  day: string,
  { users, loginsPerUser, seed }: Pick<PopulationOptions, 'users' | 'loginsPerUser' | 'seed'>,
): Generator<SimulatedLogin> {
  const random = hashed(`${seed}/logins`);
  const total = Math.round(users * loginsPerUser);
  const userAt = permuted(users);
  let made = 0;
  let share = 0;
  for (const hour of hoursOf(day)) {
    share += hour.share;
    const through = Math.round(total * Math.min(share, 1));
    let within = 0;
    // The order statistics of uniform times, one after the other: nothing has to be sorted.
    for (let left = through - made; left > 0; left--) {
      within = 1 - (1 - within) * (1 - random(PURPOSE.login, made)) ** (1 / left);
      yield { atMs: hour.startMs + Math.floor(within * 3_600_000), user: userAt(made) };
      made++;
    }
  }
}

/** Each user once, in an order that is not that of the numbers. */
function permuted(users: number): (index: number) => number {
  let step = Math.max(1, Math.round(users * 0.618034));
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  while (divisor(step, users) !== 1) step++;
  return (index) => ((index % users) * step) % users;
}

/** Q and four letters: a name as the US exchanges give it. */
function nameOf(place: number): string {
  let name = '';
  for (let rest = place, letter = 0; letter < 4; letter++, rest = Math.floor(rest / 26)) name = LETTERS.charAt(rest % 26) + name;
  return `Q${name}`;
}

function firstAbove(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
