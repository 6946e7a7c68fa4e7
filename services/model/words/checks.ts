/**
 * What a model wrote is checked sentence by sentence. Numbers and names come from the program by slots (`{f12}`), so any other figure is a violation: no tolerance, unit or
 * date has to be compared. Left open: a right number in a wrong sentence, a wrong cause, a wrong direction without a direction word.
 */
import { characterFault } from '../../platform/text/characters.ts';
import type { Fact } from './facts.ts';
import { withoutFixed } from './fixed.ts';
import { foreignName, type ListedNames } from './names.ts';
import { DOWN_WORDS, NUMBER_WORDS, PROMISES, SUPERLATIVES, UP_WORDS } from './vocabulary.ts';

export interface SentenceContext {
  facts: ReadonlyMap<string, Fact>;
  /** Symbols whose facts the sentence may use; facts of the market are open to all. */
  about: ReadonlySet<string>;
  /** Tickers that it may name: those of the report. */
  tickers: ReadonlySet<string>;
  listed: ListedNames;
  mostWords: number;
}

export const VIOLATIONS = [
  'empty',
  'too_long',
  'character',
  'script',
  'markup',
  'link',
  'unknown_fact',
  'foreign_fact',
  'third_party_fact',
  'slot',
  'digit',
  'sign',
  'number_word',
  'superlative',
  'promise',
  'foreign_name',
  'direction',
] as const;

/** `text`: what was found, for people. */
export interface Violation {
  code: (typeof VIOLATIONS)[number];
  text: string;
}

const SLOT = /\{(f\d{1,3})\}/g;
const SCRIPT = /[^\p{Script=Latin}\p{Script=Common}\p{Script=Inherited}]/u;
const MARKUP = /[<>*_`#|~^\\[\]]|&#?\w+;|\p{Extended_Pictographic}/u;
const LINK = /:\/\/|\bwww\.|@|[\p{L}\p{N}-]{2,}\.\p{L}{2,}/iu;
const SIGN = /[%‰\p{Sc}]/u;
/** A slot stands between blanks and marks of punctuation: "-{f1}" would turn a sign round, "{f1}k" and "1{f1}" would be another figure. */
const LOOSE_SLOT = /(?<![^\s("'“‘])\{f\d{1,3}\}(?![^\s.,;:!?)"'”’])/g;
const TURNED = /\b(?:minus|negative|plus|times)\s+(?=\{)/i;

/** All but letters that are numbers, such as Ⅻ: normalized, these would be plain letters. */
const NO_LETTER_NUMBER = /[^\p{Nl}]+/gu;

/** The text as it is checked and rendered: one form of each character (NFKC), single blanks. */
export function plainText(text: string): string {
  const normal = text.replace(NO_LETTER_NUMBER, (part) => part.normalize('NFKC'));
  return normal.replace(/[ \t\n]+/g, ' ').trim();
}

/** All that is wrong with a sentence of a model; empty for a good one. `sentence` as `plainText` gives it. */
export function sentenceViolations(sentence: string, context: SentenceContext): Violation[] {
  const words = sentence === '' ? 0 : sentence.split(' ').length;
  if (words === 0) return [{ code: 'empty', text: 'nothing is written' }];
  const bare = withoutFixed(sentence.replace(SLOT, ' '));
  const found = (code: Violation['code'], pattern: RegExp, what: string): Violation[] => {
    const match = bare.match(pattern)?.[0];
    return match === undefined ? [] : [{ code, text: `${what} ${JSON.stringify(match)}` }];
  };
  const character = characterFault(sentence);
  const foreign = foreignName(bare, context.tickers, context.listed);
  return [
    ...(words > context.mostWords ? [{ code: 'too_long' as const, text: `${words} words, at most ${context.mostWords}` }] : []),
    ...(character === undefined ? [] : [{ code: 'character' as const, text: character }]),
    ...found('script', SCRIPT, 'another script:'),
    ...found('markup', MARKUP, 'markup:'),
    ...found('link', LINK, 'a link or address:'),
    ...slotViolations(sentence, bare, context),
    ...found('digit', /\p{N}/u, 'a digit:'),
    ...found('sign', SIGN, 'a sign of a share or currency:'),
    ...found('number_word', NUMBER_WORDS, 'a number in words:'),
    ...found('superlative', SUPERLATIVES, 'a superlative that nobody measured:'),
    ...found('promise', PROMISES, 'a promise or advice:'),
    ...(foreign === undefined
      ? []
      : [{ code: 'foreign_name' as const, text: `a name that is not of the report: ${JSON.stringify(foreign)}` }]),
    ...directionViolations(sentence, context.facts),
  ];
}

function slotViolations(sentence: string, bare: string, { facts, about }: SentenceContext): Violation[] {
  const slots = Array.from(sentence.matchAll(SLOT), ([, id]) => id!);
  const each = slots.flatMap((id): Violation[] => {
    const fact = facts.get(id);
    if (fact === undefined) return [{ code: 'unknown_fact', text: `there is no fact {${id}}` }];
    if (fact.symbol !== null && !about.has(fact.symbol)) return [{ code: 'foreign_fact', text: `{${id}} is a fact about ${fact.symbol}` }];
    // A headline's words are anybody's: filled in, they would be read as the report's own.
    if (fact.trust === 'third_party') return [{ code: 'third_party_fact', text: `{${id}} is the text of a third party` }];
    return [];
  });
  const glued = slots.length !== Array.from(sentence.matchAll(LOOSE_SLOT)).length || TURNED.test(sentence);
  return [
    ...each,
    ...(glued ? [{ code: 'slot' as const, text: 'a slot is glued to a sign, letter or other slot, or its sign is turned round' }] : []),
    ...(/[{}]/.test(bare) ? [{ code: 'slot' as const, text: 'a brace that is no slot' }] : []),
  ];
}

/** Words before and after a slot among which a direction belongs to it. */
const BEFORE = 4;
const AFTER = 2;

/** A figure that shows its sign must not stand beside a word of the other direction only. */
function directionViolations(sentence: string, facts: ReadonlyMap<string, Fact>): Violation[] {
  return Array.from(sentence.matchAll(SLOT)).flatMap(({ 0: slot, 1: id, index }): Violation[] => {
    const sign = facts.get(id!)?.shown[0];
    if (sign !== '+' && sign !== '-') return [];
    const before = lastWords(sentence.slice(0, index), BEFORE);
    const after = firstWords(sentence.slice(index + slot.length), AFTER);
    const near = `${before} ${after}`;
    const [up, down] = [near.match(UP_WORDS)?.[0], near.match(DOWN_WORDS)?.[0]];
    const wrong = sign === '+' ? (up === undefined ? down : undefined) : down === undefined ? up : undefined;
    return wrong === undefined ? [] : [{ code: 'direction', text: `${JSON.stringify(wrong)} beside ${facts.get(id!)!.shown}` }];
  });
}

/** Of the same clause: a comma or another slot ends it. */
const lastWords = (text: string, count: number): string =>
  text
    .split(/[,;:.}]/)
    .at(-1)!
    .trim()
    .split(' ')
    .slice(-count)
    .join(' ');
const firstWords = (text: string, count: number): string =>
  text
    .split(/[,;:.{]/)[0]!
    .trim()
    .split(' ')
    .slice(0, count)
    .join(' ');
