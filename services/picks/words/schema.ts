/** What a model is asked to write. The schema that is sent has types and enums only, since several providers refuse limits; these are checked here. */
import { z } from 'zod';

/** `tickers`: the picks; `themeTickers`: what themes may name, the picks among them. Both in a fixed order. */
export interface WordsScope {
  tickers: readonly string[];
  themeTickers: readonly string[];
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
