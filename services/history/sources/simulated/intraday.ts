/** The course of a simulated stock through its session. */
import type { Bar } from '../../../market/bars/bars.ts';
import { hashed, smoothNoise } from '../../../market/sources/simulated.ts';

const PURPOSE = { first: 1, high: 2, low: 3, noise: 4, volume: 5 } as const;
const MINUTE_MS = 60_000;

/** `edges[k]` is the price k minutes after the opening, in dollars and whole cents; the last one is the close. */
export interface Intraday {
  /** Milliseconds since the epoch. */
  open: number;
  minutes: number;
  edges: Float64Array;
  /** The share of the day's volume that is traded before minute k: 0 for the first, 1 at the end. */
  traded: Float64Array;
}

/** Begins and ends at the bar's open and close, reaches its high and low, and never passes them. Depends only on seed, symbol and day, and on the bar. */
export function intraday(bar: Bar, { open, close, seed }: { open: number; close: number; seed: string }): Intraday {
  const minutes = Math.round((close - open) / MINUTE_MS);
  const random = hashed(`${seed}/${bar.date}`);
  const inner = (purpose: number) => 1 + Math.floor(random(purpose, 0) * (minutes - 1));
  const high: Turn = { minute: inner(PURPOSE.high), price: bar.high };
  const low: Turn = { minute: inner(PURPOSE.low), price: bar.low };
  if (low.minute === high.minute) low.minute = high.minute < minutes - 1 ? high.minute + 1 : high.minute - 1;
  const turns = [{ minute: 0, price: bar.open }, ...[high, low].sort((a, b) => a.minute - b.minute), { minute: minutes, price: bar.close }];
  const edges = new Float64Array(minutes + 1);
  for (const [index, to] of turns.entries()) {
    const from = turns[index - 1];
    if (from !== undefined) walk(edges, from, to, bar, (minute) => smoothNoise(random, PURPOSE.noise, minute / 5) - 0.5);
  }
  return { open, minutes, edges, traded: tradedShares(minutes, random) };
}

interface Turn {
  minute: number;
  price: number;
}

/** A straight line and a wave that is nothing at both ends. */
function walk(edges: Float64Array, from: Turn, to: Turn, { high, low }: Bar, noise: (minute: number) => number): void {
  for (let minute = from.minute; minute <= to.minute; minute++) {
    const done = (minute - from.minute) / (to.minute - from.minute);
    const price = from.price + (to.price - from.price) * done + noise(minute) * (high - low) * 1.6 * done * (1 - done);
    edges[minute] = cents(Math.min(high, Math.max(low, price)));
  }
}

/** More is traded at the opening and the close. */
function tradedShares(minutes: number, random: ReturnType<typeof hashed>): Float64Array {
  const shares = new Float64Array(minutes + 1);
  for (let minute = 0; minute < minutes; minute++) {
    const fromMiddle = (2 * minute + 1) / minutes - 1;
    shares[minute + 1] = shares[minute]! + (1 + 3 * fromMiddle ** 2) * (0.5 + random(PURPOSE.volume, minute));
  }
  const all = shares[minutes]!;
  for (let minute = 0; minute < minutes; minute++) shares[minute]! /= all;
  shares[minutes] = 1;
  return shares;
}

export const cents = (dollars: number): number => Math.round(dollars * 100) / 100;

/** What a bar of some minutes is made of. */
export interface Trades {
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  count: number;
  /** Dollars: price × volume. */
  turnover: number;
}

/**
 * The trades from minute `from` to `to`; undefined where there are none. `price` is asked at the edges of the minutes with trades only. `phase` (0 to 1) shifts the few trades of
 * a contract, so that not all contracts are traded in the same minutes.
 */
export function tradesBetween(
  { traded }: Intraday,
  { from, to, volume, phase, price }: { from: number; to: number; volume: number; phase: number; price: (minute: number) => number },
): Trades | undefined {
  let trades: Trades | undefined;
  for (let minute = from; minute < to; minute++) {
    const size = Math.floor(volume * traded[minute + 1]! + phase) - Math.floor(volume * traded[minute]! + phase);
    if (size <= 0) continue;
    const [begin, end] = [price(minute), price(minute + 1)];
    trades ??= { open: begin, high: begin, low: begin, close: end, volume: 0, count: 0, turnover: 0 };
    trades.high = Math.max(trades.high, begin, end);
    trades.low = Math.min(trades.low, begin, end);
    trades.close = end;
    trades.volume += size;
    trades.count += Math.ceil(size / SHARES_A_TRADE);
    trades.turnover += (size * (begin + end)) / 2;
  }
  return trades;
}

const SHARES_A_TRADE = 120;
