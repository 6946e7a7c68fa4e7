/** The facts about one symbol that a model reads, each with an id, a source and a day. */
import type { Bar } from '../../market/bars/bars.ts';
import { isSimulated, type SymbolJudgement } from '../../market/freshness/symbol-judgement.ts';
import { adjust } from '../../market/indicators/indicators.ts';
import { shownFundamentals, shownMoney } from '../../market/research/shown.ts';
import type { Fundamentals } from '../../market/research/source.ts';
import type { StoredNews } from '../../market/research/store.ts';
import { type Fact, shownChange, shownPercent } from '../../model/words/facts.ts';
import { headlinesAbout, plainHeadline } from '../../model/words/headlines.ts';
import type { AnalysisKind } from '../../platform/config/sections/model.ts';

export interface FactSources {
  symbol: string;
  judged: Pick<SymbolJudgement, 'state' | 'signal'>;
  /** Ascending, comparable with each other: none before a split that the source has not restated. */
  bars: readonly Bar[];
  fundamentals: Fundamentals | undefined;
  news: StoredNews;
}

export interface SymbolFacts {
  facts: Fact[];
  /** What there is nothing of, as half a sentence each. */
  missing: string[];
  /** Of the newest price. */
  dataDate: string | null;
  /** As its source names the company. */
  company: string | null;
  simulated: boolean;
}

type Draft = Omit<Fact, 'id' | 'symbol'>;

const MOST_FACTS = 120;
const LONGEST_SHOWN = 40;
const LONGEST_SOURCE = 60;
/** Older headlines say nothing of today's price. */
const HEADLINE_DAYS = 30;

/** Kinds stand in the order of `order`; the first 120 facts count. Real prices never stand beside made-up figures of a company, and the reverse. */
export function symbolFacts(sources: FactSources, order: readonly AnalysisKind[], now: Temporal.Instant): SymbolFacts {
  const { symbol, judged, bars } = sources;
  const hasPrices = bars.length > 0;
  const simulated = hasPrices
    ? isSimulated(judged.state)
    : sources.fundamentals?.source === 'simulated' || sources.news.source === 'simulated';
  const belongs = (source: string | null | undefined): boolean => source != null && (source === 'simulated') === simulated;
  const fundamentals = belongs(sources.fundamentals?.source) ? sources.fundamentals : undefined;
  const news = { ...sources.news, items: sources.news.items.filter(({ source }) => belongs(source)) };
  const drafts: Record<AnalysisKind, Draft[]> = {
    technical: hasPrices ? [...priceFacts(bars, judged), ...indicatorFacts(bars, judged)] : [],
    fundamental: fundamentals === undefined ? [] : fundamentalFacts(fundamentals),
    news: headlineFacts(symbol, news, now),
    sentiment: [],
  };
  const missing = [
    ...(hasPrices ? [] : ['no prices are stored']),
    ...(hasPrices && judged.signal === undefined ? ['no indicators are stored'] : []),
    ...(drafts.fundamental.length > 0 ? [] : ['no figures of the company are stored']),
    ...(drafts.news.length > 0 ? [] : [`no headlines of the last ${HEADLINE_DAYS} days are stored`]),
  ];
  return {
    facts: order
      .flatMap((kind) => drafts[kind])
      .slice(0, MOST_FACTS)
      .map((draft, index) => ({ id: `f${index + 1}`, symbol, ...draft })),
    missing,
    dataDate: bars.at(-1)?.date ?? null,
    company: fundamentals?.name ?? null,
    simulated,
  };
}

/** Trading days back, and how people say it. */
const CHANGES = [
  [1, 'change in a day'],
  [21, 'change in a month (21 days)'],
  [63, 'change in a quarter (63 days)'],
  [252, 'change in a year (252 days)'],
] as const;
const YEAR = 252;

function priceFacts(bars: readonly Bar[], { state }: FactSources['judged']): Draft[] {
  const { close } = adjust(bars);
  const last = bars.at(-1) as Bar;
  const now = close[close.length - 1] as number;
  const about = { kind: 'price', as_of: last.date, source: state?.source ?? 'cached', trust: 'measured' } as const;
  const changes = CHANGES.flatMap(([days, label]): Draft[] => {
    const then = close[close.length - 1 - days];
    return then === undefined || then <= 0
      ? []
      : [{ ...about, label, value: now / then - 1, unit: 'pct', shown: shownChange(now / then - 1) }];
  });
  const year = close.slice(-YEAR);
  const [low, high] = [Math.min(...year), Math.max(...year)];
  const currency = state?.currency ?? null;
  const range: Draft[] =
    year.length < YEAR
      ? []
      : [
          { ...about, label: 'below the highest close of a year', value: 1 - now / high, unit: 'pct', shown: shownPercent(1 - now / high) },
          { ...about, label: 'above the lowest close of a year', value: now / low - 1, unit: 'pct', shown: shownPercent(now / low - 1) },
        ];
  return [
    { ...about, label: 'close', value: last.close, unit: currency === 'USD' ? 'usd' : 'money', shown: shownMoney(last.close, currency) },
    ...changes,
    ...range,
  ];
}

