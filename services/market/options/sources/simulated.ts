import type { Clock } from '../../../platform/clock.ts';
import { usCalendar } from '../../calendar/calendar.ts';
import { hashed, simulatedSource, smoothNoise } from '../../sources/simulated.ts';
import { parseSymbol } from '../../symbol.ts';
import { optionRoot } from '../chain/roots.ts';
import { expiryTimes } from '../chain/time.ts';
import { noValuation, type Valuation, valueOption } from '../pricing/pricing.ts';
import { chainBuilder } from './chain-builder.ts';
import { type Surface, varianceAtTheMoney, volatilityAt } from './simulated-surface.ts';
import type { ChainSource } from './source.ts';

const source = 'simulated';
const PURPOSE = { level: 1, skew: 2, curvature: 3, wave: 4, ripple: 5, popularity: 6, open: 7, traded: 8 } as const;
/** Weekly expirations, then the monthly ones, then those two and three to a year. */
const WEEKS = 8;
const MONTHS = 8;
const YEARS = 2;
/** Strikes reach this many standard deviations to each side. Beyond that the bid is 0. */
const REACH = 2.5;
/** An option that is worth less than this has no bid, in dollars. */
const LEAST_BID = 0.01;

/**
 * Simulated chains for demos and measurements. They depend only on the seed, the underlying and the moment. The price of the underlying is the close of the newest bar of
 * `simulatedSource` with the same seed, an IV surface without arbitrage moves from day to day, and every mid price, Greek and IV comes from it by
 * Black-Scholes-Merton (European, `rate` and `dividendYield` continuous). Mid prices are exact, so without any vertical, butterfly or calendar arbitrage and in parity: bid and
 * ask lie symmetrically around them and are not rounded to cents, since rounding alone would allow a cent of arbitrage. Spreads widen to the wings, open interest gathers at
 * round strikes near the money and at monthly expirations. Expirations are eight Fridays, the third Fridays of eight months, and of March, June, September, December to two
 * years; a Friday without a session is replaced by the session before it.
 *
 * About `contracts` contracts, spread evenly over the expirations. Symbols that begin with XX are unknown, as in `simulatedSource`.
 */
export function simulatedChains({
  seed,
  clock,
  contracts = 1000,
  rate = 0.04,
  dividendYield = 0,
}: {
  seed: string | number;
  clock: Clock;
  contracts?: number;
  rate?: number;
  dividendYield?: number;
}): ChainSource {
  const market = simulatedSource({ seed, clock, isTradingDay: (date) => usCalendar.isTradingDay(date) });
  return {
    name: source,
    async chain(underlying, signal) {
      const symbol = parseSymbol(underlying);
      const now = clock.now();
      const today = now.toZonedDateTimeISO(usCalendar.timeZone).toPlainDate();
      // Two weeks always contain a session.
      const { bars } = await market.bars(symbol, { from: today.subtract({ days: 14 }).toString() }, signal);
      const spot = bars.at(-1)!.close;
      const options = simulatedOptions({ seed, symbol, contracts, rate, dividendYield });
      const day = dayNumber(today.toString());
      const builder = chainBuilder({ underlying: symbol, source });
      const root = optionRoot(symbol);
      for (const contract of options.listed(now, spot)) {
        const { bid, ask, iv, value } = options.quote(contract, day, spot, contract.years);
        const { volume, openInterest } = options.activity(contract, day, spot);
        builder.add(
          { underlying: root, expiry: contract.expiry, isPut: contract.isPut, strike: contract.strike },
          {
            ...{ bid, ask, volume, openInterest, iv },
            ...{ delta: value.delta, gamma: value.gamma, theta: value.theta, vega: value.vega },
            quotedAt: now.epochMilliseconds,
          },
        );
      }
      return builder.build({ asOf: now, spot });
    },
  };
}

/** A contract, and its time left at the moment for which it was listed. */
export interface SimulatedContract {
  expiry: string;
  years: number;
  dte: number;
  monthly: boolean;
  strike: number;
  isPut: boolean;
  random: ReturnType<typeof hashed>;
}

