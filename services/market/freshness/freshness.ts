import type { Config } from '../../platform/config/load.ts';
import { type Moment, tradesEveryDay } from '../calendar/calendar.ts';

/**
 * Judges whether the stored data of a symbol is fresh enough at a moment, and whether the sources are to be asked again. These are two questions: a source that has
 * nothing newer than a bar of 2021 is not asked again at every login, and yet that bar is never called fresh.
 *
 * The rules for a symbol with a calendar, where S is the newest session that has started:
 * - No bar: missing. It is asked for at once when it was never checked, the most urgent of all, otherwise once the threshold has passed since the check.
 * - A bar of S that was true at or after S's close is final: fresh until the next session opens, however long ago that close was. So before the open, on
 *   weekends and on holidays the final bar of the newest closed session is always fresh.
 * - A bar of S that was true before S's close is live, also after that close: age counts from the moment it was true or the last check, whichever is later.
 * - A bar older than S: age counts from the open of the first session after the bar, since nothing newer existed before, or from the last
 *   check if that is later. So yesterday's final bar is fresh for the first minutes of today, and only so long. A source that was true after the bar's own close
 *   (a halted or delisted symbol) counts as checked at that time. Checked within the threshold it is outdated, with the number of sessions that are missing. After a
 *   check that followed the close the source is asked again once the threshold has passed, because sources publish late.
 * Without a calendar age counts from the moment the data was true or the last check. A bar that was checked within the threshold is outdated when a weekday (of a crypto
 * currency any day) has passed since. Data is stale from the moment its age reaches the threshold.
 */

/**
 * `fresh`: the newest bar is that of the newest session, or live within the threshold. `outdated`: the sources were asked within the threshold and have nothing newer.
 * `stale`: older than the threshold and not checked since. `missing`: nothing is stored.
 */
export const FRESHNESS_STATES = ['fresh', 'outdated', 'stale', 'missing'] as const;
export type FreshnessState = (typeof FRESHNESS_STATES)[number];

/** How many symbols are in each state. */
export type FreshnessCounts = Record<FreshnessState, number>;

export function countStates(judgements: Iterable<{ state: FreshnessState }>): FreshnessCounts {
  const counts: FreshnessCounts = { fresh: 0, outdated: 0, stale: 0, missing: 0 };
  for (const { state } of judgements) counts[state]++;
  return counts;
}

/** `9 fresh, 2 outdated, 1 without data`; states without a symbol are left out, but for `fresh`. */
export function countsText({
  fresh,
  outdated = 0,
  stale = 0,
  missing = 0,
  unknown = 0,
}: { fresh: number; unknown?: number } & Partial<FreshnessCounts>): string {
  const others = [
    [outdated, 'outdated'],
    [stale, 'stale'],
    [missing, 'without data'],
    [unknown, 'unknown to the sources'],
  ] as const;
  return [`${fresh} fresh`, ...others.flatMap(([count, word]) => (count > 0 ? [`${count} ${word}`] : []))].join(', ');
}

/** Minutes, by the state of the market. */
export interface PriceThresholds {
  market_open: number;
  market_closed: number;
  weekend: number;
  /** For symbols without a calendar. */
  default: number;
}

export interface FreshnessRules {
  thresholds: PriceThresholds;
  analysisTtlHours: number;
  /** The set of sources whose failures count (`sourceSet`). */
  sources?: string | undefined;
}

/** The configured rules. */
export function freshnessRules(config: Pick<Config, 'stock_jobs' | 'portfolio'>): FreshnessRules {
  const { stock_jobs, portfolio } = config;
  const { market_open, market_closed, weekend } = portfolio.freshness_schedule;
  return {
    thresholds: { market_open, market_closed, weekend, default: stock_jobs.portfolio_priority.data_staleness_threshold },
    analysisTtlHours: stock_jobs.analysis.cache_ttl,
    sources: sourceSet(config),
  };
}

/** The sources that the configuration names and can ask, as one name. */
export function sourceSet({ stock_jobs }: Pick<Config, 'stock_jobs'>): string {
  const { sources, alpha_vantage } = stock_jobs.data_fetch;
  return sources.filter((name) => name !== 'alpha_vantage' || alpha_vantage.api_key).join(',');
}

