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

/** What a score comes to. */
export interface Weighed {
  /** Weight × value of each factor, in the order of `FACTORS`. */
  points: number[];
  score: number;
  priority: number;
  boost: number;
}

/**
 * Scores one job. The priority is the cause's base, moved towards the end of its band the lower the score is, and for the analysis of a
 * portfolio symbol up again by the boost, never out of the band.
 * @throws ConfigError `config.weights_sum`
 */
export function scoreFactors(input: ScoreInput, config: ScoreConfig): Why {
  const weights = config.priority_factors;
  const values = valuesOf(input, config);
  const weighed = weigh(input, config);
  const { score, boost, priority, points } = weighed;
  const factor = (at: number): Factor => ({ value: values[at]!, weight: weights[FACTORS[at]!], points: points[at]! });
  const factors = { user_activity: factor(0), portfolio_value: factor(1), data_age: factor(2), market_volatility: factor(3) };
  const { cause } = input;
  const base = basePriority(cause, config);
  return { factors, score, cause, base, band: bandOf(base), boost, priority, reason: reasonOf(input, weighed, config) };
}

/** The numbers of `scoreFactors` alone. A burst of 10,000 logins takes 800,000 of them: as little as possible is allocated here and in `reasonOf`. */
export function weigh(input: ScoreInput, config: ScoreConfig): Weighed {
  const weights = config.priority_factors;
  requireWholeWeights(weights);
  const points = valuesOf(input, config);
  for (let at = 0; at < FACTORS.length; at++) points[at] = tidy(weights[FACTORS[at]!] * points[at]!);
  const score = Math.min(1, tidy(points[0]! + points[1]! + points[2]! + points[3]!));
  const base = basePriority(input.cause, config);
  const band = bandOf(base);
  const unboosted = clamp(Math.round(base + (1 - score) * (band.to - base)), band);
  const priority = input.portfolioAnalysis ? clamp(unboosted - config.portfolio_priority_boost, band) : unboosted;
  return { points, score, priority, boost: unboosted - priority };
}

/** 0 … 1 each, in the order of `FACTORS`. */
function valuesOf({ decayedLogins, marketValue, freshness, volatility }: ScoreInput, config: ScoreConfig): number[] {
  return [
    share(decayedLogins / config.factor_scales.activity_saturation),
    valueFactor(marketValue, config),
    ageFactor(freshness),
    volatilityFactor(volatility, config),
  ];
}

/** The configured priority of a cause, before any score. */
export function basePriority(cause: Cause, config: Pick<ScoreConfig, 'priority_rules'>): number {
  return config.priority_rules[cause];
}

const bands = new Map<number, Band>();

/** The band that holds a level: 1-3 foreground, 4-6 background fetch, 7-10 background analysis. */
export function bandOf(level: number): Band {
  return bands.getOrInsertComputed(level, () => {
    const queue = queueOfLevel(level);
    const next = QUEUES[QUEUES.indexOf(queue) + 1];
    return { queue, from: bandStart(queue), to: next === undefined ? LOWEST_LEVEL : bandStart(next) - 1 };
  });
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

/** One line for people. Joined and not a template, which V8 keeps as a tree of its parts. */
export function reasonOf(
  { cause, freshness }: Pick<ScoreInput, 'cause' | 'freshness'>,
  { points, score, priority, boost }: Weighed,
  config: Pick<ScoreConfig, 'priority_rules'>,
): string {
  const { from, to } = bandOf(basePriority(cause, config));
  const parts = [`${cause}, data ${freshness.state}: priority ${priority} of ${from}-${to}`];
  if (boost > 0) parts.push(`, ${boost} up for a portfolio symbol`);
  parts.push('; score ', hundredth(Math.round(score * 100)));
  // Hundredths, each the step of the rounded running total: the parts that are shown add up to the score that is shown.
  let exact = 0;
  let shown = 0;
  for (let at = 0; at < FACTORS.length; at++) {
    exact += points[at]!;
    const total = Math.round(Math.min(1, exact) * 100);
    parts.push(at === 0 ? ' = ' : ' + ', hundredth(total - shown), SHORT[at]!);
    shown = total;
  }
  return parts.join('');
}

/** The factors' names in a sentence, in the order of `FACTORS`. */
const SHORT = [' activity', ' value', ' data age', ' volatility'];
const HUNDREDTHS = Array.from({ length: 101 }, (_, count) => (count / 100).toFixed(2));

function hundredth(count: number): string {
  return HUNDREDTHS[Math.min(count, 100)]!;
}
