import { z } from 'zod';

const share = () => z.number().min(0).max(1);
const score = () => z.number().min(0).max(100);
const percent = () => z.number().min(0);
const positive = () => z.number().positive();

/** The purposes of a ranking. */
export const MODES = ['monitor', 'entry', 'exit'] as const;

/** Weights by name. @throws (as an issue of the key) `config.weights_sum` unless they add up to 1 */
function weights<Name extends string>(...names: Name[]) {
  const shape = Object.fromEntries(names.map((name) => [name, share()])) as Record<Name, z.ZodNumber>;
  return z.strictObject(shape).check(({ value, issues }) => {
    const named = Object.entries(value as Record<Name, number>) as [Name, number][];
    const sum = named.reduce((total, [, weight]) => total + weight, 0);
    if (Math.abs(sum - 1) <= 1e-9) return;
    const terms = named.map(([name, weight]) => `${name} ${weight}`).join(' + ');
    const message = `the weights must add up to 1, these add up to ${Number(sum.toPrecision(12))}: ${terms}`;
    issues.push({ code: 'custom', input: value, message, params: { code: 'config.weights_sum' } });
  });
}

/** The configurable rules of a ranking. Every key is required. */
export const rankingRules = z.strictObject({
  /** Contracts kept of each run. */
  top_n: z.number().int().min(1).max(10_000),
  /** Seconds after which a quote is too old to be ranked. */
  quote_age: positive(),
  /** Contracts: one with both fewer traded today and fewer open is illiquid, and not ranked. */
  eligibility: z.strictObject({ volume: percent(), open_interest: percent() }),
  /** A year, continuously compounded, 0.04 = 4 %. For implied volatilities and Greeks. */
  risk_free_rate: z
    .number()
    .min(-0.1)
    .refine((rate) => rate <= 0.5, {
      error: ({ input }) => `${input} a year is ${Number((100 * Number(input)).toPrecision(12))} %; write a rate as a share, 0.04 for 4 %`,
      params: { code: 'config.out_of_range' },
    }),
  /** Loss at which a position is stopped, as a share of its entry price, for positions without a stop of their own. */
  stop_loss: positive().max(1),
  modes: z.strictObject({
    monitor: weights('momentum', 'value', 'greeks'),
    entry: weights('entry_value', 'catalyst', 'greeks'),
    exit: weights('protection', 'deterioration', 'time_urgency'),
  }),
  parts: z.strictObject({
    momentum: weights('price_momentum', 'volume_oi', 'oi_growth'),
    value: weights('iv_rank', 'spread'),
    /** Theta is a penalty and not a share of the score: its weight counts in `data_quality` alone. The others are divided by their own sum, 0.95. */
    greeks: weights('delta', 'gamma', 'vega', 'theta'),
    entry_value: weights('iv_percentile', 'iv_discount', 'spread'),
    catalyst: weights('price_momentum', 'volume_surge', 'oi_growth'),
    profit_protection: weights('pnl', 'iv_expansion', 'target'),
    deterioration: weights('momentum_decay', 'volume_surge', 'oi_growth'),
    time_urgency: weights('dte', 'theta'),
  }),
  /** The delta that scores 100, by days to expiration. */
  delta_targets: z.strictObject({ over_45: share(), over_21: share(), over_7: share(), rest: share() }),
  /** Factors of the delta score by the trend of the underlying. */
  trend_factors: z.strictObject({ with: share(), neutral: share(), against: share() }),
  /** The largest theta penalty in points, by days to expiration. */
  theta_caps: z.strictObject({ over_45: score(), over_21: score(), rest: score() }),
  /** The values that score 100, or give full confidence. */
  scales: z.strictObject({
    /** Volume divided by open interest. */
    volume_oi: positive(),
    /** Change of delta when the underlying moves by 1 %. */
    gamma: positive(),
    /** Dollars a volatility point for 100 dollars of the underlying. */
    vega: positive(),
    /** Contracts traded in a day, contracts open, and dollars a share: full confidence. */
    volume: positive(),
    open_interest: positive(),
    price: positive(),
  }),
  signals: z.strictObject({
    discount: z.strictObject({ iv_rank_below: score(), momentum_over: score(), spread_below: percent() }),
    runner: z.strictObject({ momentum_over: score(), volume_over: percent(), volume_oi_over: percent(), spread_below: percent() }),
    greeks: z.strictObject({ delta_from: share(), delta_to: share(), gamma_over: percent(), spread_below: percent() }),
    buy: z.strictObject({ rank_over: score() }),
    close: z.strictObject({ rank_over: score() }),
    take_profit: z.strictObject({ gain_over: percent() }),
  }),
  /** The lowest rank of each band; below `fair` is weak. */
  bands: z
    .strictObject({ strong: score(), good: score(), fair: score() })
    .refine(({ strong, good, fair }) => strong > good && good > fair, {
      error: 'strong must be above good, and good above fair',
      params: { code: 'config.out_of_range' },
    }),
});

export type RankingRules = Readonly<z.infer<typeof rankingRules>>;
