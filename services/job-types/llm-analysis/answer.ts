/** What a model answers about a symbol, and what of it is kept: sentences whose figures are the program's. */
import { z } from 'zod';
import { plainText, type SentenceContext, sentenceViolations } from '../../model/words/checks.ts';
import { type Fact, render, type Sentence, SentenceSchema, slotsOf } from '../../model/words/facts.ts';
import type { ListedNames } from '../../model/words/names.ts';
import { isEnough } from './facts.ts';

export const RECOMMENDATIONS = ['strong_buy', 'buy', 'hold', 'sell', 'strong_sell'] as const;
export const DIRECTIONS = ['up', 'down'] as const;

const MOST_WORDS = { summary: 80, point: 30, unknown: 20 } as const;
/** With fewer good drivers an opinion has no ground. */
export const LEAST_DRIVERS = 2;
const MOST = { drivers: 5, risks: 3, unknowns: 3, facts: 4 } as const;

const text = z.string().max(2_000);

/** `id`: what names a fact. What is sent to the model allows the ids of its facts only. What is read allows any, so that a wrong one costs its sentence and not the answer. */
export function answerSchema(id: z.ZodType<string> = z.string()) {
  const point = { text, facts: z.array(id).max(50) };
  return z.strictObject({
    sentiment: z.number().min(-1).max(1),
    recommendation: z.enum(RECOMMENDATIONS),
    confidence: z.number().min(0).max(1),
    summary: text,
    drivers: z.array(z.strictObject({ direction: z.enum(DIRECTIONS), ...point })).max(20),
    risks: z.array(z.strictObject(point)).max(20),
    unknowns: z.array(text).max(20),
  });
}
type Answer = z.output<ReturnType<typeof answerSchema>>;

const DroppedSchema = z.strictObject({ where: z.string(), text: z.string(), violation: z.string() });
type Dropped = z.output<typeof DroppedSchema>;

/** The part of an analysis that is written in sentences. */
export const OpinionSchema = z.strictObject({
  sentiment: z.number(),
  recommendation: z.enum(RECOMMENDATIONS),
  /** The facts are too few: "hold", whatever the model said. */
  hold_forced: z.boolean(),
  confidence: z.number(),
  /** Null where no sentence of it was good. */
  summary: SentenceSchema.nullable(),
  drivers: z.array(z.strictObject({ direction: z.enum(DIRECTIONS), ...SentenceSchema.shape })),
  risks: z.array(SentenceSchema),
  unknowns: z.array(z.string()),
  dropped: z.array(DroppedSchema),
});
export type Opinion = z.output<typeof OpinionSchema>;

interface Subject {
  symbol: string;
  facts: readonly Fact[];
  listed: ListedNames;
}

/** Checks an answer sentence by sentence; what violates a rule is dropped with the reason. Fewer than `LEAST_DRIVERS` drivers are no opinion: the caller looks. */
export function checkAnswer(answer: Answer, { symbol, facts, listed }: Subject): Opinion {
  const dropped: Dropped[] = [];
  const known = new Map(facts.map((fact): [string, Fact] => [fact.id, fact]));
  const context = { facts: known, about: new Set([symbol]), tickers: new Set([symbol]), listed };

  /** The sentence, or undefined when it is dropped. `named`: ids of the facts that it says it rests on. */
  function good(where: string, written: string, mostWords: number, named: readonly string[] = []): Sentence | undefined {
    const plain = plainText(written);
    const violations = sentenceViolations(plain, { ...context, mostWords } satisfies SentenceContext).map(
      ({ code, text: what }) => `${code}: ${what}`,
    );
    const strange = named.find((id) => !known.has(id));
    if (strange !== undefined)
      violations.push(`unknown_fact: it rests on ${JSON.stringify(strange.slice(0, 20))}, and there is no such fact`);
    if (violations.length === 0)
      return { text: render(plain, known).text, facts: [...new Set([...slotsOf(plain), ...named])].slice(0, 20) };
    dropped.push({ where, text: plain.slice(0, 500), violation: violations.join('; ') });
    return undefined;
  }

  const drivers = answer.drivers.flatMap(({ direction, text: written, facts: named }) => {
    const sentence = good('driver', written, MOST_WORDS.point, named.slice(0, MOST.facts));
    if (sentence === undefined) return [];
    if (sentence.facts.length > 0) return [{ direction, ...sentence }];
    dropped.push({ where: 'driver', text: sentence.text.slice(0, 500), violation: 'no_fact: it names no fact that it rests on' });
    return [];
  });
  const enough = isEnough(facts);
  return {
    sentiment: answer.sentiment,
    recommendation: enough ? answer.recommendation : 'hold',
    hold_forced: !enough,
    confidence: answer.confidence,
    summary: joined(sentencesOf(answer.summary).flatMap(({ written, mostWords }) => good('summary', written, mostWords) ?? [])),
    drivers: drivers.slice(0, MOST.drivers),
    risks: answer.risks
      .flatMap(({ text: written, facts: named }) => good('risk', written, MOST_WORDS.point, named.slice(0, MOST.facts)) ?? [])
      .slice(0, MOST.risks),
    unknowns: answer.unknowns.flatMap((written) => good('unknown', written, MOST_WORDS.unknown)?.text ?? []).slice(0, MOST.unknowns),
    dropped,
  };
}

const SENTENCES = new Intl.Segmenter('en', { granularity: 'sentence' });

/** The sentences of a summary; of one that is too long as a whole, the text, which then violates its limit. */
function sentencesOf(summary: string): { written: string; mostWords: number }[] {
  const plain = plainText(summary);
  const parts =
    plain.split(' ').length > MOST_WORDS.summary ? [plain] : Array.from(SENTENCES.segment(plain), ({ segment }) => segment.trim());
  return parts.map((written) => ({ written, mostWords: MOST_WORDS.summary }));
}

function joined(sentences: readonly Sentence[]): Sentence | null {
  if (sentences.length === 0) return null;
  return {
    text: sentences.map(({ text: one }) => one).join(' '),
    facts: [...new Set(sentences.flatMap(({ facts }) => facts))].slice(0, 20),
  };
}
