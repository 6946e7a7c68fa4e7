/** What a screen reads: stored bars, splits and fundamentals, and nothing else. */
import { createHash } from 'node:crypto';
import type { Bar } from '../../market/bars/bars.ts';

/** Daily bars as columns of one length, ascending by date. */
export interface PriceHistory {
  /** Days since 1970-01-01 of the session's date. */
  days: Int32Array;
  /** As traded, per share. */
  close: Float64Array;
  /** Scaled for all later splits and dividends. */
  adjusted: Float64Array;
  /** Shares of that day. */
  volume: Float64Array;
}

/** One stored row of fundamentals. Every value may be missing; none is guessed. */
export interface Fundamentals {
  fetchedAt: Temporal.Instant;
  source: string;
  /** `EQUITY`, `ETF`, …: only `EQUITY` can be picked. */
  quoteType: string | null;
  name: string | null;
  /** Stable ids (`technology`, `consumer-electronics`) and names for people. */
  sectorKey: string | null;
  sector: string | null;
  industryKey: string | null;
  industry: string | null;
  /** Of the price, and of the company's statements. */
  currency: string | null;
  financialCurrency: string | null;
  /** Per share, over the last four quarters. */
  trailingEps: number | null;
  /** Per share. */
  bookValue: number | null;
  freeCashflow: number | null;
  marketCap: number | null;
  /** Fractions: 0.25 = 25 %. */
  returnOnEquity: number | null;
  operatingMargins: number | null;
  /** As a ratio: 1.5 = debt of one and a half times the equity. */
  debtToEquity: number | null;
  /** A fraction. 0 where the source's answer was complete and named no dividend; null where it was not. */
  dividendYield: number | null;
}

/** One symbol of the universe. */
export interface UniverseMember {
  symbol: string;
  history: PriceHistory | null;
  /** Where the bars are from: `yahoo_finance`. */
  barsSource: string | null;
  /** `ratio`: new shares for one old, on the ex-date. */
  splits: readonly { date: string; ratio: number }[];
  fundamentals: Fundamentals | null;
  /** True where bars or fundamentals come from a simulated market. */
  simulated: boolean;
}

const DAY_MS = 86_400_000;

export const dayOf = (date: string): number => Date.parse(date) / DAY_MS;
export const dateOf = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** Stored bars, ascending by date, as columns. */
export function priceHistoryOf(bars: readonly Pick<Bar, 'date' | 'close' | 'adjustedClose' | 'volume'>[]): PriceHistory {
  return {
    days: Int32Array.from(bars, ({ date }) => dayOf(date)),
    close: Float64Array.from(bars, ({ close }) => close),
    adjusted: Float64Array.from(bars, ({ adjustedClose }) => adjustedClose),
    volume: Float64Array.from(bars, ({ volume }) => volume),
  };
}

/** The newest `count` bars up to a day inclusive; fewer where there are fewer. Views on the same memory. */
export function newestBars(history: PriceHistory, day: number, count: number): PriceHistory {
  const end = barsThrough(history.days, day);
  const start = Math.max(0, end - count);
  return {
    days: history.days.subarray(start, end),
    close: history.close.subarray(start, end),
    adjusted: history.adjusted.subarray(start, end),
    volume: history.volume.subarray(start, end),
  };
}

/** The number of bars up to a day inclusive. */
export function barsThrough(days: Int32Array, day: number): number {
  let [low, high] = [0, days.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (days[middle]! <= day) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** By code units, the same on every machine. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const bytesOf = (column: Int32Array | Float64Array) => new Uint8Array(column.buffer, column.byteOffset, column.byteLength);

/**
 * SHA-256 of all that a screen reads, in hexadecimal: symbols, the date, the bars of the window, splits up to it and fundamentals. Same hash, same result. `members`
 * sorted by symbol; `windows` their newest bars up to the date, of the same order, the index's last.
 */
export function inputHash(dataDate: string, members: readonly UniverseMember[], windows: readonly (PriceHistory | null)[]): string {
  const hash = createHash('sha256').update(`picks-1 ${dataDate}`);
  windows.forEach((window, index) => {
    const { symbol, splits, fundamentals, simulated } = members[index] ?? { symbol: '', splits: [], fundamentals: null, simulated: false };
    const known = splits.filter(({ date }) => date <= dataDate).map(({ date, ratio }) => [date, ratio]);
    const row = fundamentals === null ? null : Object.entries(fundamentals).sort(([a], [b]) => compareText(a, b));
    hash.update(`\n${JSON.stringify([symbol, simulated, known.sort(), row, window?.days.length ?? null])}\n`);
    if (window === null) return;
    for (const column of [window.days, window.close, window.adjusted, window.volume]) hash.update(bytesOf(column));
  });
  return hash.digest('hex');
}
