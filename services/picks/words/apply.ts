/** A model's words in a report: each sentence is checked, then rendered, or dropped with what it violates. */
import { createHash } from 'node:crypto';
import { plainText, type SentenceContext, sentenceViolations } from '../../model/words/checks.ts';
import { type Fact, render, type Sentence } from '../../model/words/facts.ts';
import type { ListedNames } from '../../model/words/names.ts';
import type { Dropped, Report, StoredMarket, StoredTheme } from '../report/schema.ts';
import { MOST_WORDS, type Words } from './schema.ts';

/** With fewer good sentences a pick has no rationale. */
const LEAST_BULLETS = 2;

export interface CheckedWords {
  /** By ticker; picks with fewer than two good sentences are left out. */
  rationales: ReadonlyMap<string, Sentence[]>;
  /** By place; null where the program's theme stays. */
  themes: readonly (StoredTheme | null)[];
  /** Null where the program's text stays. */
  market: StoredMarket | null;
  dropped: Dropped[];
  /** True when every pick has a rationale: then no second call is worth its price. */
  enough: boolean;
}

/** Checks an answer against the report that it words. `listed`: all companies whose names count, those of the universe at least. */
export function checkWords(words: Words, report: Report, listed: ListedNames): CheckedWords {
  const dropped: Dropped[] = [];
  const facts = new Map(report.facts.map((fact): [string, Fact] => [fact.id, fact]));
  const picks = report.stock_picks.map(({ ticker }) => ticker);
  const known = new Set([...picks, ...report.investment_themes.flatMap(({ tickers }) => tickers)]);

  function sentences(where: string, texts: readonly string[], about: readonly string[], mostWords: number): Sentence[] {
    const context: SentenceContext = { facts, about: new Set(about), tickers: new Set([...known, ...about]), listed, mostWords };
    return texts.flatMap((text) => {
      const plain = plainText(text);
      const violations = sentenceViolations(plain, context);
      if (violations.length === 0) return [render(plain, facts)];
      drop(where, plain, violations.map(({ code, text: what }) => `${code}: ${what}`).join('; '));
      return [];
    });
  }
  const drop = (where: string, text: string, violation: string) => dropped.push({ where, text: text.slice(0, 500), violation });

  const rationales = new Map<string, Sentence[]>();
  for (const { ticker, bullets } of words.rationales) {
    const good = sentences(`rationale of ${ticker}`, bullets, [ticker], MOST_WORDS.bullet);
    if (rationales.has(ticker)) drop(`rationale of ${ticker}`, bullets.join(' '), 'twice: the pick has a rationale already');
    else if (good.length >= LEAST_BULLETS) rationales.set(ticker, good);
  }
  const themes = words.themes.map((theme, index) => checkedTheme(theme, `theme ${index + 1}`, sentences, drop));
  return {
    rationales,
    themes: withoutDoubles(themes, report.investment_themes),
    market: checkedMarket(words.market, picks, sentences),
    dropped,
    enough: picks.every((ticker) => rationales.has(ticker)),
  };
}

type Check = (where: string, texts: readonly string[], about: readonly string[], mostWords: number) => Sentence[];

/** A paragraph is checked by its sentences and keeps the good ones. */
const SENTENCES = new Intl.Segmenter('en', { granularity: 'sentence' });
const sentencesIn = (paragraph: string): string[] => Array.from(SENTENCES.segment(paragraph), ({ segment }) => segment.trim());

/** The sentences of a text that as a whole has at most so many words. */
const paragraph = (check: Check, where: string, text: string, about: readonly string[], mostWords: number): Sentence[] => {
  const plain = plainText(text);
  const tooLong = plain.split(' ').length > mostWords;
  return tooLong ? check(where, [plain], about, mostWords) : check(where, sentencesIn(plain), about, mostWords);
};

