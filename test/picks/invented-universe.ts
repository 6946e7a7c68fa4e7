/** Invented universes for the tests of picks. Prices walk at random from a seed, so that each run sees the same ones. */
import { usCalendar } from '../../services/market/calendar/calendar.ts';
import { ProfileSchema } from '../../services/picks/profile.ts';
import { DEFAULT_RULES, type PickRules } from '../../services/picks/rules.ts';
import type { PickUser } from '../../services/picks/screen/user-gates.ts';
import { type Fundamentals, priceHistoryOf, type UniverseMember } from '../../services/picks/universe/input.ts';
import { type ScreenedUniverse, screenUniverse } from '../../services/picks/universe/universe.ts';

export const DATA_DATE = '2026-11-20';
export const AT = Temporal.Instant.from('2026-11-23T13:30:00Z');

/** The 300 sessions up to the data date. */
export const SESSIONS = usCalendar.tradingDays('2025-08-01', DATA_DATE).slice(-300);

const SECTOR_NAMES: readonly (readonly [string, string])[] = [
  ['technology', 'Technology'],
  ['healthcare', 'Healthcare'],
  ['energy', 'Energy'],
  ['financial-services', 'Financial Services'],
  ['industrials', 'Industrials'],
  ['utilities', 'Utilities'],
];

/** Numbers from 0 to 1: a linear congruential generator with the constants of Numerical Recipes. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export interface Bars {
  date: string;
  close: number;
  adjustedClose: number;
  volume: number;
}

/** Bars of a random walk with a daily deviation and drift. */
export function walk(seed: number, { deviation = 0.015, drift = 0.0004, start = 50, volume = 2e6, dates = SESSIONS } = {}): Bars[] {
  const random = randomOf(seed);
  let close = start;
  return dates.map((date) => {
    // The sum of twelve is near enough to normal.
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random();
    close *= Math.exp(drift + deviation * sum);
    return { date, close, adjustedClose: close, volume: Math.round(volume * (0.5 + random())) };
  });
}

export function fundamentals(overrides: Partial<Fundamentals> = {}): Fundamentals {
  return {
    fetchedAt: Temporal.Instant.from('2026-11-19T12:00:00Z'),
    source: 'yahoo_finance',
    quoteType: 'EQUITY',
    name: null,
    sectorKey: null,
    sector: null,
    industryKey: null,
    industry: null,
    currency: 'USD',
    financialCurrency: 'USD',
    trailingEps: null,
    bookValue: null,
    freeCashflow: null,
    marketCap: null,
    returnOnEquity: null,
    operatingMargins: null,
    debtToEquity: null,
    dividendYield: null,
    ...overrides,
  };
}

export function member(symbol: string, bars: readonly Bars[], overrides: Partial<UniverseMember> = {}): UniverseMember {
  return {
    symbol,
    history: priceHistoryOf(bars),
    barsSource: 'yahoo_finance',
    splits: [],
    fundamentals: fundamentals(),
    simulated: false,
    ...overrides,
  };
}

/** `AA`, `AB`, … */
export const symbolOf = (index: number): string =>
  `${String.fromCharCode(65 + Math.floor(index / 26))}${String.fromCharCode(65 + (index % 26))}X`;

/** Members with walks of their own and figures that differ; every ninth misses some. */
export function inventedMembers(count: number, seed = 1): UniverseMember[] {
  return Array.from({ length: count }, (_, index) => {
    const random = randomOf(seed * 7919 + index);
    const [sectorKey, sector] = SECTOR_NAMES[index % SECTOR_NAMES.length]!;
    const bars = walk(seed * 1000 + index, {
      deviation: 0.008 + 0.02 * random(),
      drift: 0.002 * (random() - 0.4),
      start: 10 + 200 * random(),
      volume: 1e6 + 1e7 * random(),
    });
    const thin = index % 9 === 8;
    return member(symbolOf(index), bars, {
      fundamentals: fundamentals({
        name: `${symbolOf(index)} Works Inc.`,
        sectorKey,
        sector,
        industryKey: `${sectorKey}-${index % 4}`,
        industry: `${sector} ${'ABCD'[index % 4]}`,
        trailingEps: thin ? null : 5 * random() - 1,
        bookValue: thin ? null : 60 * random(),
        freeCashflow: 1e9 * (random() - 0.2),
        marketCap: 1e9 + 5e10 * random(),
        returnOnEquity: thin ? null : random() - 0.2,
        operatingMargins: 0.4 * random(),
        debtToEquity: thin ? null : 2 * random(),
        dividendYield: random() < 0.4 ? 0 : 0.05 * random(),
      }),
    });
  });
}

export function screened(
  members: readonly UniverseMember[],
  { rules = DEFAULT_RULES, index = walk(99) }: { rules?: PickRules; index?: Bars[] | null } = {},
): ScreenedUniverse {
  return screenUniverse({
    members,
    index: index === null ? null : priceHistoryOf(index),
    dataDate: DATA_DATE,
    at: AT,
    calendar: usCalendar,
    allowSimulated: false,
    rules,
  });
}

export function user(profile: Record<string, unknown> = {}, held: Record<string, number> = {}): PickUser {
  return { profile: ProfileSchema.parse(profile), held: new Map(Object.entries(held)) };
}
