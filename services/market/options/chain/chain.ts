import type { CHAIN_SOURCES } from '../../../platform/config/schema.ts';

/** The sources that a chain can come from. */
export type ChainSourceName = (typeof CHAIN_SOURCES)[number];

/**
 * The option contracts of one underlying as they were quoted at one moment, by column: entry `i` of every column belongs to the contract `contracts[i]`. Numbers that
 * the source does not give are NaN, never 0. Contracts are unique and in no particular order.
 */
export interface Chain {
  readonly underlying: string;
  readonly source: ChainSourceName;
  /** When the quotes were taken. */
  readonly asOf: Temporal.Instant;
  /** Price of the underlying, dollars a share. */
  readonly spot: number;
  /** OCC symbols without padding, like AAPL140621C00500000. */
  readonly contracts: readonly string[];
  /**
   * Expiration dates, `YYYY-MM-DD`, ascending; `expiry` points into them. A date stands once for each option root: SPX and SPXW of one day end at different hours, so they
   * have different forwards and volatilities.
   */
  readonly expirations: readonly string[];
  /** The root of each expiration. Absent: all have the underlying's own. */
  readonly roots?: readonly string[];
  readonly expiry: Uint16Array;
  /** 1 = put, 0 = call. */
  readonly isPut: Uint8Array;
  /** Dollars a share. */
  readonly strike: Float64Array;
  readonly bid: Float64Array;
  readonly ask: Float64Array;
  /** Contracts traded today, and open at the end of the day before. */
  readonly volume: Float64Array;
  readonly openInterest: Float64Array;
  /** Annual, 0.25 = 25 %. */
  readonly iv: Float64Array;
  readonly delta: Float64Array;
  readonly gamma: Float64Array;
  /** Dollars a calendar day, negative when time costs. */
  readonly theta: Float64Array;
  /** Dollars a volatility point (0.01). */
  readonly vega: Float64Array;
  /** When each contract was quoted, in epoch milliseconds. */
  readonly quotedAt: Float64Array;
  /** The parts that the source should have given and did not. Absent: none. */
  readonly gaps?: readonly ChainGap[];
}

/** A missing part of a chain. */
export interface ChainGap {
  /** The expiration that is missing; absent: single contracts of any. */
  readonly expiry?: string;
  /** How many contracts, where the source says. */
  readonly contracts?: number;
  readonly reason: string;
}

/** The columns of numbers that a source may leave out. */
export const CHAIN_NUMBERS = [
  'strike',
  'bid',
  'ask',
  'volume',
  'openInterest',
  'iv',
  'delta',
  'gamma',
  'theta',
  'vega',
  'quotedAt',
] as const;
