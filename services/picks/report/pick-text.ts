/** Why a symbol was chosen, written from templates. */

import { type Fact, type Sentence, shownChange, shownDollars, shownPercent, shownRatio } from '../../model/words/facts.ts';
import type { Factor } from '../rules.ts';
import { type Part, partsOf, type Scored } from '../screen/score.ts';
import type { Screen } from '../screen/screen.ts';
import type { Candidate, ScreenedUniverse } from '../universe/universe.ts';
import { type FactBook, shownScore } from './facts.ts';

/** For people. */
export const FACTOR_NAMES: Readonly<Record<Factor, string>> = {
  momentum: 'momentum',
  trend: 'trend',
  low_volatility: 'calm',
  low_drawdown: 'small falls',
  quality: 'quality',
  value: 'value',
  income: 'income',
};

const SCREEN = 'screen';

/** The slots of one symbol's facts. They are written into the book when they are used. */
interface SymbolFacts {
  price(): string;
  total(): string;
  score(part: Part): string;
  measure(label: string, value: number, shown: string, unit?: Fact['unit']): string;
  fundamental(label: string, value: number, shown: string, unit?: Fact['unit']): string;
}

function symbolFacts(book: FactBook, { candidate, total }: Scored, dataDate: string): SymbolFacts {
  const { symbol, measures, barsSource, fundamentals, fundamentalsDate } = candidate;
  const bars = { symbol, as_of: dataDate, source: barsSource ?? 'stored bars' };
  const screen = { symbol, kind: 'score', unit: 'ratio', as_of: dataDate, source: SCREEN } as const;
  return {
    price: () =>
      book.slot({ ...bars, kind: 'price', label: 'close', value: measures.price, unit: 'usd', shown: shownDollars(measures.price) }),
    total: () => book.slot({ ...screen, label: 'total', value: total / 100, shown: shownScore(total) }),
    score: ({ factor, score }) =>
      book.slot({ ...screen, label: `score of ${FACTOR_NAMES[factor]}`, value: score! / 100, shown: shownScore(score!) }),
    measure: (label, value, shown, unit = 'pct') => book.slot({ ...bars, kind: 'indicator', label, value, unit, shown }),
    fundamental: (label, value, shown, unit = 'pct') =>
      book.slot({
        symbol,
        kind: 'fundamental',
        label,
        value,
        unit,
        shown,
        as_of: fundamentalsDate!,
        source: fundamentals!.source,
      }),
  };
}

/**
 * Three to six sentences: the total and its rank, the two factors that gave most points, the one that took most, what is missing, the risk. `book` has the facts afterwards;
 * price and total are among them.
 */
export function pickReasons(book: FactBook, scored: Scored, universe: ScreenedUniverse, screen: Screen): Sentence[] {
  const { candidate } = scored;
  const { symbol } = candidate;
  const facts = symbolFacts(book, scored, universe.dataDate);
  const whole = { kind: 'score', unit: 'count', as_of: universe.dataDate, source: SCREEN } as const;
  const rank = screen.ranked.indexOf(scored) + 1;
  const place = book.slot({ ...whole, symbol, label: 'rank', value: rank, shown: String(rank) });
  const passed = screen.ranked.length;
  const all = book.slot({ ...whole, symbol: null, label: 'symbols that passed', value: passed, shown: String(passed) });
  const parts = partsOf(candidate, screen.weights);
  const known = parts.filter(({ score }) => score !== null).toSorted((a, b) => b.points - a.points);
  const worst = known.at(-1);
  const missing = parts.filter(({ score }) => score === null).map(({ factor }) => FACTOR_NAMES[factor]);

  const sentences = [
    `At ${facts.price()} its total is ${facts.total()} out of 100: rank ${place} of the ${all} symbols that passed the limits of this profile.`,
    ...known.slice(0, 2).map((part) => capital(factorClause(part, candidate, facts))),
  ];
  if (worst !== undefined && worst.points < 0 && known.indexOf(worst) >= 2) {
    sentences.push(`Against it: ${factorClause(worst, candidate, facts)}`);
  }
  if (missing.length > 0) sentences.push(`Nothing is stored about ${listed(missing)}, which therefore counts as neutral.`);
  sentences.push(
    `The risk level is ${candidate.riskLevel}: its price varies by ${sigmaSlot(candidate, facts)} a year and fell by up to ${drawdownSlot(candidate, facts)} within a year.`,
  );
  return sentences.map((sentence) => book.sentence(sentence));
}

const sigmaSlot = ({ measures: { sigma } }: Candidate, facts: SymbolFacts) =>
  facts.measure('yearly volatility', sigma, shownPercent(sigma));
const drawdownSlot = ({ measures: { drawdown } }: Candidate, facts: SymbolFacts) =>
  facts.measure('deepest fall within a year', drawdown, shownPercent(drawdown));

function factorClause(part: Part, candidate: Candidate, facts: SymbolFacts): string {
  const scores = `${FACTOR_NAMES[part.factor]} scores ${facts.score(part)} out of 100.`;
  const { momentum, trend } = candidate.measures;
  switch (part.factor) {
    case 'momentum': {
      const change = Math.expm1(momentum);
      return `its price changed by ${facts.measure('price change, year to month ago', change, shownChange(change))} from a year ago to a month ago: ${scores}`;
    }
    case 'trend': {
      const distance = Math.expm1(trend);
      return `its close is ${facts.measure('distance from the 200-day average', distance, shownChange(distance))} from its 200-day average: ${scores}`;
    }
    case 'low_volatility':
      return `its price varies by ${sigmaSlot(candidate, facts)} a year: ${scores}`;
    case 'low_drawdown':
      return `its deepest fall within a year was ${drawdownSlot(candidate, facts)}: ${scores}`;
    case 'quality':
    case 'value':
    case 'income':
      return `its ${listed(fundamentalClauses(part.factor, candidate, facts))}: ${scores}`;
  }
}

/** `return on equity is {f3}`, one for each figure that is known. */
function fundamentalClauses(factor: 'quality' | 'value' | 'income', { items }: Candidate, facts: SymbolFacts): string[] {
  if (items === null) return [];
  const percent = (label: string, value: number | null) =>
    value === null ? [] : [`${label} is ${facts.fundamental(label, value, value < 0 ? shownChange(value) : shownPercent(value))}`];
  switch (factor) {
    case 'quality': {
      const debt = items.lowDebt === null ? null : 0 - items.lowDebt;
      return [
        ...percent('return on equity', items.returnOnEquity),
        ...percent('operating margin', items.operatingMargins),
        ...(debt === null ? [] : [`debt to equity is ${facts.fundamental('debt to equity', debt, shownRatio(debt), 'ratio')}`]),
      ];
    }
    case 'value':
      return [
        ...percent('earnings yield', items.earningsYield),
        ...percent('book value to price', items.bookYield),
        ...percent('free cash flow yield', items.cashYield),
      ];
    case 'income':
      return percent('dividend yield', items.dividendYield);
  }
}

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1);

/** "a", "a and b", "a, b and c". */
export function listed(parts: readonly string[]): string {
  return parts.length < 2 ? (parts[0] ?? '') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
