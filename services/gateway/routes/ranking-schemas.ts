/** The queries and answers of rankings, with the unit of every field. */
import { z } from 'zod';
import { modeField } from '../../job-types/rank/definition.ts';
import { LIVE_STATES } from '../../ledger/job.ts';
import { REASONS } from '../../market/options/chain/eligibility.ts';
import { IV_SOURCES } from '../../market/options/pricing/greeks.ts';
import { SORTS } from '../../market/options/ranking/rank-columns.ts';
import { QUOTE_MARKS } from '../../market/options/ranking/ranked.ts';
import { BLOCKS, type BlockName } from '../../market/options/scoring/measure.ts';
import { MODES, PARTS, type PartName } from '../../market/options/scoring/parts.ts';
import { BANDS, SIGNALS } from '../../market/options/scoring/signals.ts';
import { PositionInput } from '../../market/options/store/positions.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { day, flag, instant, jobSummary, limit, state, userId } from '../http/schemas.ts';

export { modeField as mode };

/** As text: an empty one is no 0. */
const rankText = z
  .string()
  .regex(/^\d{1,3}(?:\.\d+)?$/, 'not a number from 0 to 100')
  .transform(Number)
  .refine((rank) => rank <= 100, 'not a number from 0 to 100');

const side = z.enum(['call', 'put']);
const signal = z.enum(SIGNALS);

/** The fields that the path of earlier clients takes too. */
export const olderQuery = {
  symbol: SymbolSchema,
  mode: modeField,
  side: side.optional(),
  expiry: day.optional().describe('Expiration, YYYY-MM-DD'),
  signal: signal.optional().describe('Only contracts with this signal'),
  sort: z
    .enum(Object.keys(SORTS) as [string, ...string[]])
    .optional()
    .describe("Best first, what is missing last; without it the run's own order. entry_rank and exit_rank only in their modes"),
  limit: limit(50, 500),
};
export const rankingQuery = z.strictObject({
  ...olderQuery,
  min_rank: rankText.optional().describe("Least rank of the mode's own, 0-100"),
  contract: PositionInput.shape.contract.optional().describe('Only this one: an OCC symbol such as AAPL140621C00500000'),
  user: userId.optional().describe('Exit mode: only the positions of this user'),
  cursor: z.string().max(60).optional().describe('`next` of the page before; goes on in the same run, also when a newer one was published'),
  why: flag.default(false).describe('Also how each rank came about: score × weight = points, adding up to the rank'),
});
export type RankingQuery = z.output<typeof rankingQuery>;

/** Answer to `POST /v1/rankings` for one symbol. */
export const submittedRanking = z
  .object({
    message: z.string(),
    symbol: z.string(),
    mode: z.enum(MODES),
    jobId: z.string(),
    state,
    outcome: z.enum(['queued', 'joined']).describe('joined: the same was asked for before; this is its job'),
    priority: z.int().describe('1 (most urgent) to 10'),
    queuePosition: z
      .int()
      .nullable()
      .describe('Jobs that are claimed before it; 0 for one that runs or has ended, null for one that starts later'),
    estimatedCompletionSeconds: z
      .number()
      .nullable()
      .describe(
        'By what was measured: jobs before it × median duration ÷ live worker slots, the fetch of its bars included; null when nothing was measured yet',
      ),
    statusUrl: z.string(),
    rankingUrl: z.string(),
  })
  .meta({ id: 'SubmittedRanking' });
export type SubmittedRanking = z.output<typeof submittedRanking>;
export const submittedRankings = z
  .object({
    rankings: z.array(submittedRanking).describe('In the order of the symbols, each once'),
    refused: z.array(z.object({ symbol: z.string(), code: z.string(), reason: z.string() })),
  })
  .meta({ id: 'SubmittedRankings' });

