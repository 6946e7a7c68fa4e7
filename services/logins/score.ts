import { bandStart, LOWEST_LEVEL, QUEUES, type Queue, queueOfLevel } from '../ledger/job.ts';
import type { Judgement } from '../market/freshness/freshness.ts';
import { ConfigError } from '../platform/errors.ts';
import type { Cause } from '../platform/job-causes.ts';

/** What made a job necessary; each has a base priority in the configuration. */
export type { Cause };

export const FACTORS = ['user_activity', 'portfolio_value', 'data_age', 'market_volatility'] as const;
export type FactorName = (typeof FACTORS)[number];

/** The parts of the configuration that scoring needs, in the configuration's own names. */
export interface ScoreConfig {
  /** Weights; they add up to 1. */
  priority_factors: Record<FactorName, number>;
  factor_scales: {
    activity_half_life_days: number;
    /** Decayed logins that count as fully active. */
    activity_saturation: number;
    /** Market value of a holding, in the base currency: 0 at the floor, 1 at the ceiling. */
    value_floor: number;
    value_ceiling: number;
    /** Annualised, 0.25 = 25 %: 0 at the floor, 1 at the ceiling. */
    volatility_floor: number;
    volatility_ceiling: number;
  };
  priority_rules: Record<Cause, number>;
  /** Levels by which the analysis of a portfolio symbol moves up inside its band. */
  portfolio_priority_boost: number;
}

export interface ScoreInput {
  cause: Cause;
  /** The user's logins, decayed to this moment (`decay`). */
  decayedLogins: number;
  /** Market value of the holding in the base currency; null when unknown, 0 for a symbol that is only watched. */
  marketValue: number | null;
  /** The judgement of what the job renews. */
  freshness: Pick<Judgement, 'state' | 'ageMinutes' | 'thresholdMinutes'>;
  /** 20-day realised volatility, annualised; null when unknown. */
  volatility: number | null;
  /** True for the analysis of a symbol that somebody holds or watches. */
  portfolioAnalysis?: boolean | undefined;
}

/** One factor: `points` = `weight` × `value`, to twelve decimals; all 0 to 1. */
export type Factor = { value: number; weight: number; points: number };

/** A band of priority levels, both ends inclusive. */
export type Band = { queue: Queue; from: number; to: number };

/** A job's priority with all that led to it. A type and not an interface: it travels as JSON beside the job. */
export type Why = {
  factors: Record<FactorName, Factor>;
  /** Σ points, 0 to 1. */
  score: number;
  cause: Cause;
  /** The cause's priority before the score moved it. */
  base: number;
  band: Band;
  /** Levels gained by the boost; 0 without one. */
  boost: number;
  /** 1 (most urgent) to 10. */
  priority: number;
  /** One line for people; its parts add up. */
  reason: string;
};

const DAY_MS = 86_400_000;
const WEIGHT_TOLERANCE = 1e-9;
const UNKNOWN_VOLATILITY = 0.5;
/** An unknown price or rate makes nobody poor. */
const UNKNOWN_VALUE = 0.5;

/**
 * A count of events, kept as one number, as it stands at `nowMs`: count × 2^(-days since `lastMs` / half-life). An event updates it to
 * `decay(…) + 1` at its own time. An event older than `lastMs` (delivered late) decays nothing.
 */
export function decay(count: number, lastMs: number, nowMs: number, halfLifeDays: number): number {
  return count * 2 ** (-Math.max(0, nowMs - lastMs) / (halfLifeDays * DAY_MS));
}

/**
 * Scores one job. The priority is the cause's base, moved towards the end of its band the lower the score is, and for the analysis of a
 * portfolio symbol up again by the boost, never out of the band.
 * @throws ConfigError `config.weights_sum`
 */
