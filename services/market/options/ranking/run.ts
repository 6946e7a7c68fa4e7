/** Computes a ranking from a chain and the stored days before it. Reads and writes nothing. */

import type { RankingRules } from '../../../platform/config/ranking.ts';
import { usCalendar } from '../../calendar/calendar.ts';
import type { Chain } from '../chain/chain.ts';
import { type ChainDay, chainDay, contractHistory } from '../chain/history.ts';
import { expiryTimes } from '../chain/time.ts';
import { surfaceOf } from '../pricing/surface.ts';
import { stored } from '../scoring/blocks.ts';
import { type DailyIv, ivPercentile, ivRank } from '../scoring/iv-history.ts';
import type { Mode } from '../scoring/parts.ts';
import type { Trend } from '../scoring/trend.ts';
import { rankChain } from './rank.ts';
import type { Position } from './rank-input.ts';
import type { RankedRun } from './ranked.ts';

export interface RunInput {
  chain: Chain;
  mode: Mode;
  now: Temporal.Instant;
  trend: Trend;
  /** Of the days before the chain's, oldest first. */
  ivHistory: readonly DailyIv[];
  days: readonly ChainDay[];
  positions: readonly Position[];
  rules: RankingRules;
  /** A year, 0.01 = 1 %. */
  dividendYield: number;
}

export interface RunOutput {
  ranked: RankedRun;
  /** Annual; null where the chain gives no IV, or the history is too short. */
  atmIv: number | null;
  ivRank: number | null;
  ivPercentile: number | null;
  /** The form of the chain to be stored. */
  day: ChainDay;
}

/** The session of a chain: the newest that had started when the chain was quoted. */
export function sessionOf({ asOf }: Pick<Chain, 'asOf'>): string {
  return usCalendar.latestStarted(asOf).date;
}

/**
 * Ranks a chain. A chain of a Lean folder is ranked as of its own close, every other chain as of now. While the market is closed the age of its quotes is measured at the
 * newest close. Volatilities are computed for the moment of the quotes. Errors: those of `rankChain`, `contractHistory` and `ivRank`.
 */
export function rankUnderlying({ chain, mode, now, trend, ivHistory, days, positions, rules, dividendYield }: RunInput): RunOutput {
  const date = sessionOf(chain);
  const isPast = chain.source === 'lean';
  const moment = isPast ? chain.asOf : now;
  const at = isPast || usCalendar.state(now) === 'open' ? moment : usCalendar.latestClosed(now).close;
  const market = { rate: rules.risk_free_rate, dividendYield };
  const trusted = trustedQuotes(chain, at.epochMilliseconds - rules.quote_age * 1000);
  // A quote may be stamped ahead of this machine's clock: its volatility is of the earlier moment of both.
  const quoted = earlier(chain.asOf, moment);
  const surface = surfaceOf(chain, expiryTimes(chain.expirations, quoted, chain.roots), market, { trusted });
  const today = { date, iv: surface.iv30 };
  const standing = { ivRank: stored(ivRank(ivHistory, today)), ivPercentile: stored(ivPercentile(ivHistory, today)) };
  const ranked = rankChain({
    chain,
    mode,
    at,
    times: expiryTimes(chain.expirations, moment, chain.roots),
    greeks: surface.greeks,
    trend,
    ...standing,
    history: contractHistory(chain, days, date),
    smileIv: surface.smileIv,
    positions,
    // All positions are kept: no user's position replaces another's.
    rules: mode === 'exit' ? { ...rules, top_n: Math.max(rules.top_n, positions.length) } : rules,
  });
  return {
    ranked,
    atmIv: known(surface.iv30),
    ivRank: known(standing.ivRank),
    ivPercentile: known(standing.ivPercentile),
    day: chainDay(chain, surface.greeks.iv, date),
  };
}

/** 0 for contracts whose quote is older. A contract without a time of its own has the time of the chain. */
function trustedQuotes({ quotedAt, asOf }: Chain, oldestMs: number): Uint8Array {
  const trusted = new Uint8Array(quotedAt.length);
  for (let i = 0; i < trusted.length; i++) {
    const quoted = quotedAt[i]!;
    trusted[i] = (Number.isNaN(quoted) ? asOf.epochMilliseconds : quoted) >= oldestMs ? 1 : 0;
  }
  return trusted;
}

function earlier(one: Temporal.Instant, other: Temporal.Instant): Temporal.Instant {
  return Temporal.Instant.compare(one, other) <= 0 ? one : other;
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