const MEASURED: Record<BlockName | PartName, string> = {
  spread_pct: 'Spread, % of the mid price',
  spread_score: '0-100',
  iv_rank: "Of the underlying: today's 30-day at-the-money volatility between the lowest and the highest of 252 days, 0-100",
  iv_percentile: 'Of the underlying: share of 252 days whose volatility was lower, 0-100',
  iv_discount_score:
    '0-100; 100: 20 % cheaper in volatility than its own mean, or than the smile of its expiration; drawn to 50 by little liquidity',
  price_change_pct: 'Change of the mid price over 5 trading days, %',
  price_momentum_score: '0-100',
  momentum_decay_score: '0-100; the change over 3 days against its share of that over 5',
  volume_surge_score: '0-100; 50 at the mean volume of 20 days',
  volume_oi_ratio: 'Volume ÷ open interest',
  volume_oi_score: '0-100',
  oi_growth_score: '0-100; 50 at an open interest as 5 trading days ago',
  liquidity_confidence:
    '0.1-1, how far volume, open interest and price are to be trusted; draws momentum_score and iv_discount_score to 50',
  delta_score: '0-100',
  gamma_1pct: 'Change of delta when the underlying moves by 1 %',
  gamma_score: '0-100',
  vega_score: '0-100',
  theta_pct: '|theta|, % of the mid price a calendar day',
  theta_penalty: 'Points that theta takes off greeks_score',
  pnl_pct: 'Profit of the position, % of its entry price',
  pnl_score: '0-100',
  iv_expansion_score: '0-100; 100: volatility 20 % higher than at the entry',
  target_score: '0-100, share of the way from the entry spot to the target',
  loss_protection: '0-100, share of the way to the stop',
  dte_score: '0-100, urgency by days to expiration',
  theta_score: '0-100, urgency by theta',
  momentum_score: 'Part, 0-100',
  value_score: 'Part, 0-100',
  greeks_score: 'Part, 0-100',
  entry_value_score: 'Part, 0-100',
  catalyst_score: 'Part, 0-100',
  profit_protection_score: '0-100; protection_score is the larger of this and loss_protection',
  protection_score: 'Part, 0-100',
  deterioration_score: 'Part, 0-100',
  time_urgency_score: 'Part, 0-100',
};

const nullableNumber = (about: string) => z.number().nullable().describe(about);
const measured = Object.fromEntries([...BLOCKS, ...PARTS].map((name) => [name, nullableNumber(MEASURED[name])])) as Record<
  BlockName | PartName,
  ReturnType<typeof nullableNumber>
>;

const whyLine = {
  column: z.string(),
  name: z.string(),
  score: z.number().describe('0-100; 100 minus the column where inverted'),
  inverted: z.boolean(),
  weight: z.number().describe('The one really used'),
  points: z.number().describe('score × weight'),
  text: z.string(),
};
const why = z.strictObject({
  column: z.string(),
  name: z.string(),
  rank: z.number().describe('The sum of all points'),
  band: z.enum(BANDS),
  parts: z.array(
    z.strictObject({
      ...whyLine,
      components: z.array(z.strictObject(whyLine)),
      step: z.string().nullable().describe("How the sum became the part's score, where it is not the score itself"),
    }),
  ),
  missing: z.array(z.string()),
  data_quality: z.number(),
  changes: z
    .strictObject({
      missing: z
        .array(z.strictObject({ column: z.string(), name: z.string(), weight: z.number() }))
        .describe('Not measured, with its share of the whole rank, 0-1: all of them and data_quality add up to 1'),
      largest: z
        .strictObject({ column: z.string(), name: z.string(), score: z.number(), gain: z.number() })
        .nullable()
        .describe('The measured part with the largest weight × (100 - score), which is `gain`; null where each has 100'),
      next_band: z
        .strictObject({ band: z.enum(BANDS), from: z.number(), lacks: z.number() })
        .nullable()
        .describe('The band above and the points to it; null in the highest'),
    })
    .describe('What would change the rank, by the rules of now'),
});

