/** The report as it is stored and served. Content only: the state of the job that makes it lives with the job. */
import { z } from 'zod';
import { FactSchema, SentenceSchema } from '../../model/words/facts.ts';
import { ProfileSchema } from '../profile.ts';
import { FACTORS } from '../rules.ts';
import { RELAXATIONS } from '../screen/screen.ts';
import { USER_GATES } from '../screen/user-gates.ts';
import { DATA_GATES } from '../universe/data-gates.ts';
import { MOST_FACTS } from './facts.ts';

const date = z.iso.date();
const instant = z.iso.datetime();
const symbol = z.string().min(1).max(32);
const factor = z.enum(FACTORS);
/** 0 to 100 with at most two decimals: whole hundredths. */
const score = z.number().min(0).max(100);
const fraction = z.number().min(0);

const PartSchema = z.strictObject({ factor, score: score.nullable(), weight: z.int().min(0).max(100), points: z.number() });

const PickSchema = z.strictObject({
  rank: z.int().min(1),
  ticker: symbol,
  name: z.string().min(1),
  sector: z.string().nullable(),
  sector_key: z.string().nullable(),
  /** Raw close of `data_date`, US dollars. */
  price_at: z.number().positive(),
  /** 50 and the points of the parts. */
  total: score,
  /** Sum of the weights that were measured. */
  coverage: z.int().min(0).max(100),
  parts: z.array(PartSchema),
  /** Factors with a weight and without data: they count as neutral. */
  missing: z.array(factor),
  risk_level: z.enum(['low', 'medium', 'high']),
  /** Yearly volatility and deepest fall within a year, as fractions. */
  sigma: fraction,
  drawdown: fraction.max(1),
  /** Written by the program. */
  reasons: z.array(SentenceSchema).min(1),
  /** Written by the model around the same facts; null without one. */
  rationale: z.array(SentenceSchema).nullable(),
  /** Share of the portfolio in percent. */
  held_pct: z.number().min(0),
  change: z.enum(['new', 'kept']),
});
export type StoredPick = z.output<typeof PickSchema>;

const ThemeSchema = z.strictObject({
  title: z.string().min(1).max(80),
  category: z.enum(['sector', 'industry', 'style', 'macro']),
  summary: SentenceSchema,
  paragraphs: z.array(SentenceSchema).min(1).max(3),
  tickers: z.array(symbol).min(3).max(5),
  written_by: z.enum(['program', 'model']),
});
export type StoredTheme = z.output<typeof ThemeSchema>;

const MarketSchema = z.strictObject({
  environment: z.array(SentenceSchema).min(1),
  risk_factors: z.array(SentenceSchema).min(2).max(4),
  opportunities: z.array(SentenceSchema).min(2).max(4),
  written_by: z.enum(['program', 'model']),
});
export type StoredMarket = z.output<typeof MarketSchema>;

const CitationSchema = z.strictObject({
  title: z.string().min(1).max(300),
  url: z.url({ protocol: /^https$/ }),
  date: date.nullable(),
});
/** A sentence of the model that was left out, with what it violates. */
export const DroppedSchema = z.strictObject({ where: z.string(), text: z.string().max(500), violation: z.string() });
export type Dropped = z.output<typeof DroppedSchema>;

export const FALLBACK_REASONS = ['no_model', 'cap_reached', 'payment_unknown', 'invalid_answer', 'model_failed', 'sample'] as const;

const ChangeSchema = z.strictObject({
  ticker: symbol,
  change: z.enum(['kept', 'new', 'dropped']),
  before: score.nullable(),
  after: score.nullable(),
  factor: factor.nullable(),
  moved: z.number().nullable(),
  reason: SentenceSchema.nullable(),
});

const NearMissSchema = z.strictObject({
  ticker: symbol,
  rank: z.int().min(1),
  total: score,
  reason: SentenceSchema,
  instead: symbol.nullable(),
});

const UniverseSchema = z.strictObject({
  size: z.int().min(0),
  eligible: z.int().min(0),
  small: z.boolean(),
  /** Of all that the screen read: same hash, same picks. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  excluded: z.partialRecord(z.enum([...DATA_GATES, ...USER_GATES]), z.int().min(1)),
  /** How old the fundamentals of the eligible symbols are. */
  fundamentals_oldest: date.nullable(),
  fundamentals_newest: date.nullable(),
});

export const ReportSchema = z.strictObject({
  schema: z.literal(1),
  user_id: z.string().min(1),
  /** A Monday. */
  week_of: date,
  version: z.int().min(1),
  source: z.enum(['llm', 'quant', 'sample']),
  simulated: z.boolean(),
  data_date: date,
  generated_at: instant,
  universe: UniverseSchema,
  profile: ProfileSchema,
  weights: z.record(factor, z.int().min(0).max(100)),
  relaxed: z.array(z.enum(RELAXATIONS)),
  shortfall: z
    .strictObject({ reason: z.enum(['too_few_candidates', 'too_few_in_interests']), wanted: z.int(), found: z.int(), text: z.string() })
    .nullable(),
  stock_picks: z.array(PickSchema).min(3).max(6),
  /** The best symbols that are no picks. */
  near_misses: z.array(NearMissSchema).max(5),
  /** Against the report of an earlier week; empty where there is none. */
  changes: z.array(ChangeSchema),
  investment_themes: z.array(ThemeSchema).length(4),
  market_analysis: MarketSchema,
  /** What the numbers in all the sentences are. */
  facts: z.array(FactSchema).max(MOST_FACTS),
  citations: z.array(CitationSchema).max(40),
  dropped: z.array(DroppedSchema),
  model: z.string().nullable(),
  provider: z.string().nullable(),
  cost_usd: z.number().min(0).nullable(),
  cost_state: z.enum(['none', 'exact', 'estimated', 'unknown']),
  spend_ids: z.array(z.string()),
  fallback_reason: z.enum(FALLBACK_REASONS).nullable(),
  disclosures_version: z.int().min(1),
});
export type Report = z.output<typeof ReportSchema>;
