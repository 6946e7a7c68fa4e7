/** What is known of a company beside its prices, and the ports of its sources. */

export const RESEARCH_SOURCES = ['yahoo_finance', 'alpha_vantage', 'simulated'] as const;
export type ResearchSourceName = (typeof RESEARCH_SOURCES)[number];

/** The numbers of a company, and their units: `money` is in the currency of the price, `statement_money` in that of the statements. */
export const FUNDAMENTALS = {
  marketCap: { label: 'market value', unit: 'money' },
  trailingPe: { label: 'price / earnings', unit: 'ratio' },
  trailingEps: { label: 'earnings per share, four quarters', unit: 'money' },
  bookValue: { label: 'book value per share', unit: 'money' },
  priceToBook: { label: 'price / book', unit: 'ratio' },
  dividendYield: { label: 'dividend yield', unit: 'fraction' },
  returnOnEquity: { label: 'return on equity', unit: 'fraction' },
  operatingMargins: { label: 'operating margin', unit: 'fraction' },
  debtToEquity: { label: 'debt / equity', unit: 'ratio' },
  freeCashflow: { label: 'free cash flow', unit: 'statement_money' },
  recommendationMean: { label: "analysts' mean, 1 best to 5", unit: 'ratio' },
  analysts: { label: 'analysts', unit: 'count' },
} as const satisfies Record<string, { label: string; unit: 'money' | 'statement_money' | 'ratio' | 'fraction' | 'count' }>;
export type FundamentalName = keyof typeof FUNDAMENTALS;

export interface Fundamentals {
  symbol: string;
  source: ResearchSourceName;
  fetchedAt: Temporal.Instant;
  name: string | null;
  /** `EQUITY`, `ETF`, `INDEX`, … */
  quoteType: string | null;
  /** Stable ids (`technology`, `consumer-electronics`), and names for people. */
  sectorKey: string | null;
  sector: string | null;
  industryKey: string | null;
  industry: string | null;
  /** Of the price, and of the company's statements. */
  currency: string | null;
  financialCurrency: string | null;
  /** Null where the source has no such number, or a senseless one. */
  values: Readonly<Record<FundamentalName, number | null>>;
  /** The next report: a day, or the first and last day on which it is expected. */
  earnings: { from: string; to: string; isEstimate: boolean } | null;
}

export interface NewsItem {
  /** SHA-256 of the link, hex. */
  id: string;
  title: string;
  publisher: string;
  publishedAt: Temporal.Instant;
  /** Symbols that the source names for it. */
  tickers: readonly string[];
  link: string;
}

export interface News {
  symbol: string;
  source: ResearchSourceName;
  fetchedAt: Temporal.Instant;
  items: readonly NewsItem[];
}

/** Errors as those of a market source: `PermanentError('source.unknown_symbol')`, `TransientError('source.…')`. */
export interface ResearchSource {
  readonly name: ResearchSourceName;
  fundamentals(symbol: string, signal: AbortSignal): Promise<Fundamentals>;
  news(symbol: string, signal: AbortSignal): Promise<News>;
}

/** Headlines of one symbol at most. */
export const MOST_NEWS = 10;
export const LONGEST_TITLE = 200;

/** A text of a source in one line: without control, bidirectional and zero-width characters, markup and the braces of fact slots. */
export function plainText(text: string, longest = LONGEST_TITLE): string {
  const clean = text
    .normalize('NFKC')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, ' ')
    .replace(/https?:\/\/\S+/gi, ' ')
    .replace(/[{}<>`]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  // By code points: half of a pair is no character.
  const points = Array.from(clean);
  return points.length <= longest ? clean : `${points.slice(0, longest - 1).join('')}…`;
}
