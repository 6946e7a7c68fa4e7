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
import { currencyOf, rateSymbols, toBase } from '../market/portfolios/base-currency.ts';
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
  /** Holdings count with their value in it. */
  baseCurrency: string;
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
  /** Not a holding: a rate that the value of one needs. It stands here only when it is fetched. */
  rate?: true;
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
    baseCurrency: config.portfolio.base_currency,
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
 * waits for them. The rates that the values of the holdings need are fetched when they are due. `states` are those of all symbols held and of these rates, absent
 * where nothing was ever fetched.
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
  const judgedOf = (symbol: string, user: string): SymbolFreshness => {
    let known = judged.get(symbol);
    if (known === undefined) {
      requireSpelling(symbol, user);
      known = judge(symbol, states.get(symbol), momentOf(symbol), rules);
      judged.set(symbol, known);
    }
    return known;
  };
  const rateOf = (rate: string): number | null | undefined => states.get(rate)?.close;
  for (const viewer of viewers) {
    const asked: Asking = { viewer, rules, occasion };
    const decisions = viewer.holdings.map((holding): SymbolDecision => {
      const { symbol } = holding;
      const known = judgedOf(symbol, viewer.user);
      const { price, analysis, finding } = known;
      const state = price.failure !== undefined && !price.due ? 'unknown' : price.state;
      const decision: SymbolDecision = { symbol, state, finding };
      if (!price.due && !analysis.due) return decision;
      const value = marketValue(holding, known.state, rules.baseCurrency, rateOf);
      if (price.due) decision.fetch = fetches.push(request('fetch', symbol, value, known, asked)) - 1;
      decision.analysis = analyses.push(request('analysis', symbol, value, known, asked)) - 1;
      return decision;
    });
    for (const rate of ratesOf(viewer, states, rules.baseCurrency)) {
      const known = judgedOf(rate, viewer.user);
      const { price, finding } = known;
      // Its own value says nothing: what depends on it is unknown without it.
      if (price.due)
        decisions.push({
          symbol: rate,
          rate: true,
          state: price.state,
          finding,
          fetch: fetches.push(request('fetch', rate, null, known, asked)) - 1,
        });
    }
    byUser.set(viewer.user, decisions);
  }
  for (const decisions of byUser.values())
    for (const decision of decisions) if (decision.analysis !== undefined) decision.analysis += fetches.length;
  return { requests: [...fetches, ...analyses], byUser };
}

/** The rates that the values of a user's holdings need, but for those that the user holds. */
function ratesOf({ holdings }: Viewer, states: ReadonlyMap<string, SymbolState>, base: string): string[] {
  const valued = holdings.filter(({ quantity }) => quantity !== 0);
  const needed = rateSymbols(
    valued.map(({ symbol }) => ({ symbol, currency: states.get(symbol)?.currency ?? null })),
    base,
  );
  return needed.length === 0 ? needed : needed.filter((rate) => holdings.every(({ symbol }) => symbol !== rate));
}

/** The parts of a request that are the same for all symbols of a user. */
interface Asking {
  viewer: Viewer;
  rules: DecisionRules;
  occasion: Occasion;
}

/** Whether the price and the analysis of a symbol are due at `moment`, which is that of its exchange. */
export function judge(
  symbol: string,
  state: SymbolState | undefined,
  moment: Moment,
  rules: Pick<DecisionRules, 'thresholds' | 'analysisTtlHours'>,
): SymbolFreshness {
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

/** `marketValue`: of the holding, in the base currency; null when unknown. */
function request(
  type: JobType,
  symbol: string,
  marketValue: number | null,
  judged: SymbolFreshness,
  { viewer, rules, occasion }: Asking,
): ScoredRequest {
  const { state } = judged;
  const freshness = type === 'fetch' ? judged.price : judged.analysis;
  const input: ScoreInput = {
    cause: occasion[type],
    decayedLogins: viewer.logins,
    marketValue,
    freshness,
    volatility: state?.volatility ?? null,
    portfolioAnalysis: type === 'analysis',
  };
  const { reason: text, ...why } = scoreFactors(input, rules.score);
  const { user_activity, portfolio_value, data_age, market_volatility } = why.factors;
  const { payload, dedupeKey, after } = judged.work[type];
  // A job keeps the reasons of the most urgent request for it. All the factors of all others, 40,000 in a burst, would be most of what the garbage collector moves.
  const urgency = priorityOf(why.priority, why.score);
  const isMostUrgent = urgency < judged.mostUrgent[type];
  if (isMostUrgent) judged.mostUrgent[type] = urgency;
  return {
    type,
    symbol,
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
 * In the base currency: the newest close, or what a share cost while there is none; null when neither is known, or the rate. A short position counts like a long one.
 */
function marketValue(
  { symbol, quantity, cost }: Holding,
  state: SymbolState | undefined,
  base: string,
  rateOf: (rateSymbol: string) => number | null | undefined,
): number | null {
  if (quantity === 0) return 0;
  const price = state?.close ?? cost;
  return toBase(price === null ? null : Math.abs(quantity) * price, currencyOf(symbol, state?.currency), base, rateOf);
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
