/** The facts of one report while it is written, and the slots and sentences made of them. */
import { type Fact, render, type Sentence } from '../../model/words/facts.ts';
import type { Phrase } from '../universe/phrase.ts';

/** Of a stored report. Some 90 are about its picks and themes, which a model may use; the others are in the reasons of what was not taken. */
export const MOST_FACTS = 160;

/** The facts of one report while it is written. */
export interface FactBook {
  facts: ReadonlyMap<string, Fact>;
  /** The slot of a fact: of the one that is known under the same symbol and label with the same text, else of a new one. */
  slot(fact: Omit<Fact, 'id' | 'trust'>): string;
  sentence(template: string): Sentence;
  /** A text whose figures become facts about a symbol. */
  phrase(phrase: Phrase, about: { symbol: string; as_of: string }): Sentence;
}

export function factBook(): FactBook {
  const facts = new Map<string, Fact>();
  const known = new Map<string, string>();
  function add(fact: Omit<Fact, 'id' | 'trust'>): string {
    const key = `${fact.symbol ?? ''} ${fact.label} ${fact.shown}`;
    const id = known.get(key) ?? `f${facts.size + 1}`;
    if (!known.has(key)) facts.set(id, { id, ...fact, trust: 'measured' });
    known.set(key, id);
    return id;
  }
  return {
    facts,
    slot: (fact) => `{${add(fact)}}`,
    sentence: (template) => render(template, facts),
    phrase: ({ text, figures }, about) => ({
      text,
      facts: [...new Set(figures.map((figure) => add({ ...figure, ...about, kind: 'score', source: 'screen' })))],
    }),
  };
}

/** Hundredths as `73.5`. */
export const shownScore = (hundredths: number): string => String(hundredths / 100);
