/** Stored fundamentals and news. */
import { fromJson, type Sql, type Transaction, toJson } from '../../platform/database/database.ts';
import type { Fundamentals, News, NewsItem, ResearchSourceName } from './source.ts';

interface FundamentalsRow {
  symbol: string;
  fetched_at: Date;
  source: ResearchSourceName;
  name: string | null;
  quote_type: string | null;
  sector_key: string | null;
  sector: string | null;
  industry_key: string | null;
  industry: string | null;
  currency: string | null;
  financial_currency: string | null;
  data: unknown;
  earnings_from: string | null;
  earnings_to: string | null;
  earnings_estimate: number | null;
}

const COLUMNS =
  'symbol, fetched_at, source, name, quote_type, sector_key, sector, industry_key, industry, currency, financial_currency, data, earnings_from, earnings_to, earnings_estimate';

/** Writes one row a symbol and day; of two on one day the newer stays. */
export async function storeFundamentals(tx: Transaction, rows: readonly Fundamentals[]): Promise<void> {
  if (rows.length === 0) return;
  const sorted = rows.toSorted((a, b) => Temporal.Instant.compare(a.fetchedAt, b.fetchedAt));
  tx.later(`REPLACE INTO fundamentals (day, ${COLUMNS}) VALUES ?`, [
    sorted.map((row) => [
      row.fetchedAt.toString().slice(0, 10),
      row.symbol,
      dateOf(row.fetchedAt),
      row.source,
      row.name,
      row.quoteType?.slice(0, 32) ?? null,
      row.sectorKey?.slice(0, 100) ?? null,
      row.sector?.slice(0, 100) ?? null,
      row.industryKey?.slice(0, 100) ?? null,
      row.industry?.slice(0, 100) ?? null,
      row.currency?.slice(0, 8) ?? null,
      row.financialCurrency?.slice(0, 8) ?? null,
      toJson(row.values),
      row.earnings?.from ?? null,
      row.earnings?.to ?? null,
      row.earnings === null ? null : Number(row.earnings.isEstimate),
    ]),
  ]);
}

/** The newest row of each of these symbols that was fetched at or before `asOf`, by symbol. Walks the primary key, a symbol at a time. */
export async function readFundamentals(sql: Sql, symbols: readonly string[], asOf?: Temporal.Instant): Promise<Map<string, Fundamentals>> {
  if (symbols.length === 0) return new Map();
  const until = asOf === undefined ? '9999-12-31' : asOf.toString().slice(0, 10);
  const rows = await sql.rows<FundamentalsRow>(
    `SELECT ${COLUMNS.split(', ')
      .map((column) => `f.${column}`)
      .join(', ')} FROM (SELECT symbol, MAX(day) AS day FROM fundamentals WHERE symbol IN (?) AND day <= ? GROUP BY symbol) AS newest
       JOIN fundamentals f ON f.symbol = newest.symbol AND f.day = newest.day`,
    [symbols, until],
  );
  return new Map(rows.map((row) => [row.symbol, fundamentalsOf(row)]));
}

function fundamentalsOf(row: FundamentalsRow): Fundamentals {
  return {
    symbol: row.symbol,
    source: row.source,
    fetchedAt: instantOf(row.fetched_at),
    name: row.name,
    quoteType: row.quote_type,
    sectorKey: row.sector_key,
    sector: row.sector,
    industryKey: row.industry_key,
    industry: row.industry,
    currency: row.currency,
    financialCurrency: row.financial_currency,
    values: fromJson(row.data) as Fundamentals['values'],
    earnings:
      row.earnings_from === null || row.earnings_to === null
        ? null
        : { from: row.earnings_from, to: row.earnings_to, isEstimate: row.earnings_estimate === 1 },
  };
}

/** Adds headlines, and writes when they were asked for. What is stored stays as it is. */
export async function storeNews(tx: Transaction, answers: readonly News[]): Promise<void> {
  if (answers.length === 0) return;
  tx.later(
    'INSERT INTO news_checks (symbol, checked_at, source) VALUES ? ON DUPLICATE KEY UPDATE checked_at = GREATEST(checked_at, VALUES(checked_at)), source = VALUES(source)',
    [answers.map(({ symbol, fetchedAt, source }) => [symbol, dateOf(fetchedAt), source])],
  );
  const rows = answers.flatMap(({ symbol, fetchedAt, source, items }) =>
    items.map((item) => [
      symbol,
      Buffer.from(item.id, 'hex'),
      dateOf(item.publishedAt),
      dateOf(fetchedAt),
      source,
      item.title,
      item.publisher,
      item.link.slice(0, 2_000),
      toJson(item.tickers),
    ]),
  );
  if (rows.length > 0)
    tx.later('INSERT IGNORE INTO news (symbol, id, published_at, fetched_at, source, title, publisher, link, tickers) VALUES ?', [rows]);
}

/** The name of each company as its newest fundamentals give it. Walks the primary key, the newest day of each symbol. */
export async function readNames(sql: Sql): Promise<{ ticker: string; name: string }[]> {
  return sql.rows(
    `SELECT f.symbol AS ticker, f.name FROM (SELECT symbol, MAX(day) AS day FROM fundamentals GROUP BY symbol) AS newest
       JOIN fundamentals f ON f.symbol = newest.symbol AND f.day = newest.day WHERE f.name IS NOT NULL`,
  );
}

export interface StoredNews {
  /** When the news were asked for last; null: never. */
  checkedAt: Temporal.Instant | null;
  source: ResearchSourceName | null;
  /** The newest first. */
  items: readonly (NewsItem & { source: ResearchSourceName })[];
}

/** The newest headlines of a symbol. */
export async function readNews(sql: Sql, symbol: string, limit: number): Promise<StoredNews> {
  const [[check], rows] = await Promise.all([
    sql.rows<{ checked_at: Date; source: ResearchSourceName }>('SELECT checked_at, source FROM news_checks WHERE symbol = ?', [symbol]),
    sql.rows<{
      id: Buffer;
      published_at: Date;
      source: ResearchSourceName;
      title: string;
      publisher: string;
      link: string;
      tickers: unknown;
    }>(
      'SELECT id, published_at, source, title, publisher, link, tickers FROM news FORCE INDEX (ix_symbol) WHERE symbol = ? ORDER BY published_at DESC, id LIMIT ?',
      [symbol, limit],
    ),
  ]);
  return {
    checkedAt: check === undefined ? null : instantOf(check.checked_at),
    source: check?.source ?? null,
    items: rows.map(({ id, published_at, tickers, ...row }) => ({
      ...row,
      id: id.toString('hex'),
      publishedAt: instantOf(published_at),
      tickers: fromJson(tickers) as string[],
    })),
  };
}

const dateOf = (instant: Temporal.Instant): Date => new Date(instant.epochMilliseconds);
const instantOf = (date: Date): Temporal.Instant => Temporal.Instant.fromEpochMilliseconds(date.getTime());
