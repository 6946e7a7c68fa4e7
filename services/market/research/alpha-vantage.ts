/** Fundamentals and news of Alpha Vantage: `OVERVIEW` and `NEWS_SENTIMENT`. */
import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import { PermanentError, TransientError } from '../../platform/errors.ts';
import type { Budget } from '../sources/failover-source.ts';
import { type Fetch, fetchText } from '../sources/http.ts';
import { parseSymbol, spellingsOf } from '../symbol.ts';
import { type Fundamentals, LONGEST_TITLE, MOST_NEWS, type News, type NewsItem, plainText, type ResearchSource } from './source.ts';
import { newsId } from './yahoo.ts';

const name = 'alpha_vantage';

/** Numbers arrive as text; "None" and "-" are none. */
const number = z.unknown().transform((value) => {
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(parsed) ? parsed : null;
});
const text = z.unknown().transform((value) => (typeof value === 'string' && !/^(none|-|)$/i.test(value.trim()) ? plainText(value) : null));

const Overview = z.object({
  Symbol: z.string(),
  AssetType: text,
  Name: text,
  Currency: text,
  Sector: text,
  Industry: text,
  MarketCapitalization: number,
  PERatio: number,
  EPS: number,
  BookValue: number,
  PriceToBookRatio: number,
  DividendYield: number,
  ReturnOnEquityTTM: number,
  OperatingMarginTTM: number,
});
const Feed = z.object({
  feed: z.array(z.unknown()),
});
/** Undefined for a month, day or hour that there is not. */
function instantOf(text: string): Temporal.Instant | undefined {
  if (!/^\d{8}T\d{6}$/.test(text)) return undefined;
  try {
    return Temporal.Instant.from(`${text}Z`);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const Article = z.object({
  title: z.string().min(1),
  url: z.url({ protocol: /^https?$/ }),
  /** `20260302T133000`, UTC. */
  time_published: z
    .string()
    .transform(instantOf)
    .refine((moment) => moment !== undefined),
  source: z.string().min(1),
  ticker_sentiment: z.array(z.object({ ticker: z.string() })).catch([]),
});
const Refusal = z.object({ 'Error Message': z.string().optional(), Note: z.string().optional(), Information: z.string().optional() });

export interface AlphaVantageResearchOptions {
  apiKey: string;
  fetch?: Fetch;
  baseUrl?: string;
  clock: Clock;
  timeoutMs?: number;
  budget?: Budget | undefined;
  spell?: (symbol: string) => string;
}

/** No message contains the key. The service answers its own errors with HTTP 200. */
export function alphaVantageResearch(options: AlphaVantageResearchOptions): ResearchSource {
  const {
    apiKey,
    fetch = globalThis.fetch,
    baseUrl = 'https://www.alphavantage.co',
    clock,
    timeoutMs = 15_000,
    budget,
    spell = spellingsOf(name),
  } = options;
  const blanked = (message: string): string => message.replaceAll(apiKey, '***').replaceAll(encodeURIComponent(apiKey), '***');

  async function ask(symbol: string, parameters: Record<string, string>, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    await budget?.(name, signal);
    const url = new URL('/query', baseUrl);
    url.search = new URLSearchParams({ ...parameters, apikey: apiKey }).toString();
    const { status, text: body } = await fetchText({ source: name, fetch, clock, timeoutMs, redact: blanked }, url, undefined, signal);
    if (status !== 200) throw new TransientError('source.unavailable', `${name}: HTTP ${status}`);
    const answer = jsonOf(body, symbol);
    const refusal = Refusal.safeParse(answer).data;
    const said = refusal?.['Error Message'] ?? refusal?.Note ?? refusal?.Information;
    if (said === undefined) return answer;
    if (/invalid|apikey is/i.test(said) && refusal?.['Error Message'] === undefined)
      throw new PermanentError('source.denied', `${name}: ${blanked(said).slice(0, 300)}`);
    if (refusal?.['Error Message'] !== undefined)
      throw new PermanentError('source.unknown_symbol', `${name}: unknown symbol ${symbol} (${blanked(said).slice(0, 200)})`);
    throw new TransientError('source.rate_limited', `${name}: ${blanked(said).slice(0, 300)}`);
  }

  return {
    name,
    async fundamentals(given, signal) {
      const symbol = parseSymbol(given);
      const answer = await ask(symbol, { function: 'OVERVIEW', symbol: spell(symbol) }, signal);
      // An unknown symbol is answered with an empty object.
      const parsed = Overview.safeParse(answer);
      if (!parsed.success) {
        if (typeof answer === 'object' && answer !== null && Object.keys(answer).length === 0)
          throw new PermanentError('source.unknown_symbol', `${name}: unknown symbol ${symbol}`);
        throw new TransientError(
          'source.malformed',
          `${name}: the answer for ${symbol} is not an overview: ${z.prettifyError(parsed.error).slice(0, 300)}`,
        );
      }
      return fundamentalsOf(symbol, parsed.data, clock.now());
    },
    async news(given, signal) {
      const symbol = parseSymbol(given);
      const spelled = spell(symbol);
      const answer = await ask(symbol, { function: 'NEWS_SENTIMENT', tickers: spelled, limit: '50' }, signal);
      const feed = Feed.safeParse(answer);
      if (!feed.success) throw new TransientError('source.malformed', `${name}: the answer for ${symbol} is not a list of news`);
      return newsOf(symbol, spelled, feed.data.feed, clock.now());
    },
  };
}

function jsonOf(body: string, symbol: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new TransientError('source.malformed', `${name}: the answer for ${symbol} is not JSON`);
  }
}

/** `TECHNOLOGY` as Yahoo's id: `technology`. */
const keyOf = (words: string | null): string | null =>
  words === null
    ? null
    : words
        .toLowerCase()
        .replace(/&/g, ' ')
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-|-$/g, '');

