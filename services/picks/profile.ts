/** What a user says about themselves. The screen uses `risk_tolerance`, `timeline`, `goals`, `monthly_budget`, `fractional` and `interests`; `experience` is only told to a model that words the report. */
import { z } from 'zod';

export const RISK_TOLERANCES = ['conservative', 'moderate', 'aggressive'] as const;
export type RiskTolerance = (typeof RISK_TOLERANCES)[number];

const TIMELINES = ['<1y', '1-3', '3-5', '5-10', '10+'] as const;
const EXPERIENCES = ['none', 'beginner', 'intermediate', 'advanced'] as const;
export const GOALS = [
  'retirement',
  'house',
  'big_purchase',
  'extra_income',
  'pay_off_debt',
  'for_fun',
  'inheritance',
  'travel',
  'not_sure',
] as const;

/** The stable ids of Yahoo's eleven sectors (`sectorKey`), with their names for people. */
export const SECTORS = {
  'basic-materials': 'Basic Materials',
  'communication-services': 'Communication Services',
  'consumer-cyclical': 'Consumer Cyclical',
  'consumer-defensive': 'Consumer Defensive',
  energy: 'Energy',
  'financial-services': 'Financial Services',
  healthcare: 'Healthcare',
  industrials: 'Industrials',
  'real-estate': 'Real Estate',
  technology: 'Technology',
  utilities: 'Utilities',
} as const;
type SectorKey = keyof typeof SECTORS;

/** A sector by its id or its name, in any case: "Consumer Cyclical" is `consumer-cyclical`. Refused with the names of all sectors. */
const SectorSchema = z.string().transform((text, context) => {
  const key = text
    .trim()
    .toLowerCase()
    .replace(/[\s_]+/g, '-');
  if (Object.hasOwn(SECTORS, key)) return key as SectorKey;
  context.addIssue({
    code: 'custom',
    message: `unknown sector ${JSON.stringify(text.slice(0, 40))}; it is one of ${Object.keys(SECTORS).join(', ')}`,
    input: text,
  });
  return z.NEVER;
});

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** A profile with its defaults: `ProfileSchema.parse({})` is a moderate investor with five to ten years and $500 a month. Unknown keys are refused. */
export const ProfileSchema = z.strictObject({
  risk_tolerance: z.enum(RISK_TOLERANCES).default('moderate'),
  /** Years until the money is needed. */
  timeline: z.enum(TIMELINES).default('5-10'),
  experience: z.enum(EXPERIENCES).default('beginner'),
  goals: z.array(z.enum(GOALS)).max(GOALS.length).transform(unique).prefault([]),
  /** US dollars a month. It means: one share of one pick a month. */
  monthly_budget: z.number().positive().max(1e9).default(500),
  /** Whether the user's broker sells parts of a share, so that the price of one does not matter. */
  fractional: z.boolean().default(false),
  /** Sectors that the user wants most picks from. Empty: all alike. */
  interests: z.array(SectorSchema).max(Object.keys(SECTORS).length).transform(unique).prefault([]),
});
export type Profile = z.output<typeof ProfileSchema>;
