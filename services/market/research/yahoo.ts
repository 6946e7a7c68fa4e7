/** Fundamentals and news of Yahoo Finance: `quoteSummary` and `search`. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { codeOf, messageOf, StockmeshError } from '../../platform/errors.ts';
import type { Budget } from '../sources/failover-source.ts';
import type { Fetch } from '../sources/http.ts';
import { askedAs, forgetCrumb, malformed, yahooClient, yahooFetch } from '../sources/yahoo-client.ts';
import { parseSymbol, spellingsOf } from '../symbol.ts';
import { type Fundamentals, LONGEST_TITLE, MOST_NEWS, type News, type NewsItem, plainText, type ResearchSource } from './source.ts';

const name = 'yahoo_finance';
const MODULES = ['assetProfile', 'price', 'summaryDetail', 'defaultKeyStatistics', 'financialData', 'calendarEvents'] as const;

/** Yahoo writes a number as such, as `{raw, fmt}`, or as `{}` where it has none. One bad field is null and never costs the others. */
const number = z.unknown().transform((value) => {
  const raw = typeof value === 'object' && value !== null ? (value as { raw?: unknown }).raw : value;
  return typeof raw === 'number' && Number.isFinite(raw) ? raw : null;
});
const text = z.unknown().transform((value) => (typeof value === 'string' && value.trim() !== '' ? plainText(value) : null));
/** A moment that a person may mean: a Date of JavaScript reaches further than the database. */
const isMoment = (date: Date): boolean => date.getTime() >= 0 && date.getUTCFullYear() < 9999;
/** A day in UTC, of a Date, seconds, `{raw, fmt}` or text. */
const day = z.unknown().transform((given) => {
  const value = typeof given === 'object' && given !== null && 'raw' in given ? given.raw : given;
  const date = value instanceof Date ? value : typeof value === 'number' ? new Date(value * 1000) : new Date(String(value));
  return isMoment(date) ? date.toISOString().slice(0, 10) : null;
});
const part = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z
    .object(shape)
    .partial()
    .catch({} as never)
    .optional();

const Summary = z.object({
  assetProfile: part({ sector: text, sectorKey: text, industry: text, industryKey: text }),
  price: part({ quoteType: text, longName: text, shortName: text, currency: text, marketCap: number }),
  summaryDetail: part({ trailingPE: number, dividendYield: number }),
  defaultKeyStatistics: part({ trailingEps: number, bookValue: number, priceToBook: number }),
  financialData: part({
    financialCurrency: text,
    returnOnEquity: number,
    operatingMargins: number,
    debtToEquity: number,
    freeCashflow: number,
    recommendationMean: number,
    numberOfAnalystOpinions: number,
  }),
  calendarEvents: part({
    earnings: z
      .object({ earningsDate: z.array(day).catch([]), isEarningsDateEstimate: z.boolean().catch(true) })
      .partial()
      .catch({}),
  }),
});

const Article = z.object({
  title: z.string().min(1),
  publisher: z.string().min(1),
  link: z.url({ protocol: /^https?$/ }),
  providerPublishTime: z.union([z.date(), z.number().transform((seconds) => new Date(seconds * 1000))]).refine(isMoment),
  relatedTickers: z.array(z.string()).catch([]),
});

export interface YahooResearchOptions {
  fetch?: Fetch;
  clock: Clock;
  timeoutMs?: number;
  budget?: Budget | undefined;
  spell?: (symbol: string) => string;
}

