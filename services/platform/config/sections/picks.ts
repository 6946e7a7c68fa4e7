import { z } from 'zod';
import { because, count, listOf, secret, share, text } from '../fields.ts';

const FACTORS = ['momentum', 'trend', 'low_volatility', 'low_drawdown', 'quality', 'value', 'income'] as const;

const symbol = () => z.string().regex(/^([A-Z0-9.=^_&-]{1,32}|[A-Z]{1,5}\/[A-Z])$/, 'must be a symbol in capital letters, such as AAPL');

const weights = z
  .strictObject(Object.fromEntries(FACTORS.map((name) => [name, count(0, 100)])) as Record<(typeof FACTORS)[number], z.ZodNumber>)
  .check(({ value, issues }) => {
    const sum = Object.values(value).reduce((total, weight) => total + weight, 0);
    if (sum === 100) return;
    const message = `the weights must add up to 100, these add up to ${sum}`;
    issues.push({ code: 'custom', input: value, ...because('config.weights_sum', message) });
  });

const dollars = () => z.number().min(0);
const percentile = () => z.number().min(0).max(100);
const band = z
  .strictObject({ from: percentile(), to: percentile() })
  .refine(({ from, to }) => from <= to, because('config.out_of_range', 'from must not be above to'));

/** The same for each risk tolerance of a profile. */
const byRisk = <Value extends z.ZodType>(value: Value) => z.strictObject({ conservative: value, moderate: value, aggressive: value });
const riskLevel = z.strictObject({ sigma: z.number().min(0), drawdown: share() });

const rules = z.strictObject({
  weights: byRisk(weights),
  extra_income_shift: count(0, 100),
  sector_shrinkage: z.number().min(0),
  least_coverage: count(0, 100),
  least_price: dollars(),
  least_dollar_volume: byRisk(dollars()),
  short_timeline_factor: z.number().min(1),
  volatility_band: byRisk(band),
  most_held: share(),
  picks: count(3, 6),
  least_picks: count(3, 6),
  interests_share: share(),
  sector_cap: count(1),
  most_correlated: share(),
  relaxed: z.strictObject({ most_correlated: share(), volatility_band: percentile() }),
  risk_levels: z.strictObject({ medium: riskLevel, high: riskLevel }),
  small_universe: count(0),
});

/** Weekly stock picks. The keys are documented in `config/default.yaml`. */
export const picks = z
  .strictObject({
    generation: z.boolean(),
    universe: z.strictObject({
      lists: z
        .array(z.strictObject({ name: text(), symbols: listOf(symbol()) }))
        .refine(
          (all) => new Set(all.map(({ name }) => name)).size === all.length,
          because('config.duplicate_value', 'two lists have the same name'),
        ),
      index: symbol(),
      held_and_watched: z.boolean(),
      most_fetched: count(0, 10_000),
    }),
    rules,
    research: z.enum(['facts', 'web']),
    share_reports: z.boolean(),
    audience: z.enum(['self', 'others']),
    disclosure: z.strictObject({ operator: text(), method_url: text(), interests: text().nullable() }),
    cron_secret: secret(),
  })
  .refine(({ audience, disclosure }) => audience !== 'others' || disclosure.interests !== null, {
    path: ['disclosure', 'interests'],
    ...because(
      'config.missing_value',
      'picks.audience is others: say what the operator holds or earns that readers should know, or that it is nothing',
    ),
  });