export interface SimulatedQuote {
  bid: number;
  ask: number;
  iv: number;
  value: Valuation;
}

/** The options of one underlying in the market of `simulatedChains`. `day`: see `dayNumber`; `spot`: the underlying's price, in dollars. */
export interface SimulatedOptions {
  /** By expiration, strike, call before put. */
  listed(at: Temporal.Instant, spot: number): Generator<SimulatedContract>;
  /** With `years` left, 0 or more. The same object every time. */
  quote(contract: SimulatedContract, day: number, spot: number, years: number): SimulatedQuote;
  activity(contract: SimulatedContract, day: number, spot: number): { volume: number; openInterest: number };
}

export function simulatedOptions({
  seed,
  symbol,
  contracts,
  rate,
  dividendYield,
}: {
  seed: string | number;
  symbol: string;
  contracts: number;
  rate: number;
  dividendYield: number;
}): SimulatedOptions {
  const random = hashed(`${seed}/${symbol}/options`);
  const forwardOf = (spot: number, years: number) => spot * Math.exp((rate - dividendYield) * years);
  const into: SimulatedQuote = { bid: 0, ask: 0, iv: 0, value: noValuation() };
  let surface: { day: number; of: Surface } | undefined;
  const surfaceOf = (day: number) => {
    if (surface?.day !== day) surface = { day, of: surfaceOn(day, random) };
    return surface.of;
  };

  return {
    *listed(at, spot) {
      const today = at.toZonedDateTimeISO(usCalendar.timeZone).toPlainDate();
      const dates = expirationsFrom(today);
      const { years, expired, dte } = expiryTimes(dates, at);
      const listed = dates.flatMap((expiry, i) => (expired[i] === 0 ? { expiry, years: years[i]!, dte: dte[i]! } : []));
      const perExpiry = Math.max(1, Math.round(contracts / 2 / listed.length));
      for (const expiration of listed) {
        const { expiry, years: left } = expiration;
        const deviation = Math.sqrt(varianceAtTheMoney(surfaceOf(dayNumber(today.toString())), left));
        const monthly = isThirdFriday(expiry);
        for (const strike of strikesAround(forwardOf(spot, left), deviation, perExpiry)) {
          for (const isPut of [false, true])
            yield { ...expiration, monthly, strike, isPut, random: hashed(`${seed}/${symbol}/${expiry}/${strike}/${isPut}`) };
        }
      }
    },
    quote({ strike, isPut }, day, spot, years) {
      const moneyness = Math.log(strike / forwardOf(spot, years));
      const left = years > 0;
      into.iv = left ? volatilityAt(surfaceOf(day), moneyness, years) : 0;
      valueOption(spot, strike, years, rate, dividendYield, into.iv, isPut, into.value);
      const deviations = left ? moneyness / Math.sqrt(varianceAtTheMoney(surfaceOf(day), years)) : 0;
      const half = halfSpread(into.value, spot, deviations);
      into.bid = into.value.price - half;
      into.ask = into.value.price + half;
      return into;
    },
    activity({ strike, isPut, monthly, years, dte, random: own }, day, spot) {
      const deviations = Math.log(strike / forwardOf(spot, years)) / Math.sqrt(varianceAtTheMoney(surfaceOf(day), years));
      const openInterest = openInterestOf(own, { day, strike, deviations, isPut, monthly, daysLeft: dte });
      return { openInterest, volume: Math.floor(openInterest * 0.3 * own(PURPOSE.traded, day) ** 2 * Math.exp(-dte / 120)) };
    },
  };
}

/** Days since 1970-01-01, as simulated randomness counts them. */
export const dayNumber = (date: string): number => Math.floor(Date.parse(date) / DAY_MS);

const DAY_MS = 86_400_000;