/** What is known of a symbol whose last answer was a failure. */
export interface Failure {
  since: Date;
  askedAt: Date;
  /** Until then only requests by hand ask for it. */
  againAt: Date;
  /** Pauses since then. */
  times: number;
  code: string;
  reason: string;
}

/** The stored state of a symbol's bars. Moments in epoch milliseconds. */
export interface PriceInput {
  /** Session date of the newest stored bar, `YYYY-MM-DD`. */
  newestBarDate?: string | undefined;
  /** The moment at which that bar was true. When unknown: its session's close, or its open while that session runs. */
  asOfMs?: number | undefined;
  /** The last successful check that found nothing newer. */
  checkedAtMs?: number | undefined;
  /** The symbol has a bar of each day of the week. Counts only where there is no calendar. */
  everyDay?: boolean | undefined;
}

/** The judgement of a symbol's row; undefined for a symbol that was never fetched. In the pause after a failure it is not due. */
export function judgeState(
  symbol: string,
  state: { newestBar: string | null; asOf: Date | null; checkedAt: Date | null; failure?: Failure | undefined } | undefined,
  moment: Moment,
  thresholds: PriceThresholds,
): Judgement {
  const { newestBar, asOf, checkedAt } = state ?? {};
  const input = { newestBarDate: newestBar ?? undefined, asOfMs: asOf?.getTime(), checkedAtMs: checkedAt?.getTime() };
  const judged = judgePrice({ ...input, everyDay: tradesEveryDay(symbol) }, moment, thresholds);
  return state?.failure === undefined || judged.state === 'fresh' ? judged : afterFailure(judged, state.failure, moment.nowMs);
}

function afterFailure(judged: Judgement, failure: Failure, nowMs: number): Judgement {
  const { since, askedAt, againAt, code, reason } = failure;
  const paused = nowMs < againAt.getTime();
  const what = code === 'source.unknown_symbol' ? 'unknown' : 'no usable answer';
  const again = paused ? `asked again by the first login after ${minuteOf(againAt)}` : 'asked again now';
  return {
    ...judged,
    due: judged.due && !paused,
    dueAtMs: Math.max(againAt.getTime(), judged.dueAtMs ?? 0),
    failure,
    reason: `${what} since ${minuteOf(since)}, last asked ${span(minutesSince(askedAt.getTime(), nowMs))} ago, ${again} (${reason})`,
  };
}

/** Of its own: `toLocaleString` makes one for every number, 20 µs each. */
const COUNT = new Intl.NumberFormat('en-US');

/** `2026-01-02 14:30 UTC`. */
const minuteOf = (at: Date): string => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** The stored state of a symbol's analysis. */
export interface AnalysisInput {
  /** When it was computed, epoch milliseconds. */
  computedAtMs?: number | undefined;
  /** Date of the newest bar it was computed from. */
  barDate?: string | undefined;
  /** Date of the newest bar stored now. */
  newestBarDate?: string | undefined;
  /** The judgement of these bars: what is computed from outdated bars is outdated itself. */
  price?: Pick<Judgement, 'state' | 'sessionsBehind'> | undefined;
}