const rank = z.strictObject({
  place: z.int().describe('In its run, from 1; in exit mode a key of a user sees the place among the positions of that user'),
  ranking_mode: z.enum(MODES),
  run_at: instant,
  contract: z.string().describe('OCC symbol'),
  underlying: z.string(),
  side,
  expiration: z.string().describe('YYYY-MM-DD'),
  strike: z.number().describe('Dollars a share'),
  dte: z.int().describe('Calendar days to the expiration'),
  spot: nullableNumber('Price of the underlying, dollars a share'),
  bid: z.number().describe('Dollars a share'),
  ask: z.number().describe('Dollars a share'),
  mid: z.number().describe('(bid + ask) ÷ 2, dollars a share'),
  volume: nullableNumber('Contracts traded on the day'),
  open_interest: nullableNumber('Contracts'),
  quoted_at: instant,
  iv: z.number().describe('Implied volatility, annual, 0.25 is 25 %'),
  iv_source: z
    .enum(IV_SOURCES)
    .describe(
      'own: from its own quote; partner: from the out-of-the-money contract of its strike and expiration; smile: from the fitted smile of its expiration',
    ),
  delta: nullableNumber('Dollars for a dollar of the underlying, negative for puts'),
  gamma: nullableNumber('Change of delta for a dollar of the underlying'),
  theta: nullableNumber('Dollars a share and calendar day, negative when time costs'),
  vega: nullableNumber('Dollars a share for a volatility point (0.01)'),
  rho: nullableNumber('Dollars a share for a percentage point (0.01) of the interest rate'),
  marks: z
    .array(z.enum(QUOTE_MARKS))
    .describe('What is doubtful about the quote. bid_below_intrinsic: the bid is below the value of exercising the contract now'),
  position: z.string().nullable().describe('Exit mode: id of the position'),
  user_id: z.string().nullable().describe('Exit mode: whose position'),
  entry_price: nullableNumber('Exit mode: dollars a share'),
  stop_pct: nullableNumber('Exit mode: loss at which the position is stopped, %'),
  composite_rank: nullableNumber('0-100, what is worth watching: in every mode'),
  entry_rank: nullableNumber('0-100, in entry mode'),
  exit_rank: nullableNumber('0-100, in exit mode'),
  band: z.enum(BANDS).describe("Of the mode's own rank"),
  signals: z.array(signal),
  ...measured,
  missing: z.array(z.string()).describe("What of the mode's own rank was not measured: left out, never taken as 0"),
  weights: z
    .record(z.string(), z.record(z.string(), z.number()))
    .describe('The weights really used, by rank or part: Σ weight × part = rank'),
  data_quality: z.number().describe('0-1: share of the full weight that was measured'),
  why: why.optional(),
});

const KEPT_FROM_OTHERS = 'null for a caller who may see only the positions of one user';

/** How many for each reason. */
const counts = z.object(Object.fromEntries(REASONS.map((reason) => [reason, z.int()])) as Record<(typeof REASONS)[number], z.ZodInt>);

export const ranking = z.strictObject({
  symbol: z.string(),
  mode: z.enum(MODES),
  run_at: instant.nullable().describe('When it was ranked; null where there is no ranking, and so are the fields up to job_id'),
  as_of: instant.nullable().describe('When the chain was quoted'),
  source: z.string().nullable().describe('Of the chain'),
  simulated: z.boolean().describe('true for made-up quotes'),
  spot: nullableNumber('Price of the underlying, dollars a share'),
  total: z.int().nullable().describe(`Contracts of the chain, in exit mode positions; ${KEPT_FROM_OTHERS}`),
  eligible: z.int().nullable().describe(`Of these: could be ranked; ${KEPT_FROM_OTHERS}`),
  reasons: counts.nullable().describe(`How many were not ranked, by reason; ${KEPT_FROM_OTHERS}`),
  left_out: z
    .array(
      z.strictObject({ position: z.string(), contract: z.string(), reason: z.enum(REASONS), why: z.string(), user: z.string().nullable() }),
    )
    .nullable()
    .describe('Exit mode: each position that is not ranked, and why'),
  gaps: z
    .array(z.strictObject({ expiry: z.string().optional(), contracts: z.int().optional(), reason: z.string() }))
    .nullable()
    .describe('What the chain lacks although it should have it'),
  atm_iv: nullableNumber('Volatility of the underlying, at the money in 30 days, annual, 0.25 is 25 %'),
  iv_rank: nullableNumber('Of the underlying, 0-100; null under 20 days of history'),
  iv_percentile: nullableNumber('Of the underlying, 0-100; null under 20 days of history'),
  trend: z.enum(['bullish', 'bearish', 'neutral']).nullable(),
  job_id: z.string().nullable(),
  totalRanks: z.int().describe('Ranks of the run that the filters leave'),
  ranks: z.array(rank),
  next: z.string().nullable().describe('`cursor` of the next page; null on the last one'),
  filters: z
    .strictObject({
      side: side.optional(),
      expiry: z.string().optional(),
      signal: signal.optional(),
      minRank: z.number().optional(),
      contract: z.string().optional(),
      user: z.string().optional(),
      sort: z.string().optional(),
      limit: z.int(),
    })
    .describe('As they were understood'),
  state: z
    .strictObject({
      state: z.enum(['pending', 'failed', 'never', 'done']),
      job: jobSummary.nullable().describe(`The newest one for it: ${LIVE_STATES.join(', ')}, or how it ended and why`),
      text: z.string().describe('For people'),
    })
    .nullable()
    .describe('Where there is no ranking: whether one is being made (pending), could not be made (failed), or was never asked for'),
});

/** For the documentation only; answers are not checked: for 50 ranks of 67 fields that takes 1.1 ms, writing them 0.7. Tests check answers with `ranking`. */
export const rankingDocument: z.ZodType<unknown> = ranking.describe('One run').meta({ id: 'Ranking' });