/** Volatility moves over months and days around the symbol's own level. Skew and curvature are constant. */
function surfaceOn(day: number, random: ReturnType<typeof hashed>): Surface {
  const longRun = 0.16 + 0.4 * random(PURPOSE.level, 0) ** 2;
  const wave = smoothNoise(random, PURPOSE.wave, day / 60) - 0.5;
  const ripple = smoothNoise(random, PURPOSE.ripple, day / 7) - 0.5;
  return {
    longRun,
    today: longRun * Math.exp(0.9 * wave + 0.4 * ripple),
    skew: -0.2 - 0.4 * random(PURPOSE.skew, 0),
    curvature: 0.4 + 0.5 * random(PURPOSE.curvature, 0),
  };
}

function expirationsFrom(today: Temporal.PlainDate): string[] {
  const friday = today.add({ days: (12 - today.dayOfWeek) % 7 });
  const weekly = Array.from({ length: WEEKS }, (_, week) => friday.add({ weeks: week }));
  const months = Array.from({ length: YEARS * 12 }, (_, month) => today.with({ day: 1 }).add({ months: month }));
  const monthly = months.filter(({ month }, index) => index < MONTHS || month % 3 === 0).map(thirdFriday);
  const dates = [...weekly, ...monthly].map((date) => sessionUpTo(date.toString()));
  return [...new Set(dates)].sort();
}

function thirdFriday(month: Temporal.PlainDate): Temporal.PlainDate {
  return month.with({ day: 15 + ((12 - month.with({ day: 15 }).dayOfWeek) % 7) });
}

function sessionUpTo(date: string): string {
  return usCalendar.isTradingDay(date) ? date : usCalendar.previous(date).date;
}

function isThirdFriday(date: string): boolean {
  return sessionUpTo(thirdFriday(Temporal.PlainDate.from(date)).toString()) === date;
}

/** `count` strikes on a grid of round steps around the forward, wide enough for `REACH` deviations; fewer where the grid would begin below one step. */
function strikesAround(forward: number, deviation: number, count: number): number[] {
  const step = roundStep((2 * forward * Math.sinh(REACH * deviation)) / count);
  const lowest = Math.max(1, Math.round(forward / step) - (count >> 1));
  return Array.from({ length: count }, (_, index) => Math.round((lowest + index) * step * 1000) / 1000);
}

/** 1, 2.5 or 5 times a power of ten, the nearest from above; strikes have three decimals. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2.5, 5, 10].find((candidate) => candidate * power >= step * (1 - 1e-9)) ?? 10;
  return Math.max(factor * power, 0.01);
}

/** Half the spread, dollars: a share of a volatility point and of the underlying, more to the wings; at least half a cent; the whole price where the bid is 0. */
function halfSpread({ price, vega }: Valuation, spot: number, deviations: number): number {
  if (price < LEAST_BID) return price;
  const wings = deviations ** 2;
  return Math.min(price * 0.9, Math.max(0.005, vega * 0.15 * (1 + wings) + spot * 0.0001 * wings));
}

interface ContractTerms {
  day: number;
  strike: number;
  deviations: number;
  isPut: boolean;
  monthly: boolean;
  daysLeft: number;
}

/** Contracts open: most at round strikes, a little out of the money, in monthly expirations that are not far away; wanders from day to day. */
function openInterestOf(random: ReturnType<typeof hashed>, { day, strike, deviations, isPut, monthly, daysLeft }: ContractTerms): number {
  const outOfTheMoney = isPut ? -deviations : deviations;
  const near = Math.exp(-0.5 * (outOfTheMoney - 0.5) ** 2);
  const round = strike % 10 === 0 ? 2.5 : strike % 5 === 0 ? 1.5 : 1;
  const popularity = Math.exp(2 * (random(PURPOSE.popularity, 0) - 0.5));
  const wandering = 0.7 + 0.6 * smoothNoise(random, PURPOSE.open, day / 5);
  return Math.floor(2000 * near * round * popularity * wandering * (monthly ? 2.5 : 1) * Math.exp(-daysLeft / 200));
}
