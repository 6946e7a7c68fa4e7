/** Which fetches and analyses a batch of users who look at their portfolios needs. Pure functions: no database, no clock. */
import { analysisType } from '../job-types/analysis/definition.ts';
import { analysisKey } from '../job-types/analysis/request.ts';
import { fetchType } from '../job-types/fetch/definition.ts';
import { fetchKey } from '../job-types/fetch/request.ts';
import type { JobRequest } from '../ledger/enqueue/enqueue.ts';
import { priorityOf } from '../ledger/job.ts';
import type { SymbolState } from '../market/bars/read.ts';
import { type Moment, momentsAt } from '../market/calendar/calendar.ts';
import {
  type FreshnessRules,
  type FreshnessState,
  freshnessRules,
  type Judgement,
  judgeAnalysis,
  judgeState,
} from '../market/freshness/freshness.ts';
import type { Holding } from '../market/portfolios/holdings.ts';
import { parseSymbol } from '../market/symbol.ts';
import type { Config } from '../platform/config/load.ts';
import { InputError } from '../platform/errors.ts';
import { type Cause, type ScoreConfig, type ScoreInput, scoreFactors } from './score.ts';

/** A user who looks at a portfolio, or is about to. */
export interface Viewer {
  user: string;
  /** Decayed to now. */
  logins: number;
  holdings: readonly Holding[];
}

/** Why the batch is decided: the causes give the bands. */
export interface Occasion {
  fetch: Cause;
  analysis: Cause;
  triggeredBy: string;
  whenFull: JobRequest['whenFull'];
}

/** Fetches in the foreground, since a user waits. Analyses in the background, ahead of those of symbols in no portfolio. */
export const LOGIN: Occasion = { fetch: 'user_login', analysis: 'background_analysis', triggeredBy: 'user_login', whenFull: 'next_queue' };

export interface DecisionRules extends FreshnessRules {
  score: ScoreConfig;
}

/** A request for one viewer. */
export interface ScoredRequest extends JobRequest {
  symbol: string;
  why: { text: string; [more: string]: unknown };
  /** Weight × value of each factor, in the order of `FACTORS`. */
  points: readonly number[];
}

export interface SymbolDecision {
  symbol: string;
  /** Indexes in `requests`; neither when nothing is due. */
  fetch?: number;
  analysis?: number;
  /** The state of the price; `unknown` in the pause after a failure. */
  state: FreshnessState | 'unknown';
  /** The state of price and analysis with the reasons, one line for people. */
  finding: string;
}

export interface Decisions {
  /** All fetches, then all analyses: every batch locks in the same order. */
  requests: ScoredRequest[];
  /** By user, in the order of the holdings. */
  byUser: Map<string, SymbolDecision[]>;
}

/** The configured rules, in the terms of the domain. */
export function decisionRules(config: Config): DecisionRules {
  return {
    ...freshnessRules(config),
    score: {
      priority_factors: config.portfolio.priority_factors,
      factor_scales: config.portfolio.factor_scales,
      priority_rules: config.jobs.priority_rules,
      portfolio_priority_boost: config.stock_jobs.portfolio_priority.portfolio_priority_boost,
    },
  };
}

type JobType = typeof fetchType.name | typeof analysisType.name;

/** The judgement of one symbol in a batch; the same for all users who hold it. */
interface SymbolFreshness {
  price: Judgement;
  analysis: Judgement;
  state: SymbolState | undefined;
  finding: string;
  /** The parts of its requests that do not depend on the user. */
  work: Record<JobType, Pick<JobRequest, 'type' | 'payload' | 'dedupeKey' | 'after'>>;
  /** The most urgent request so far (`priorityOf`). */
  mostUrgent: Record<JobType, number>;
}

/**
 * Judges each symbol once and scores it for each viewer. A price that is due is fetched. An analysis is made when it is due, or when its prices are fetched; then it
 * waits for them. `states` are those of all symbols held, absent where nothing was ever fetched.
 * Errors: `InputError('symbol.invalid')` for a holding that an import would refuse.
 */
