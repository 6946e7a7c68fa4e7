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
import { currencyOf, rateSymbolOf, toBase } from '../market/portfolios/base-currency.ts';
import type { Holding } from '../market/portfolios/holdings.ts';
import { parseSymbol } from '../market/symbol.ts';
import type { Config } from '../platform/config/load.ts';
import { InputError } from '../platform/errors.ts';
import { type Cause, reasonOf, type ScoreConfig, type ScoreInput, scoreFactors, weigh } from './score.ts';

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

/** The request for a job, as its most urgent viewer makes it; the others stand in `alsoFor`. */
export interface ScoredRequest extends JobRequest {
  symbol: string;
  why: { text: string; [more: string]: unknown };
  /** Weight × value of each factor, in the order of `FACTORS`. */
  points: readonly number[];
  alsoFor: string[];
}

/** What one viewer asks for: the job, and how urgent it is to this viewer. */
export interface Asked extends Pick<ScoredRequest, 'level' | 'score' | 'points'> {
  /** Index in `requests`. */
  at: number;
  /** The reason of the priority. */
  text: string;
}

export interface SymbolDecision {
  symbol: string;
  /** Not a holding: a rate that the value of one needs. It stands here only when it is fetched. */
  rate?: true;
  /** Neither when nothing is due. */
  fetch?: Asked | undefined;
  analysis?: Asked | undefined;
  /** The state of the price; `unknown` in the pause after a failure. */
  state: FreshnessState | 'unknown';
  /** The state of price and analysis with the reasons, one line for people. */
  finding: string;
}

export interface Decisions {
  /** Judges and scores the symbols of one more viewer. Errors: `InputError('symbol.invalid')` for a holding that an import would refuse. */
  add(viewer: Viewer): void;
  /** One a job. All fetches, then all analyses: every batch locks in the same order. */
  requests(): ScoredRequest[];
  /**
   * What was decided for one of the viewers, in the order of the holdings; when all are added. Reckoned anew when it is told, with all its texts: kept for a whole burst while
   * the database works, they were a third of what the service's processor does.
   */
  of(viewer: Viewer): SymbolDecision[];
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
  /** Of its prices; null when unknown. */
  currency: string | null;
  /** The rate that its value needs. */
  rate: string | undefined;
  /** Where its requests stand. */
  asked: Partial<Record<JobType, number>>;
}

/**
 * Judges each symbol once and scores it for each viewer. A price that is due is fetched. An analysis is made when it is due, or when its prices are fetched; then it
 * waits for them. The rates that the values of the holdings need are fetched when they are due. `states` are those of all symbols held and of these rates, absent
 * where nothing was ever fetched.
 */
export function startDeciding(
  states: ReadonlyMap<string, SymbolState>,
  now: Temporal.Instant,
  rules: DecisionRules,
  occasion: Occasion = LOGIN,
): Decisions {
  const momentOf = momentsAt(now);
  const judged = new Map<string, SymbolFreshness>();
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
  const { fetch, analysis }: Record<JobType, ScoredRequest[]> = { fetch: [], analysis: [] };
  const wishOf = (type: JobType, symbol: string, marketValue: number | null, judgement: SymbolFreshness, viewer: Viewer): Wish => ({
    ...{ type, symbol, user: viewer.user, judgement },
    input: {
      cause: occasion[type],
      decayedLogins: viewer.logins,
      marketValue,
      freshness: type === 'fetch' ? judgement.price : judgement.analysis,
      volatility: judgement.state?.volatility ?? null,
      portfolioAnalysis: type === 'analysis',
    },
  });

  function decideFor(viewer: Viewer, ask: (wish: Wish) => Asked | undefined): SymbolDecision[] {
    const rates = new Set<string>();
    const decisions = viewer.holdings.map((holding): SymbolDecision => {
      const { symbol } = holding;
      const known = judgedOf(symbol, viewer.user);
      const { price, analysis, finding } = known;
      if (known.rate !== undefined && holding.quantity !== 0) rates.add(known.rate);
      const state = price.failure !== undefined && !price.due ? 'unknown' : price.state;
      if (!price.due && !analysis.due) return { symbol, state, finding };
      const value = marketValue(holding, known, rules.baseCurrency, rateOf);
      const fetch = price.due ? ask(wishOf('fetch', symbol, value, known, viewer)) : undefined;
      return { symbol, state, finding, fetch, analysis: ask(wishOf('analysis', symbol, value, known, viewer)) };
    });
    for (const { symbol } of rates.size === 0 ? [] : viewer.holdings) rates.delete(symbol);
    for (const rate of [...rates].sort()) {
      const known = judgedOf(rate, viewer.user);
      const { price, finding } = known;
      // Its own value says nothing: what depends on it is unknown without it.
      if (price.due)
        decisions.push({ symbol: rate, rate: true, state: price.state, finding, fetch: ask(wishOf('fetch', rate, null, known, viewer)) });
    }
    return decisions;
  }

  return {
    add(viewer) {
      decideFor(viewer, (wish) => request(wish, wish.type === 'fetch' ? fetch : analysis, rules, occasion));
    },
    requests: () => [...fetch, ...analysis],
    of: (viewer) => decideFor(viewer, (wish) => askedOf(wish, wish.type === 'fetch' ? 0 : fetch.length, rules)),
  };
}

