/** The numbers of the screen that are set by judgement, none of them fitted to returns. The defaults stand here once. */
import { PermanentError } from '../platform/errors.ts';
import type { Profile, RiskTolerance } from './profile.ts';

/** What a total is made of, in the order in which ties between reasons are broken. */
export const FACTORS = ['momentum', 'trend', 'low_volatility', 'low_drawdown', 'quality', 'value', 'income'] as const;
export type Factor = (typeof FACTORS)[number];

/** Whole numbers that add up to 100. */
export type Weights = Readonly<Record<Factor, number>>;

type ByRisk<T> = Readonly<Record<RiskTolerance, T>>;

/** Shares are fractions (0.2 = 20 %); scores, percentiles and weights are 0 to 100; prices and volumes are US dollars. */
export interface PickRules {
  weights: ByRisk<Weights>;
  /** Weight that goes from momentum to income for the goal `extra_income`. */
  extra_income_shift: number;
  /** A sector of so many symbols and the whole universe have equal say in a fundamental score. */
  sector_shrinkage: number;
  /** Below this sum of the weights that were measured a symbol is out. */
  least_coverage: number;
  least_price: number;
  /** The least median of close × volume a day. */
  least_dollar_volume: ByRisk<number>;
  /** The same is multiplied by this when the money is needed within a year. */
  short_timeline_factor: number;
  /** Percentiles of volatility, both ends inclusive. They are relative: a fixed band is empty in a crisis. */
  volatility_band: ByRisk<readonly [number, number]>;
  /** A symbol that is a larger share of the portfolio is not picked. */
  most_held: number;
  picks: number;
  /** With fewer there is no report. */
  least_picks: number;
  /** Share of the picks that comes from the user's sectors. */
  interests_share: number;
  sector_cap: number;
  most_correlated: number;
  /** Where too few are left. The cap of a sector falls away altogether. */
  relaxed: Readonly<{ most_correlated: number; volatility_band: number }>;
  /** Labels by yearly volatility or deepest fall, whichever is worse. */
  risk_levels: Readonly<Record<'medium' | 'high', Readonly<{ sigma: number; drawdown: number }>>>;
  /** With fewer eligible symbols the report says that its universe is small. */
  small_universe: number;
}

const weights = (...values: readonly [number, number, number, number, number, number, number]): Weights =>
  Object.fromEntries(FACTORS.map((factor, index) => [factor, values[index]!])) as Record<Factor, number>;

export const DEFAULT_RULES: PickRules = {
  weights: {
    conservative: weights(10, 10, 25, 15, 20, 10, 10),
    moderate: weights(25, 10, 15, 10, 20, 20, 0),
    aggressive: weights(40, 15, 0, 5, 20, 20, 0),
  },
  extra_income_shift: 10,
  sector_shrinkage: 10,
  least_coverage: 45,
  least_price: 5,
  least_dollar_volume: { conservative: 25e6, moderate: 10e6, aggressive: 5e6 },
  short_timeline_factor: 2,
  volatility_band: { conservative: [0, 50], moderate: [0, 85], aggressive: [15, 100] },
  most_held: 0.2,
  picks: 6,
  least_picks: 3,
  interests_share: 0.6,
  sector_cap: 2,
  most_correlated: 0.8,
  relaxed: { most_correlated: 0.9, volatility_band: 20 },
  // Borders of the market-risk classes 4 and 5, 5 and 6 of PRIIPs by volatility: Regulation (EU) 2017/653, Annex II.
  risk_levels: { medium: { sigma: 0.2, drawdown: 0.35 }, high: { sigma: 0.3, drawdown: 0.5 } },
  small_universe: 50,
};

/** The weights for a profile. Throws `PermanentError('picks.bad_weights')` when the rules' weights are not whole numbers of 0 or more that add up to 100. */
export function weightsFor(profile: Pick<Profile, 'risk_tolerance' | 'goals'>, rules: PickRules): Weights {
  const base = rules.weights[profile.risk_tolerance];
  const values = FACTORS.map((factor) => base[factor]);
  const sum = values.reduce((total, weight) => total + weight, 0);
  if (sum !== 100 || values.some((weight) => !Number.isInteger(weight) || weight < 0)) {
    throw new PermanentError(
      'picks.bad_weights',
      `the weights of picks for ${profile.risk_tolerance} are ${values.join(', ')} and add up to ${sum}; give whole numbers of 0 or more that add up to 100`,
    );
  }
  if (!profile.goals.includes('extra_income')) return base;
  const shift = Math.min(rules.extra_income_shift, base.momentum);
  return { ...base, momentum: base.momentum - shift, income: base.income + shift };
}

export type RiskLevel = 'low' | 'medium' | 'high';

/** An absolute label, which stays honest in a crisis. `sigma`: yearly volatility, `drawdown`: deepest fall within a year, both as fractions. */
export function riskLevelOf(sigma: number, drawdown: number, { risk_levels }: Pick<PickRules, 'risk_levels'>): RiskLevel {
  const reaches = (level: 'medium' | 'high') => sigma >= risk_levels[level].sigma || drawdown >= risk_levels[level].drawdown;
  return reaches('high') ? 'high' : reaches('medium') ? 'medium' : 'low';
}
