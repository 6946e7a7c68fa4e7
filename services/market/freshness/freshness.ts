import type { Config } from '../../platform/config/load.ts';
import type { Moment } from '../calendar/calendar.ts';

/**
 * Judges whether the stored data of a symbol is fresh enough at a moment.
 *
 * The rules for a symbol with a calendar, where S is the newest session that has started:
 * - No bar and never checked: missing, the most urgent of all. No bar but checked: age counts from the check.
 * - A bar of S that was true at or after S's close is final: fresh until the next session opens, however long ago that close was. So before the open, on
 *   weekends and on holidays the final bar of the newest closed session is always fresh.
 * - A bar of S that was true before S's close is live, also after that close: age counts from the moment it was true or the last check, whichever is later.
 * - A bar older than S: age counts from the open of the first session after the bar, since nothing newer existed before, or from the last
 *   check if that is later. So yesterday's final bar is fresh for the first minutes of today. A source that was true after the bar's own close
 *   (a halted or delisted symbol) counts as checked at that time. After a check that followed the close the source is asked again once the threshold has passed, because
 *   sources publish late.
 * Without a calendar age counts from the moment the data was true or the last check. Data is stale from the moment its age reaches the threshold.
 */

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
}

/** The configured rules. */
export function freshnessRules({ stock_jobs, portfolio }: Pick<Config, 'stock_jobs' | 'portfolio'>): FreshnessRules {
  const { market_open, market_closed, weekend } = portfolio.freshness_schedule;
  return {
    thresholds: { market_open, market_closed, weekend, default: stock_jobs.portfolio_priority.data_staleness_threshold },
    analysisTtlHours: stock_jobs.analysis.cache_ttl,
  };
}

/** The stored state of a symbol's bars. Moments in epoch milliseconds. */
export interface PriceInput {
  /** Session date of the newest stored bar, `YYYY-MM-DD`. */
  newestBarDate?: string | undefined;
  /** The moment at which that bar was true. When unknown: its session's close, or its open while that session runs. */
  asOfMs?: number | undefined;
  /** The last successful check that found nothing newer. */
  checkedAtMs?: number | undefined;
}

/** The stored state of a symbol's analysis. */
export interface AnalysisInput {
  /** When it was computed, epoch milliseconds. */
  computedAtMs?: number | undefined;
  /** Date of the newest bar it was computed from. */
  barDate?: string | undefined;
  /** Date of the newest bar stored now. */
  newestBarDate?: string | undefined;
}

export interface Judgement {
  state: 'fresh' | 'stale' | 'missing';
  /** Minutes, not rounded; null when missing. A final bar is as old as the time since its session's close or the last check. */
  ageMinutes: number | null;
  /** The threshold of this moment. */
  thresholdMinutes: number;
  session: Moment['session'];
  /** When it becomes or became stale, epoch milliseconds. Uses the threshold of this moment, or for a final bar the threshold of the open market. Absent when missing. */
  dueAtMs?: number | undefined;
  /** One line for people. */
  reason: string;
}

const MINUTE_MS = 60_000;
const NEVER = Number.NEGATIVE_INFINITY;

/** Judges price data at `moment`, which is that of the symbol's own exchange (`momentsAt`). */
export function judgePrice(input: PriceInput, moment: Moment, thresholds: PriceThresholds): Judgement {
  const { newestBarDate: barDate, checkedAtMs = NEVER } = input;
  const threshold = thresholdOf(moment.session, thresholds);
  if (barDate === undefined) {
    if (checkedAtMs === NEVER) return missing('no bar and never checked', threshold, moment);
    return byAge('no bar; checked', 'ago', checkedAtMs, threshold, moment);
  }
  const { exchange, nowMs } = moment;
  if (exchange === undefined || barDate > exchange.next.date) {
    // A bar without a time is at most as old as the start of its day. A date after the newest session is judged as if the symbol had no calendar.
    const trueAt = input.asOfMs ?? Math.min(Date.parse(barDate), nowMs - threshold * MINUTE_MS);
    if (checkedAtMs > trueAt) return byAge(`bar of ${barDate} checked`, 'ago', checkedAtMs, threshold, moment);
    return byAge(`bar of ${barDate}`, 'old', trueAt, threshold, moment);
  }

  const { latestStarted, calendar, next } = exchange;
  if (barDate < latestStarted.date) {
    const missed = calendar.following(barDate);
    const openMs = missed.open.epochMilliseconds;
    const knownAt = Math.max(input.asOfMs ?? NEVER, checkedAtMs);
    if (knownAt > openMs) return byAge(`bar of ${barDate} checked`, 'ago', knownAt, threshold, moment);
    return byAge(`bar of ${barDate}; session of ${missed.date} opened`, 'ago', openMs, threshold, moment);
  }

  const closeMs = barDate === latestStarted.date ? latestStarted.close.epochMilliseconds : Number.POSITIVE_INFINITY;
  const trueAt = input.asOfMs ?? (closeMs <= nowMs ? closeMs : NEVER);
  const final = trueAt >= closeMs;
  if (final || barDate > latestStarted.date) {
    return {
      state: 'fresh',
      ageMinutes: minutesSince(Math.max(final ? closeMs : (input.asOfMs ?? nowMs), checkedAtMs), nowMs),
      thresholdMinutes: threshold,
      session: moment.session,
      dueAtMs: next.open.epochMilliseconds + thresholds.market_open * MINUTE_MS,
      reason: `bar of ${barDate} is ${final ? 'final' : 'ahead of its session'}; no later session has started`,
    };
  }
  const openMs = latestStarted.open.epochMilliseconds;
  if (checkedAtMs > trueAt && checkedAtMs > openMs) return byAge('live bar checked', 'ago', checkedAtMs, threshold, moment);
  return byAge('live bar', 'old', Math.max(trueAt, openMs), threshold, moment);
}

/**
 * Judges an analysis: missing when there is none, stale from `ttlHours` after it was computed, or as soon as a newer bar than the one it was
 * computed from is stored.
 */
export function judgeAnalysis(input: AnalysisInput, moment: Moment, ttlHours: number): Judgement {
  const { computedAtMs, barDate, newestBarDate } = input;
  const threshold = ttlHours * 60;
  if (computedAtMs === undefined) return missing('no analysis', threshold, moment);
  const byTime = byAge('analysis', 'old', computedAtMs, threshold, moment);
  if (newestBarDate === undefined || (barDate !== undefined && barDate >= newestBarDate)) return byTime;
  const reason = `the analysis is of the bar of ${barDate ?? 'an unknown day'}, and a bar of ${newestBarDate} is stored`;
  return { ...byTime, state: 'stale', dueAtMs: Math.min(byTime.dueAtMs!, moment.nowMs), reason };
}

function missing(reason: string, thresholdMinutes: number, moment: Moment): Judgement {
  return { state: 'missing', ageMinutes: null, thresholdMinutes, session: moment.session, reason };
}

function byAge(subject: string, word: 'old' | 'ago', sinceMs: number, threshold: number, moment: Moment): Judgement {
  const ageMinutes = minutesSince(sinceMs, moment.nowMs);
  return {
    state: ageMinutes >= threshold ? 'stale' : 'fresh',
    ageMinutes,
    thresholdMinutes: threshold,
    session: moment.session,
    dueAtMs: sinceMs + threshold * MINUTE_MS,
    reason: `${subject} ${span(ageMinutes)} ${word}, threshold ${span(threshold)} (${SESSION_TEXT[moment.session]})`,
  };
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
