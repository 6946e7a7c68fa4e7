/** Every number and name that a reader sees is a stored fact. Sentences hold slots such as `{f12}`, which the program fills in. */
import { z } from 'zod';

export const FactSchema = z.strictObject({
  id: z.string().regex(/^f\d{1,3}$/),
  /** Null: about the market or the universe. */
  symbol: z.string().nullable(),
  kind: z.enum(['price', 'indicator', 'fundamental', 'headline', 'event', 'score']),
  label: z.string().min(1).max(60),
  value: z.union([z.number(), z.string().max(200), z.null()]),
  /** `money`: of the currency that `shown` names. */
  unit: z.enum(['usd', 'money', 'pct', 'ratio', 'count', 'date', 'text']),
  as_of: z.iso.date(),
  source: z.string().min(1).max(60),
  /** The only form in which a reader sees it. A figure that can rise and fall begins with its sign. */
  shown: z.string().min(1).max(40),
  trust: z.enum(['measured', 'third_party']),
});
export type Fact = z.output<typeof FactSchema>;

/** A rendered sentence with the facts whose `shown` stands in it. */
export const SentenceSchema = z.strictObject({ text: z.string().min(1).max(2000), facts: z.array(z.string()).max(20) });
export type Sentence = z.output<typeof SentenceSchema>;

/** A slot of a fact in a sentence. */
const SLOT = /\{(f\d{1,3})\}/g;

/** The facts of a sentence, each id once, in their order. */
export function slotsOf(template: string): string[] {
  return [...new Set(Array.from(template.matchAll(SLOT), ([, id]) => id!))];
}

/** Fills the slots. Throws a defect for a slot without a fact: templates of a model are checked before. */
export function render(template: string, facts: ReadonlyMap<string, Fact>): Sentence {
  const text = template.replace(SLOT, (slot, id: string) => {
    const fact = facts.get(id);
    if (fact === undefined) throw new Error(`the sentence ${JSON.stringify(template)} has the slot ${slot}, and there is no such fact`);
    return fact.shown;
  });
  return { text, facts: slotsOf(template) };
}

/** `12.3%`; `value` is a fraction. */
export const shownPercent = (value: number): string => `${(value * 100).toFixed(1)}%`;

/** `+12.3%` or `-4.0%`; zero has a plus. */
export function shownChange(value: number): string {
  const text = shownPercent(value);
  return text.startsWith('-') ? (Number.parseFloat(text) === 0 ? `+${text.slice(1)}` : text) : `+${text}`;
}

// Made once: a format that is looked up for each price was a twentieth of a weekly run.
const DOLLARS = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });

/** `$1,234.56`. */
export const shownDollars = (value: number): string => DOLLARS.format(value);

export const shownRatio = (value: number): string => value.toFixed(2);
