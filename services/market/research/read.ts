/** The stored research of a symbol, as people and programs see it. */
import type { Sql } from '../../platform/database/database.ts';
import { type ShownFundamental, shownFundamentals } from './shown.ts';
import type { Fundamentals } from './source.ts';
import { FUNDAMENTALS_HOURS, NEWS_HOURS } from './staleness.ts';
import { readFundamentals, readNews, type StoredNews } from './store.ts';

/** Stands beside what others think of a share. */
export const RESEARCH_DISCLAIMER = 'Not investment advice: figures and headlines as their sources give them.';

export interface StoredResearch {
  fundamentals: Fundamentals | undefined;
  news: StoredNews;
}

/** Undefined for a symbol of which no research is stored. */
export async function readResearch(sql: Sql, symbol: string, headlines: number): Promise<StoredResearch | undefined> {
  const [fundamentals, news] = await Promise.all([readFundamentals(sql, [symbol]), readNews(sql, symbol, headlines)]);
  const known = fundamentals.get(symbol);
  return known === undefined && news.checkedAt === null ? undefined : { fundamentals: known, news };
}

/** Whether any is stored. By the primary keys. */
export async function hasResearch(sql: Sql, symbol: string): Promise<boolean> {
  const [row] = await sql.rows<{ found: number }>(
    'SELECT EXISTS (SELECT 1 FROM fundamentals WHERE symbol = ?) OR EXISTS (SELECT 1 FROM news_checks WHERE symbol = ?) AS found',
    [symbol, symbol],
  );
  return row?.found === 1;
}

const isOlder = (at: Temporal.Instant, hours: number, now: Temporal.Instant): boolean =>
  Temporal.Instant.compare(at.add({ hours }), now) <= 0;
const dateOf = (instant: Temporal.Instant): Date => new Date(instant.epochMilliseconds);

/** As `--json` and the HTTP API give it. */
export function researchJson(symbol: string, { fundamentals, news }: StoredResearch, now: Temporal.Instant) {
  return {
    symbol,
    disclaimer: RESEARCH_DISCLAIMER,
    fundamentals: fundamentals === undefined ? null : fundamentalsJson(fundamentals, now),
    news: {
      source: news.source,
      simulated: news.source === 'simulated',
      checked_at: news.checkedAt === null ? null : dateOf(news.checkedAt),
      stale: news.checkedAt === null || isOlder(news.checkedAt, NEWS_HOURS, now),
      headlines: news.items.map(({ id, title, publisher, publishedAt, link, source }) => ({
        id,
        title,
        publisher,
        published_at: dateOf(publishedAt),
        link,
        source,
      })),
    },
  };
}

function fundamentalsJson(fundamentals: Fundamentals, now: Temporal.Instant) {
  const { source, fetchedAt, name, quoteType, sectorKey, sector, industryKey, industry, currency, financialCurrency, earnings } =
    fundamentals;
  return {
    source,
    simulated: source === 'simulated',
    fetched_at: dateOf(fetchedAt),
    stale: isOlder(fetchedAt, FUNDAMENTALS_HOURS, now),
    name,
    quote_type: quoteType,
    sector_key: sectorKey,
    sector,
    industry_key: industryKey,
    industry,
    currency,
    financial_currency: financialCurrency,
    values: shownFundamentals(fundamentals).map(({ name: key, asOf, ...rest }: ShownFundamental) => ({ name: key, ...rest, as_of: asOf })),
    earnings: earnings === null ? null : { from: earnings.from, to: earnings.to, is_estimate: earnings.isEstimate },
  };
}