function fundamentalsOf(symbol: string, overview: z.output<typeof Overview>, now: Temporal.Instant): Fundamentals {
  return {
    symbol,
    source: name,
    fetchedAt: now,
    name: overview.Name,
    quoteType: overview.AssetType === null ? null : /common stock/i.test(overview.AssetType) ? 'EQUITY' : overview.AssetType.toUpperCase(),
    sectorKey: keyOf(overview.Sector),
    sector: overview.Sector,
    industryKey: keyOf(overview.Industry),
    industry: overview.Industry,
    currency: overview.Currency,
    financialCurrency: overview.Currency,
    values: {
      marketCap: overview.MarketCapitalization,
      trailingPe: overview.PERatio,
      trailingEps: overview.EPS,
      bookValue: overview.BookValue,
      priceToBook: overview.PriceToBookRatio,
      dividendYield: overview.DividendYield ?? 0,
      returnOnEquity: overview.ReturnOnEquityTTM,
      operatingMargins: overview.OperatingMarginTTM,
      // Not in its overview.
      debtToEquity: null,
      freeCashflow: null,
      recommendationMean: null,
      analysts: null,
    },
    earnings: null,
  };
}

function newsOf(symbol: string, spelled: string, feed: readonly unknown[], now: Temporal.Instant): News {
  const items = feed.flatMap((article): NewsItem[] => {
    const parsed = Article.safeParse(article);
    if (!parsed.success) return [];
    const { title, url, time_published, source, ticker_sentiment } = parsed.data;
    const tickers = ticker_sentiment.map(({ ticker }) => ticker);
    const clean = plainText(title, LONGEST_TITLE);
    if (!tickers.includes(spelled) || clean === '' || Temporal.Instant.compare(time_published, now) > 0) return [];
    return [
      {
        id: newsId(url),
        title: clean,
        publisher: plainText(source, 100),
        publishedAt: time_published,
        tickers: tickers.slice(0, 20),
        link: url,
      },
    ];
  });
  return { symbol, source: name, fetchedAt: now, items: items.slice(0, MOST_NEWS) };
}