export function decide(
  viewers: readonly Viewer[],
  states: ReadonlyMap<string, SymbolState>,
  now: Temporal.Instant,
  rules: DecisionRules,
  occasion: Occasion = LOGIN,
): Decisions {
  const momentOf = momentsAt(now);
  const judged = new Map<string, SymbolFreshness>();
  const fetches: ScoredRequest[] = [];
  const analyses: ScoredRequest[] = [];
  const byUser = new Map<string, SymbolDecision[]>();
  for (const viewer of viewers) {
    const decisions = viewer.holdings.map((holding): SymbolDecision => {
      const { symbol } = holding;
      let known = judged.get(symbol);
      if (known === undefined) {
        requireSpelling(symbol, viewer.user);
        known = judge(symbol, states.get(symbol), momentOf(symbol), rules);
        judged.set(symbol, known);
      }
      const { price, analysis, finding } = known;
      const state = price.failure !== undefined && !price.due ? 'unknown' : price.state;
      const decision: SymbolDecision = { symbol, state, finding };
      if (price.due) decision.fetch = fetches.push(request('fetch', viewer, holding, known, rules.score, occasion)) - 1;
      if (price.due || analysis.due)
        decision.analysis = analyses.push(request('analysis', viewer, holding, known, rules.score, occasion)) - 1;
      return decision;
    });
    byUser.set(viewer.user, decisions);
  }
  for (const decisions of byUser.values())
    for (const decision of decisions) if (decision.analysis !== undefined) decision.analysis += fetches.length;
  return { requests: [...fetches, ...analyses], byUser };
}

function judge(symbol: string, state: SymbolState | undefined, moment: Moment, rules: DecisionRules): SymbolFreshness {
  const newestBarDate = state?.newestBar ?? undefined;
  const price = judgeState(symbol, state, moment, rules.thresholds);
  const analysis = judgeAnalysis(
    { computedAtMs: state?.analysedAt?.getTime(), barDate: state?.analysedBar ?? undefined, newestBarDate, price },
    moment,
    rules.analysisTtlHours,
  );
  const payload = { symbol };
  return {
    price,
    analysis,
    state,
    finding: `price ${price.state}: ${price.reason}; analysis ${analysis.state}: ${analysis.reason}`,
    work: {
      fetch: { type: fetchType.name, payload, dedupeKey: fetchKey(symbol) },
      analysis: { type: analysisType.name, payload, dedupeKey: analysisKey(symbol), after: [fetchKey(symbol)] },
    },
    mostUrgent: { fetch: Number.POSITIVE_INFINITY, analysis: Number.POSITIVE_INFINITY },
  };
}

function request(
  type: JobType,
  viewer: Viewer,
  holding: Holding,
  judged: SymbolFreshness,
  config: ScoreConfig,
  occasion: Occasion,
): ScoredRequest {
  const { state } = judged;
  const freshness = type === 'fetch' ? judged.price : judged.analysis;
  const input: ScoreInput = {
    cause: occasion[type],
    decayedLogins: viewer.logins,
    marketValue: marketValue(holding, state),
    freshness,
    volatility: state?.volatility ?? null,
    portfolioAnalysis: type === 'analysis',
  };
  const { reason: text, ...why } = scoreFactors(input, config);
  const { user_activity, portfolio_value, data_age, market_volatility } = why.factors;
  const { payload, dedupeKey, after } = judged.work[type];
  // A job keeps the reasons of the most urgent request for it. All the factors of all others, 40,000 in a burst, would be most of what the garbage collector moves.
  const urgency = priorityOf(why.priority, why.score);
  const isMostUrgent = urgency < judged.mostUrgent[type];
  if (isMostUrgent) judged.mostUrgent[type] = urgency;
  return {
    type,
    symbol: holding.symbol,
    payload,
    level: why.priority,
    score: why.score,
    why: isMostUrgent ? { text, freshness: freshness.reason, ...why } : { text },
    points: [user_activity.points, portfolio_value.points, data_age.points, market_volatility.points],
    triggeredBy: occasion.triggeredBy,
    user: viewer.user,
    dedupeKey,
    after,
    whenFull: occasion.whenFull,
  };
}

/**
 * In dollars: the newest close, or what a share cost while there is none; null when neither is known. Other currencies are unknown too, since there are no rates.
 * A short position counts like a long one.
 */
function marketValue({ quantity, cost }: Holding, state: SymbolState | undefined): number | null {
  if (quantity === 0) return 0;
  if (state?.currency != null && state.currency !== 'USD') return null;
  const price = state?.close ?? cost;
  return price === null ? null : Math.abs(quantity) * price;
}

function requireSpelling(symbol: string, user: string): void {
  let fault: string | undefined;
  try {
    const spelling = parseSymbol(symbol);
    if (spelling !== symbol) fault = `it is spelled ${spelling}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    fault = error.message;
  }
  if (fault !== undefined)
    throw new InputError(
      'symbol.invalid',
      `user ${JSON.stringify(user)} holds ${JSON.stringify(symbol)}: ${fault}; correct it and import the portfolio again`,
    );
}