export function yahooResearch({
  fetch = globalThis.fetch,
  clock,
  timeoutMs = 10_000,
  budget,
  spell = spellingsOf(name),
}: YahooResearchOptions): ResearchSource {
  const yahoo = yahooClient();

  async function ask<Answer>(
    symbol: string,
    what: string,
    signal: AbortSignal,
    request: (spelled: string, guarded: Fetch) => Promise<Answer>,
  ): Promise<Answer> {
    const spelled = spell(symbol);
    const guarded = yahooFetch({ fetch, clock, timeoutMs, budget }, askedAs(symbol, spelled), signal);
    try {
      return await request(spelled, guarded);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StockmeshError) throw error;
      throw malformed(symbol, what, messageOf(error), error);
    }
  }

  /** The cookie and crumb run out, and Yahoo then refuses with 401: one more try with new ones. */
  async function withFreshCrumb<Answer>(request: () => Promise<Answer>): Promise<Answer> {
    try {
      return await request();
    } catch (error) {
      if (codeOf(error) !== 'source.blocked' || !/Invalid Crumb|Unauthorized|HTTP 401/.test(messageOf(error))) throw error;
      forgetCrumb(yahoo);
      return request();
    }
  }

  return {
    name,
    async fundamentals(given, signal) {
      signal.throwIfAborted();
      const symbol = parseSymbol(given);
      const answer = await withFreshCrumb(() =>
        ask(symbol, 'a summary', signal, (spelled, guarded) =>
          yahoo.quoteSummary(spelled, { modules: [...MODULES] }, { validateResult: false, fetch: guarded }),
        ),
      );
      const parsed = Summary.safeParse(answer);
      if (!parsed.success) throw malformed(symbol, 'a summary', z.prettifyError(parsed.error), parsed.error);
      return fundamentalsOf(symbol, parsed.data, clock.now());
    },
    async news(given, signal) {
      signal.throwIfAborted();
      const symbol = parseSymbol(given);
      const answer = await ask(symbol, 'a search', signal, (spelled, guarded) =>
        yahoo.search(spelled, { newsCount: MOST_NEWS, quotesCount: 0 }, { validateResult: false, fetch: guarded }),
      );
      const { news } = answer as { news?: unknown };
      if (!Array.isArray(news)) throw malformed(symbol, 'a search', 'it has no list of news');
      return newsOf(symbol, spell(symbol), news, clock.now());
    },
  };
}

function fundamentalsOf(symbol: string, summary: z.output<typeof Summary>, now: Temporal.Instant): Fundamentals {
  const {
    assetProfile: profile,
    price,
    summaryDetail: detail,
    defaultKeyStatistics: statistics,
    financialData: financial,
    calendarEvents,
  } = summary;
  const days = (calendarEvents?.earnings?.earningsDate ?? []).filter((date) => date !== null).sort();
  const debt = financial?.debtToEquity ?? null;
  return {
    symbol,
    source: name,
    fetchedAt: now,
    name: price?.longName ?? price?.shortName ?? null,
    quoteType: price?.quoteType ?? null,
    sectorKey: profile?.sectorKey ?? null,
    sector: profile?.sector ?? null,
    industryKey: profile?.industryKey ?? null,
    industry: profile?.industry ?? null,
    currency: price?.currency ?? null,
    financialCurrency: financial?.financialCurrency ?? null,
    values: {
      marketCap: price?.marketCap ?? null,
      trailingPe: detail?.trailingPE ?? null,
      trailingEps: statistics?.trailingEps ?? null,
      bookValue: statistics?.bookValue ?? null,
      priceToBook: statistics?.priceToBook ?? null,
      // A whole answer without a yield is a company that pays none.
      dividendYield: detail === undefined ? null : (detail.dividendYield ?? 0),
      returnOnEquity: financial?.returnOnEquity ?? null,
      operatingMargins: financial?.operatingMargins ?? null,
      // Yahoo gives it in percent.
      debtToEquity: debt === null ? null : debt / 100,
      freeCashflow: financial?.freeCashflow ?? null,
      recommendationMean: financial?.recommendationMean ?? null,
      analysts: financial?.numberOfAnalystOpinions ?? null,
    },
    earnings:
      days.length === 0
        ? null
        : { from: days[0] as string, to: days.at(-1) as string, isEstimate: calendarEvents?.earnings?.isEarningsDateEstimate ?? true },
  };
}

/** Only what names the symbol: a search also finds what has nothing to do with it. */
function newsOf(symbol: string, spelled: string, articles: readonly unknown[], now: Temporal.Instant): News {
  const items = articles.flatMap((article): NewsItem[] => {
    const parsed = Article.safeParse(article);
    if (!parsed.success || !parsed.data.relatedTickers.includes(spelled)) return [];
    const { title, publisher, link, providerPublishTime, relatedTickers } = parsed.data;
    const published = Temporal.Instant.fromEpochMilliseconds(providerPublishTime.getTime());
    const clean = plainText(title, LONGEST_TITLE);
    if (clean === '' || Temporal.Instant.compare(published, now) > 0) return [];
    return [
      {
        id: newsId(link),
        title: clean,
        publisher: plainText(publisher, 100),
        publishedAt: published,
        tickers: relatedTickers.slice(0, 20),
        link,
      },
    ];
  });
  return { symbol, source: name, fetchedAt: now, items };
}

/** The id of an article, by its link. */
export const newsId = (link: string): string => createHash('sha256').update(link).digest('hex');