/** One viewer's need of one job. */
interface Wish {
  type: JobType;
  symbol: string;
  user: string;
  judgement: SymbolFreshness;
  input: ScoreInput & { freshness: Judgement };
}

/** Whether the price and the analysis of a symbol are due at `moment`, which is that of its exchange. */
export function judge(
  symbol: string,
  state: SymbolState | undefined,
  moment: Moment,
  rules: Pick<DecisionRules, 'thresholds' | 'analysisTtlHours' | 'baseCurrency'>,
): SymbolFreshness {
  const newestBarDate = state?.newestBar ?? undefined;
  const price = judgeState(symbol, state, moment, rules.thresholds);
  const analysis = judgeAnalysis(
    { computedAtMs: state?.analysedAt?.getTime(), barDate: state?.analysedBar ?? undefined, newestBarDate, price },
    moment,
    rules.analysisTtlHours,
  );
  const currency = currencyOf(symbol, state?.currency);
  return {
    price,
    analysis,
    state,
    finding: `price ${price.state}: ${price.reason}; analysis ${analysis.state}: ${analysis.reason}`,
    currency,
    rate: rateSymbolOf(currency, rules.baseCurrency),
    asked: {},
  };
}

/** The parts of a request that do not depend on the viewer. */
const workOf = (type: JobType, symbol: string): Pick<JobRequest, 'type' | 'payload' | 'dedupeKey' | 'after'> =>
  type === 'fetch'
    ? { type: fetchType.name, payload: { symbol }, dedupeKey: fetchKey(symbol) }
    : { type: analysisType.name, payload: { symbol }, dedupeKey: analysisKey(symbol), after: [fetchKey(symbol)] };

/** Makes the request for a job, or joins it. The most urgent viewer gives it the priority and the reasons. */
function request(
  { type, symbol, user, judgement, input }: Wish,
  requests: ScoredRequest[],
  rules: DecisionRules,
  occasion: Occasion,
): undefined {
  const at = judgement.asked[type] ?? requests.length;
  const before = requests[at];
  const { priority, score, points } = weigh(input, rules.score);
  if (before !== undefined && priorityOf(priority, score) >= priorityOf(before.level, before.score)) {
    before.alsoFor.push(user);
    return;
  }
  judgement.asked[type] = at;
  const { reason: text, ...why } = scoreFactors(input, rules.score);
  const alsoFor = before?.alsoFor ?? [];
  if (before?.user !== undefined) alsoFor.push(before.user);
  requests[at] = {
    ...(before ?? { ...workOf(type, symbol), symbol, triggeredBy: occasion.triggeredBy, whenFull: occasion.whenFull }),
    ...{ level: priority, score, points, user, alsoFor },
    why: { text, freshness: input.freshness.reason, ...why },
  };
}

function askedOf({ type, judgement, input }: Wish, first: number, rules: DecisionRules): Asked {
  const weighed = weigh(input, rules.score);
  const { priority, score, points } = weighed;
  return { at: first + (judgement.asked[type] as number), level: priority, score, points, text: reasonOf(input, weighed, rules.score) };
}

/**
 * In the base currency: the newest close, or what a share cost while there is none; null when neither is known, or the rate. A short position counts like a long one.
 */
function marketValue(
  { quantity, cost }: Holding,
  { state, currency }: SymbolFreshness,
  base: string,
  rateOf: (rateSymbol: string) => number | null | undefined,
): number | null {
  if (quantity === 0) return 0;
  const price = state?.close ?? cost;
  return toBase(price === null ? null : Math.abs(quantity) * price, currency, base, rateOf);
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