export interface Judgement {
  state: FreshnessState;
  /** Whether it is to be renewed now. */
  due: boolean;
  /** Sessions that have started since the newest bar; without a calendar weekdays that have passed (of a crypto currency days). Absent without a bar. */
  sessionsBehind?: number | undefined;
  /** Minutes, not rounded; null when missing. A final bar is as old as the time since its session's close or the last check. */
  ageMinutes: number | null;
  /** The threshold of this moment. */
  thresholdMinutes: number;
  session: Moment['session'];
  /** When it becomes or became due, epoch milliseconds. Uses the threshold of this moment, or for a final bar the threshold of the open market. Absent when it was never there. */
  dueAtMs?: number | undefined;
  /** The last answer of the sources, where that was a failure. */
  failure?: Failure | undefined;
  /** One line for people. */
  reason: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const NEVER = Number.NEGATIVE_INFINITY;

/** Judges price data at `moment`, which is that of the symbol's own exchange (`momentsAt`). */
export function judgePrice(input: PriceInput, moment: Moment, thresholds: PriceThresholds): Judgement {
  const { newestBarDate: barDate, checkedAtMs = NEVER } = input;
  const threshold = thresholdOf(moment.session, thresholds);
  if (barDate === undefined) {
    if (checkedAtMs === NEVER) return missing('no bar and never checked', threshold, moment);
    return { ...byAge('no bar; checked', 'ago', checkedAtMs, threshold, moment), state: 'missing' };
  }
  const { exchange, nowMs } = moment;
  if (exchange === undefined || barDate > exchange.next.date) {
    // A bar without a time is at most as old as the start of its day. A date after the newest session is judged as if the symbol had no calendar.
    const trueAt = input.asOfMs ?? Math.min(Date.parse(barDate), nowMs - threshold * MINUTE_MS);
    const knownAt = Math.max(trueAt, checkedAtMs);
    const behind = exchange === undefined ? daysPassed(barDate, nowMs, input.everyDay === true) : 0;
    if (behind > 0 && minutesSince(knownAt, nowMs) < threshold)
      return outdated(barDate, { behind, unit: input.everyDay ? 'day' : 'weekday' }, knownAt, threshold, moment);
    const judged =
      checkedAtMs > trueAt
        ? byAge(`bar of ${barDate} checked`, 'ago', checkedAtMs, threshold, moment)
        : byAge(`bar of ${barDate}`, 'old', trueAt, threshold, moment);
    return { ...judged, sessionsBehind: behind };
  }

  const { latestStarted, calendar, next } = exchange;
  if (barDate < latestStarted.date) {
    const missed = calendar.following(barDate);
    const openMs = missed.open.epochMilliseconds;
    const knownAt = Math.max(input.asOfMs ?? NEVER, checkedAtMs);
    const sessionsBehind = calendar.sessionsAfter(barDate, latestStarted.date);
    if (knownAt <= openMs)
      return { ...byAge(`bar of ${barDate}; session of ${missed.date} opened`, 'ago', openMs, threshold, moment), sessionsBehind };
    const withinThreshold = minutesSince(knownAt, nowMs) < threshold;
    if (withinThreshold && minutesSince(openMs, nowMs) >= threshold)
      return outdated(barDate, { behind: sessionsBehind, unit: 'session' }, knownAt, threshold, moment);
    return { ...byAge(`bar of ${barDate} checked`, 'ago', knownAt, threshold, moment), sessionsBehind };
  }

  const closeMs = barDate === latestStarted.date ? latestStarted.close.epochMilliseconds : Number.POSITIVE_INFINITY;
  const trueAt = input.asOfMs ?? (closeMs <= nowMs ? closeMs : NEVER);
  const final = trueAt >= closeMs;
  if (final || barDate > latestStarted.date) {
    return {
      state: 'fresh',
      due: false,
      sessionsBehind: 0,
      ageMinutes: minutesSince(Math.max(final ? closeMs : (input.asOfMs ?? nowMs), checkedAtMs), nowMs),
      thresholdMinutes: threshold,
      session: moment.session,
      dueAtMs: next.open.epochMilliseconds + thresholds.market_open * MINUTE_MS,
      reason: `bar of ${barDate} is ${final ? 'final' : 'ahead of its session'}; no later session has started`,
    };
  }
  const openMs = latestStarted.open.epochMilliseconds;
  const live =
    checkedAtMs > trueAt && checkedAtMs > openMs
      ? byAge('live bar checked', 'ago', checkedAtMs, threshold, moment)
      : byAge('live bar', 'old', Math.max(trueAt, openMs), threshold, moment);
  return { ...live, sessionsBehind: 0 };
}

/**
 * Judges an analysis: missing when there is none, stale from `ttlHours` after it was computed, or as soon as a newer bar than the one it was
 * computed from is stored. One of bars that are not fresh themselves is outdated when sessions are missing. Where no bar is stored there is nothing to compute, so it is
 * not due.
 */
export function judgeAnalysis(input: AnalysisInput, moment: Moment, ttlHours: number): Judgement {
  const { computedAtMs, barDate, newestBarDate, price } = input;
  const threshold = ttlHours * 60;
  if (computedAtMs === undefined) return { ...missing('no analysis', threshold, moment), due: newestBarDate !== undefined };
  const byTime = byAge('analysis', 'old', computedAtMs, threshold, moment);
  if (newestBarDate === undefined || (barDate !== undefined && barDate >= newestBarDate)) {
    const behind = price === undefined || price.state === 'fresh' ? 0 : (price.sessionsBehind ?? 0);
    if (byTime.state !== 'fresh' || behind === 0) return byTime;
    return {
      ...byTime,
      state: 'outdated',
      sessionsBehind: behind,
      reason: `analysis ${span(byTime.ageMinutes!)} old, of the bar of ${barDate}, which is not of the newest session`,
    };
  }
  const reason = `the analysis is of the bar of ${barDate ?? 'an unknown day'}, and a bar of ${newestBarDate} is stored`;
  return { ...byTime, state: 'stale', due: true, dueAtMs: Math.min(byTime.dueAtMs!, moment.nowMs), reason };
}

function missing(reason: string, thresholdMinutes: number, moment: Moment): Judgement {
  return { state: 'missing', due: true, ageMinutes: null, thresholdMinutes, session: moment.session, reason };
}

function byAge(subject: string, word: 'old' | 'ago', sinceMs: number, threshold: number, moment: Moment): Judgement {
  const ageMinutes = minutesSince(sinceMs, moment.nowMs);
  const due = ageMinutes >= threshold;
  return {
    state: due ? 'stale' : 'fresh',
    due,
    ageMinutes,
    thresholdMinutes: threshold,
    session: moment.session,
    dueAtMs: sinceMs + threshold * MINUTE_MS,
    reason: `${subject} ${span(ageMinutes)} ${word}, threshold ${span(threshold)} (${SESSION_TEXT[moment.session]})`,
  };
}

function outdated(
  barDate: string,
  { behind, unit }: { behind: number; unit: 'session' | 'weekday' | 'day' },
  knownAtMs: number,
  thresholdMinutes: number,
  { nowMs, session }: Moment,
): Judgement {
  const ageMinutes = minutesSince(knownAtMs, nowMs);
  return {
    state: 'outdated',
    due: false,
    sessionsBehind: behind,
    ageMinutes,
    thresholdMinutes,
    session,
    dueAtMs: knownAtMs + thresholdMinutes * MINUTE_MS,
    reason: `newest bar ${barDate}, ${COUNT.format(behind)} ${unit}${behind === 1 ? '' : 's'} behind, checked ${span(ageMinutes)} ago`,
  };
}

/** Weekdays, or days, that lie wholly between a bar's day and today (UTC). Another exchange's holiday counts: the sources were asked and have nothing of that day. */
function daysPassed(barDate: string, nowMs: number, everyDay: boolean): number {
  const bar = Math.floor(Date.parse(barDate) / DAY_MS);
  const today = Math.floor(nowMs / DAY_MS);
  const days = Math.max(0, today - bar - 1);
  if (everyDay) return days;
  // Day 0, 1970-01-01, was a Thursday. Of the days before day n, this many are no Saturday and no Sunday.
  const weekdaysBefore = (n: number): number => Math.floor((n + 3) / 7) * 5 + Math.min(5, (n + 3) % 7);
  return days === 0 ? 0 : weekdaysBefore(today) - weekdaysBefore(bar + 1);
}

/** An age is never negative, also when another machine's clock is ahead. */
function minutesSince(sinceMs: number, nowMs: number): number {
  return Math.max(0, nowMs - sinceMs) / MINUTE_MS;
}

function thresholdOf(session: Moment['session'], thresholds: PriceThresholds): number {
  switch (session) {
    case 'open':
      return thresholds.market_open;
    case 'closed':
      return thresholds.market_closed;
    case 'weekend':
      return thresholds.weekend;
    case 'none':
      return thresholds.default;
  }
}

const SESSION_TEXT: Record<Moment['session'], string> = {
  open: 'market open',
  closed: 'market closed',
  weekend: 'weekend or holiday',
  none: 'no calendar',
};

/** Minutes as text: `7 min`, `5 h`, `3 d`, always rounded down. */
function span(minutes: number): string {
  if (minutes < 120) return `${Math.floor(minutes)} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / (24 * 60))} d`;
}
