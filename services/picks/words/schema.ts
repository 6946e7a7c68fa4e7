/** What a model is asked to write. The schema that is sent has types and enums only, since several providers refuse limits; these are checked here. */
import { z } from 'zod';
import type { Screen } from '../screen/screen.ts';

/** `tickers`: the picks; `themeTickers`: what themes may name, the picks among them. Both in a fixed order. */
export interface WordsScope {
  tickers: readonly string[];
  themeTickers: readonly string[];
}

/** Themes may name so many of the best symbols besides the picks. */
const MOST_THEME_SYMBOLS = 60;

/** The scope of a screen: its picks, and the best 60 that passed the user's gates. */
export function wordsScopeOf({ picks, ranked }: Screen): WordsScope {
  const symbols = (scored: Screen['picks']) => scored.map(({ candidate }) => candidate.symbol);
  const tickers = symbols(picks);
  return { tickers, themeTickers: [...new Set([...tickers, ...symbols(ranked.slice(0, MOST_THEME_SYMBOLS))])] };
}

/** Words a sentence, a paragraph. */
export const MOST_WORDS = { bullet: 25, themeSummary: 30, paragraph: 80 } as const;

const text = z.string().min(1).max(2000);

/** The answer of a model: rationales for each pick, four themes, the market. Sentences hold slots (`{f12}`) in place of numbers. */
export function wordsSchema({ tickers, themeTickers }: WordsScope) {
  return z.strictObject({
    rationales: z.array(z.strictObject({ ticker: z.enum(tickers), bullets: z.array(text).min(3).max(4) })).length(tickers.length),
    themes: z
      .array(
        z.strictObject({
          title: text,
          category: z.enum(['sector', 'industry', 'style', 'macro']),
          summary: text,
          paragraphs: z.array(text).min(2).max(3),
          tickers: z.array(z.enum(themeTickers)).min(3).max(5),
        }),
      )
      .length(4),
    market: z.strictObject({
      environment: text,
      risk_factors: z.array(text).min(2).max(4),
      opportunities: z.array(text).min(2).max(4),
    }),
  });
}
export type Words = z.output<ReturnType<typeof wordsSchema>>;

const LIMITS: ReadonlySet<string> = new Set([
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
  'pattern',
  'format',
  '$schema',
]);

/** The JSON schema to send: all fields required, no others, no limits. */
export function wordsJsonSchema(scope: WordsScope): Record<string, unknown> {
  return withoutLimits(z.toJSONSchema(wordsSchema(scope))) as Record<string, unknown>;
}

function withoutLimits(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutLimits);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !LIMITS.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutLimits(inner)]));
}