function checkedTheme(
  theme: Words['themes'][number],
  where: string,
  check: Check,
  drop: (where: string, text: string, violation: string) => void,
): StoredTheme | null {
  const tickers = [...new Set(theme.tickers)];
  const title = plainText(theme.title);
  const words = title.split(' ').length;
  if (tickers.length < theme.tickers.length || words < 2 || words > 4) {
    drop(where, title, 'title or tickers: a title has two to four words, and no ticker stands twice');
    return null;
  }
  // No slot belongs into a title: it would read as a figure without a sentence.
  const [good] = check(where, [title], [], 4).filter(({ facts }) => facts.length === 0);
  const summary = paragraph(check, where, theme.summary, tickers, MOST_WORDS.themeSummary);
  const paragraphs = theme.paragraphs.map((text) => joined(paragraph(check, where, text, tickers, MOST_WORDS.paragraph)));
  const kept = paragraphs.filter((one) => one !== null);
  const whole = joined(summary);
  if (good === undefined || whole === null || kept.length === 0) return null;
  return { title: good.text, category: theme.category, summary: whole, paragraphs: kept, tickers, written_by: 'model' };
}

function joined(sentences: readonly Sentence[]): Sentence | null {
  if (sentences.length === 0) return null;
  return { text: sentences.map(({ text }) => text).join(' '), facts: [...new Set(sentences.flatMap(({ facts }) => facts))] };
}

/** A theme of the model with a title that stands elsewhere in the report falls back to the program's. */
function withoutDoubles(themes: readonly (StoredTheme | null)[], own: readonly StoredTheme[]): (StoredTheme | null)[] {
  const taken = new Set<string>();
  return themes.map((theme, index) => {
    const others = own.filter((_, place) => place !== index).map(({ title }) => title.toLowerCase());
    const title = theme?.title.toLowerCase() ?? '';
    if (theme === null || taken.has(title) || others.includes(title)) return null;
    taken.add(title);
    return theme;
  });
}

function checkedMarket(market: Words['market'], picks: readonly string[], check: Check): StoredMarket | null {
  const environment = paragraph(check, 'market', market.environment, picks, MOST_WORDS.paragraph);
  const risks = check('market risks', market.risk_factors, picks, MOST_WORDS.bullet);
  const chances = check('market opportunities', market.opportunities, picks, MOST_WORDS.bullet);
  if (environment.length === 0 || risks.length < LEAST_BULLETS || chances.length < LEAST_BULLETS) return null;
  return { environment, risk_factors: risks, opportunities: chances, written_by: 'model' };
}

/** The facts that a model may use: those of the picks, themes and market view. At most 120, since each pick has at most 15. */
export function wordingFacts({ facts, stock_picks, investment_themes, market_analysis }: Report): Fact[] {
  const { environment, risk_factors, opportunities } = market_analysis;
  const sentences = [
    ...stock_picks.flatMap(({ reasons }) => reasons),
    ...investment_themes.flatMap(({ summary, paragraphs }) => [summary, ...paragraphs]),
    ...environment,
    ...risk_factors,
    ...opportunities,
  ];
  const used = new Set(sentences.flatMap((sentence) => sentence.facts));
  return facts.filter(({ id }) => used.has(id));
}

/** SHA-256 of what a model is told: reports with one key may share its words. Who the user is and what they hold is no part of it. */
export function wordingKey(report: Report): string {
  const told = [report.data_date, report.profile, report.stock_picks.map(({ ticker }) => ticker), wordingFacts(report)];
  return createHash('sha256').update(JSON.stringify(told)).digest('hex');
}

/** What the call cost and who answered. */
export type Wording = Pick<Report, 'model' | 'provider' | 'cost_usd' | 'cost_state' | 'spend_ids' | 'citations'>;

/**
 * The report with a model's words: picks, order, numbers and names stay the program's. `source` is `llm` where at least one part of the model is kept; else the report stays
 * `quant` with `invalid_answer`, and what was paid stays on it.
 */
export function withWords(report: Report, checked: CheckedWords, wording: Wording): Report {
  const worded: Report = {
    ...report,
    ...wording,
    dropped: [...report.dropped, ...checked.dropped],
    stock_picks: report.stock_picks.map((pick) => ({ ...pick, rationale: checked.rationales.get(pick.ticker) ?? null })),
    investment_themes: report.investment_themes.map((theme, index) => checked.themes[index] ?? theme),
    market_analysis: checked.market ?? report.market_analysis,
  };
  const kept = checked.rationales.size > 0 || checked.market !== null || checked.themes.some((theme) => theme !== null);
  return { ...worded, source: kept ? 'llm' : 'quant', fallback_reason: kept ? null : 'invalid_answer' };
}