const MEANS = [
  ['sma20', 'close against its 20-day mean'],
  ['sma50', 'close against its 50-day mean'],
  ['sma200', 'close against its 200-day mean'],
] as const;

/** Of the stored analysis; distances instead of levels, since a level says nothing alone. */
function indicatorFacts(bars: readonly Bar[], { signal }: FactSources['judged']): Draft[] {
  if (signal === undefined) return [];
  const { indicators, date } = signal;
  const about = { kind: 'indicator', as_of: date, source: 'analysis', trust: 'measured' } as const;
  const { close } = adjust(bars);
  const at = bars.findLastIndex((bar) => bar.date === date);
  const price = at === -1 ? undefined : close[at];
  const means = MEANS.flatMap(([name, label]): Draft[] => {
    const mean = indicators[name];
    if (mean == null || mean <= 0 || price === undefined) return [];
    return [{ ...about, label, value: price / mean - 1, unit: 'pct', shown: shownChange(price / mean - 1) }];
  });
  const { rsi14, macdHistogram, atr14, volatility20 } = indicators;
  return [
    ...means,
    ...(rsi14 == null ? [] : [{ ...about, label: 'RSI 14, 0 to 100', value: rsi14, unit: 'ratio' as const, shown: rsi14.toFixed(1) }]),
    ...(macdHistogram == null || price === undefined
      ? []
      : [
          {
            ...about,
            label: 'MACD histogram of the price',
            value: macdHistogram / price,
            unit: 'pct' as const,
            shown: signedPercent(macdHistogram / price),
          },
        ]),
    ...(atr14 == null || price === undefined
      ? []
      : [
          {
            ...about,
            label: 'average true range of the price',
            value: atr14 / price,
            unit: 'pct' as const,
            shown: shownPercent(atr14 / price),
          },
        ]),
    ...(volatility20 == null
      ? []
      : [
          {
            ...about,
            label: 'volatility of 20 days, a year',
            value: volatility20,
            unit: 'pct' as const,
            shown: shownPercent(volatility20),
          },
        ]),
  ];
}

/** Two decimals, for shares far below a percent. */
const signedPercent = (value: number): string => `${value < 0 ? '-' : '+'}${Math.abs(value * 100).toFixed(2)}%`;

function fundamentalFacts(fundamentals: Fundamentals): Draft[] {
  const { source, fetchedAt, sector, industry, earnings } = fundamentals;
  const about = { as_of: fetchedAt.toString().slice(0, 10), source, trust: 'measured' } as const;
  const words = { ...about, kind: 'fundamental', unit: 'text', trust: 'third_party' } as const;
  const named = (label: string, value: string | null): Draft[] =>
    value === null ? [] : [{ ...words, label, value: plainHeadline(value), shown: cut(plainHeadline(value), LONGEST_SHOWN) }];
  const numbers = shownFundamentals(fundamentals).map(
    ({ label, value, unit, currency, shown }): Draft => ({
      ...about,
      kind: 'fundamental',
      label,
      value,
      unit: unit === 'fraction' ? 'pct' : unit === 'money' && currency === 'USD' ? 'usd' : unit,
      shown,
    }),
  );
  const days = earnings === null || earnings.from === earnings.to ? earnings?.from : `${earnings.from} to ${earnings.to}`;
  return [
    ...named('sector', sector),
    ...named('industry', industry),
    ...numbers,
    ...(earnings === null || days === undefined
      ? []
      : [
          {
            ...about,
            kind: 'event' as const,
            label: earnings.isEstimate ? 'next earnings report, expected' : 'next earnings report',
            value: earnings.from,
            unit: 'date' as const,
            shown: days,
          },
        ]),
  ];
}

/** The newest ten of the last 30 days, at most three of a publisher. */
function headlineFacts(symbol: string, { items }: Pick<StoredNews, 'items'>, now: Temporal.Instant): Draft[] {
  const oldest = now.subtract({ hours: 24 * HEADLINE_DAYS });
  // Stored are only those about the symbol, some under the spelling of their source.
  const recent = items
    .filter(({ publishedAt }) => Temporal.Instant.compare(publishedAt, oldest) > 0)
    .map((item) => ({ ...item, tickers: [symbol] }));
  return headlinesAbout(symbol, recent).map(({ title, publisher, publishedAt }): Draft => {
    const from = plainHeadline(publisher);
    return {
      kind: 'headline',
      label: 'headline',
      value: title,
      unit: 'text',
      as_of: publishedAt.toString().slice(0, 10),
      source: cut(from === '' ? 'unknown' : from, LONGEST_SOURCE),
      shown: 'a headline',
      trust: 'third_party',
    };
  });
}

const cut = (text: string, longest: number): string => Array.from(text).slice(0, longest).join('').trim();

/** A recommendation needs facts: at least three, of two kinds. Under that it is "hold", whatever the model says. */
export function isEnough(facts: readonly Pick<Fact, 'kind'>[]): boolean {
  return facts.length >= 3 && new Set(facts.map(({ kind }) => kind)).size >= 2;
}