export function scoreFactors(input: ScoreInput, config: ScoreConfig): Why {
  const weights = config.priority_factors;
  requireWholeWeights(weights);
  const { cause } = input;
  const factor = (name: FactorName, value: number): Factor => ({ value, weight: weights[name], points: tidy(weights[name] * value) });
  const factors: Record<FactorName, Factor> = {
    user_activity: factor('user_activity', share(input.decayedLogins / config.factor_scales.activity_saturation)),
    portfolio_value: factor('portfolio_value', valueFactor(input.marketValue, config)),
    data_age: factor('data_age', ageFactor(input.freshness)),
    market_volatility: factor('market_volatility', volatilityFactor(input.volatility, config)),
  };
  const { user_activity, portfolio_value, data_age, market_volatility } = factors;
  const score = Math.min(1, tidy(user_activity.points + portfolio_value.points + data_age.points + market_volatility.points));

  const base = basePriority(cause, config);
  const band = bandOf(base);
  const unboosted = clamp(Math.round(base + (1 - score) * (band.to - base)), band);
  const priority = input.portfolioAnalysis ? clamp(unboosted - config.portfolio_priority_boost, band) : unboosted;
  const boost = unboosted - priority;
  return { factors, score, cause, base, band, boost, priority, reason: reasonOf(input, factors, score, priority, boost, band) };
}

/** The configured priority of a cause, before any score. */
export function basePriority(cause: Cause, config: Pick<ScoreConfig, 'priority_rules'>): number {
  return config.priority_rules[cause];
}

/** The band that holds a level: 1-3 foreground, 4-6 background fetch, 7-10 background analysis. */
export function bandOf(level: number): Band {
  const queue = queueOfLevel(level);
  const next = QUEUES[QUEUES.indexOf(queue) + 1];
  return { queue, from: bandStart(queue), to: next === undefined ? LOWEST_LEVEL : bandStart(next) - 1 };
}

function requireWholeWeights(weights: Record<FactorName, number>): void {
  const sum = weights.user_activity + weights.portfolio_value + weights.data_age + weights.market_volatility;
  if (Math.abs(sum - 1) <= WEIGHT_TOLERANCE) return;
  const terms = FACTORS.map((name) => `${name} ${weights[name]}`).join(' + ');
  throw new ConfigError(
    'config.weights_sum',
    `portfolio.priority_factors must add up to 1, these add up to ${Number(sum.toPrecision(12))}: ${terms}`,
  );
}

/** Logarithmic: a holding ten times as large is not ten times as urgent. */
function valueFactor(value: number | null, { factor_scales: { value_floor, value_ceiling } }: ScoreConfig): number {
  if (value === null) return UNKNOWN_VALUE;
  if (value <= value_floor) return 0;
  return share(Math.log(value / value_floor) / Math.log(value_ceiling / value_floor));
}

function ageFactor({ state, ageMinutes, thresholdMinutes }: ScoreInput['freshness']): number {
  if (state === 'missing' || ageMinutes === null || ageMinutes >= 2 * thresholdMinutes) return 1;
  return share(ageMinutes / (2 * thresholdMinutes));
}

function volatilityFactor(volatility: number | null, { factor_scales: { volatility_floor, volatility_ceiling } }: ScoreConfig): number {
  if (volatility === null) return UNKNOWN_VOLATILITY;
  return share((volatility - volatility_floor) / (volatility_ceiling - volatility_floor));
}

/** Into 0-1; not a number counts as 0, so that one odd row can not spoil an order. */
function share(value: number): number {
  return value > 0 ? Math.min(value, 1) : 0;
}

/** Twelve decimals: 0.4 + 0.3 + 0.2 + 0.1 is 1 to everybody who reads it, and keeps its order. */
function tidy(value: number): number {
  return Math.round(value * 1e12) / 1e12;
}

function clamp(level: number, { from, to }: Band): number {
  return Math.min(Math.max(level, from), to);
}

function reasonOf(
  { cause, freshness }: ScoreInput,
  factors: Why['factors'],
  score: number,
  priority: number,
  boost: number,
  band: Band,
): string {
  // Hundredths, each the step of the rounded running total: the parts that are shown add up to the score that is shown.
  let exact = 0;
  let shown = 0;
  const part = (name: FactorName): string => {
    exact += factors[name].points;
    const total = Math.round(Math.min(1, exact) * 100);
    const hundredths = total - shown;
    shown = total;
    return hundredth(hundredths);
  };
  const parts = `${part('user_activity')} activity + ${part('portfolio_value')} value + ${part('data_age')} data age + ${part('market_volatility')} volatility`;
  const boosted = boost > 0 ? `, ${boost} up for a portfolio symbol` : '';
  return `${cause}, data ${freshness.state}: priority ${priority} of ${band.from}-${band.to}${boosted}; score ${hundredth(Math.round(score * 100))} = ${parts}`;
}

function hundredth(count: number): string {
  return count >= 100 ? '1.00' : count < 10 ? `0.0${count}` : `0.${count}`;
}
