/** Themes and the market view, written from templates. */

import { type Fact, shownChange, shownPercent, shownRatio } from '../../model/words/facts.ts';
import type { Screen } from '../screen/screen.ts';
import { type Theme, themesOf } from '../screen/themes.ts';
import type { ScreenedUniverse } from '../universe/universe.ts';
import { type FactBook, shownScore } from './facts.ts';
import { FACTOR_NAMES } from './pick-text.ts';
import type { StoredMarket, StoredTheme } from './schema.ts';

type Slot = (label: string, value: number, shown: string, unit: Fact['unit'], kind?: Fact['kind']) => string;

const marketSlot =
  (book: FactBook, { dataDate }: ScreenedUniverse): Slot =>
  (label, value, shown, unit, kind = 'indicator') =>
    book.slot({ symbol: null, kind, label, value, unit, as_of: dataDate, source: 'screen', shown });

/** Four themes; fewer only where the universe has fewer than three symbols. */
export function themeTexts(book: FactBook, universe: ScreenedUniverse, screen: Screen): StoredTheme[] {
  return themesOf(screen).map((theme) => themeText(book, universe, theme));
}

/** A source's name of an industry: a label with it has at most 60 characters. */
const MOST_NAME = 45;

function themeText(book: FactBook, universe: ScreenedUniverse, theme: Theme): StoredTheme {
  const slot = marketSlot(book, universe);
  const name = theme.name.slice(0, MOST_NAME);
  const tickers = theme.top.map(({ candidate }) => candidate.symbol);
  const count = slot(`${name}: symbols`, theme.count, String(theme.count), 'count', 'score');
  const median = slot(`${name}: median total`, theme.median / 100, shownScore(theme.median), 'ratio', 'score');
  const best = theme.top[0]!;
  const what = { industry: 'industry', sector: 'sector', trait: 'trait' }[theme.kind];
  const about =
    theme.kind === 'trait'
      ? `The ${count} symbols with the best scores of ${FACTOR_NAMES[theme.key as keyof typeof FACTOR_NAMES]} have a median total of ${median} out of 100.`
      : `The ${count} symbols of this ${what} that passed the limits of this profile have a median total of ${median} out of 100.`;
  const total = book.slot({
    symbol: best.candidate.symbol,
    kind: 'score',
    label: 'total',
    value: best.total / 100,
    unit: 'ratio',
    as_of: universe.dataDate,
    source: 'screen',
    shown: shownScore(best.total),
  });
  return {
    title: name,
    category: theme.kind === 'trait' ? 'style' : theme.kind,
    summary: book.sentence(about),
    paragraphs: [
      book.sentence(
        `First in this list is ${best.candidate.symbol} with a total of ${total} out of 100. It is the result of a screen, no forecast.`,
      ),
    ],
    tickers,
    written_by: 'program',
  };
}

/** Between these the market is called neither broad nor narrow, neither restless nor calm. */
const BROAD = 0.6;
const NARROW = 0.4;
const RESTLESS = 1.2;
const CALM = 0.9;
const DEEP = 0.1;
const MOST = 4;

interface Line {
  text: string;
  /** Whether it holds this week. */
  when: boolean;
}

/** What the universe and its index look like, with two to four lines each for and against. */
export function marketText(book: FactBook, universe: ScreenedUniverse, themes: readonly StoredTheme[]): StoredMarket {
  const { market } = universe;
  const slot = marketSlot(book, universe);
  const count = slot('eligible symbols', market.count, String(market.count), 'count', 'score');
  const above = market.aboveAverage ?? 0;
  const change = market.medianMomentum ?? 0;
  const ratio = market.volatilityRatio ?? 1;
  const share = slot('share above the 200-day average', above, shownPercent(above), 'pct');
  const median = slot('median price change, year to month ago', change, shownChange(change), 'pct');
  const restless = slot('volatility, quarter to year', ratio, shownRatio(ratio), 'ratio');
  const index = market.index;
  const [below, toAverage] = [index?.belowHigh ?? 0, index?.toAverage ?? 1];
  const fall = index === null ? '' : slot('SPY below its high of a year', below, shownPercent(below), 'pct');
  const position = index === null ? '' : slot('SPY to its 200-day average', toAverage, shownRatio(toAverage), 'ratio');

  const environment = [
    `${share} of the ${count} eligible symbols are above their 200-day average. The median price change from a year ago to a month ago is ${median}.`,
    `The volatility of the last quarter is ${restless} times that of the year.`,
    index === null
      ? 'Nothing is said about SPY, since its bars of this date are not stored.'
      : `SPY is ${fall} below its highest close of a year, and at ${position} times its 200-day average.`,
  ];
  const risks: Line[] = [
    { when: above < NARROW, text: `Only ${share} of the symbols are above their 200-day average.` },
    { when: ratio > RESTLESS, text: `Prices move ${restless} times as much as over the year.` },
    { when: index !== null && below > DEEP, text: `SPY is ${fall} below its highest close of a year.` },
    { when: index !== null && toAverage < 1, text: `SPY is below its 200-day average: at ${position} times it.` },
    { when: universe.small, text: `The universe is small: scores compare only ${count} symbols.` },
    { when: true, text: 'All figures look back. What comes next is not in them.' },
    { when: true, text: 'Picks of one screen can fall together when the market falls.' },
  ];
  const chances: Line[] = [
    { when: above >= BROAD, text: `The market is broad: ${share} of the symbols are above their 200-day average.` },
    { when: ratio < CALM, text: `Prices are calmer than over the year: ${restless} times its volatility.` },
    { when: index !== null && toAverage >= 1, text: `SPY is not below its 200-day average: at ${position} times it.` },
    ...themes.slice(0, 2).map(({ title, tickers }) => ({
      when: true,
      text: `"${title}" is among the themes of the screen: ${tickers.slice(0, 3).join(', ')}.`,
    })),
  ];
  const lines = (all: readonly Line[]) => {
    const held = all.filter(({ when }) => when);
    return held.slice(0, MOST).map(({ text }) => book.sentence(text));
  };
  return {
    environment: environment.map((text) => book.sentence(text)),
    risk_factors: lines(risks),
    opportunities: lines(chances),
    written_by: 'program',
  };
}
