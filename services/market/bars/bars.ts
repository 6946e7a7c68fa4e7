/** Bars and corporate actions, as market sources deliver them and the database stores them. Dates are the session's calendar date in the exchange's own zone, `YYYY-MM-DD`. */

import type { SOURCES } from '../../platform/config/schema.ts';
import type { LeftOut } from './sense.ts';

/** One daily bar, raw: prices as they were traded that day, in the instrument's currency per share; volume in shares of that day. */
export interface Bar {
  date: string;
  open: number;
  high: number;
  low: number;
  close: number;
  /** Close scaled for all later splits and dividends, as the source knew them at `asOf`. */
  adjustedClose: number;
  volume: number;
}

/**
 * A split (`value` = new shares for one old) or a cash dividend (`value` = currency per share of that day), on its ex-date. A dividend on the ex-date of a split is
 * per new share: that is the share that is traded on its ex-date. At most one of each kind a day.
 */
export interface CorporateAction {
  date: string;
  kind: 'split' | 'dividend';
  value: number;
}

/** Both ends inclusive; without `to`: up to the newest there is. */
export interface DateRange {
  from: string;
  to?: string | undefined;
}

export type SourceName = (typeof SOURCES)[number];

/** A source's answer: bars ascending by date, no date twice. */
export interface BarsAnswer {
  symbol: string;
  source: SourceName;
  /** The moment the data was true: of the request for a live source, of the newest bar's close for a file. The last bar is live while this is before its session's close. */
  asOf: Temporal.Instant;
  bars: Bar[];
  actions: CorporateAction[];
  /** What the source gave and cannot be true; absent when that is nothing. */
  leftOut?: LeftOut[];
  currency?: string | undefined;
  /** The exchange's zone, as the source names it. */
  timeZone?: string | undefined;
  /** True when the data is stored data given again because nothing newer could be had. */
  stale?: boolean | undefined;
}
