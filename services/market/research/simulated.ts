/** Made-up fundamentals and news, the same for a symbol and seed: where no network is, and marked as simulated. */
import type { Clock } from '../../platform/clock.ts';
import { hashed } from '../sources/simulated.ts';
import { parseSymbol } from '../symbol.ts';
import type { NewsItem, ResearchSource } from './source.ts';
import { newsId } from './yahoo.ts';

const name = 'simulated';
const SECTORS = [
  [
    'technology',
    'Technology',
    ['software', 'Software'],
    ['semiconductors', 'Semiconductors'],
    ['consumer-electronics', 'Consumer Electronics'],
  ],
  ['healthcare', 'Healthcare', ['drug-manufacturers', 'Drug Manufacturers'], ['medical-devices', 'Medical Devices']],
  ['financial-services', 'Financial Services', ['banks-regional', 'Banks - Regional'], ['asset-management', 'Asset Management']],
  ['consumer-cyclical', 'Consumer Cyclical', ['restaurants', 'Restaurants'], ['auto-manufacturers', 'Auto Manufacturers']],
  ['industrials', 'Industrials', ['railroads', 'Railroads'], ['aerospace-defense', 'Aerospace & Defense']],
  ['energy', 'Energy', ['oil-gas-integrated', 'Oil & Gas Integrated']],
  ['utilities', 'Utilities', ['utilities-regulated-electric', 'Utilities - Regulated Electric']],
  ['communication-services', 'Communication Services', ['entertainment', 'Entertainment'], ['telecom-services', 'Telecom Services']],
] as const;
const HEADLINES = [
  'opens a new plant in the simulated market',
  'names a new head of finance in the simulated market',
  'presents its figures in the simulated market',
  'extends a contract in the simulated market',
] as const;
const DAY_MS = 86_400_000;

export function simulatedResearch({ seed, clock }: { seed: number; clock: Clock }): ResearchSource {
  return {
    name,
    async fundamentals(given) {
      const symbol = parseSymbol(given);
      const random = hashed(`research ${seed} ${symbol}`);
      const [sectorKey, sector, ...industries] = SECTORS[Math.floor(random(1, 0) * SECTORS.length)] as (typeof SECTORS)[number];
      const [industryKey, industry] = industries[Math.floor(random(1, 1) * industries.length)] as readonly [string, string];
      const between = (index: number, low: number, high: number): number => Number((low + (high - low) * random(2, index)).toPrecision(4));
      const eps = between(0, -1, 9);
      const now = clock.now();
      const report = now
        .add({ hours: 24 * (5 + Math.floor(random(3, 0) * 80)) })
        .toString()
        .slice(0, 10);
      return {
        ...{ symbol, source: name, fetchedAt: now, name: `${symbol} (simulated)`, quoteType: 'EQUITY' },
        ...{ sectorKey, sector, industryKey, industry, currency: 'USD', financialCurrency: 'USD' },
        values: {
          marketCap: between(1, 1e9, 9e11),
          trailingPe: eps > 0 ? between(2, 6, 45) : null,
          trailingEps: eps,
          bookValue: between(3, 2, 60),
          priceToBook: between(4, 0.8, 12),
          dividendYield: random(2, 5) < 0.4 ? 0 : between(5, 0.003, 0.05),
          returnOnEquity: between(6, -0.05, 0.45),
          operatingMargins: between(7, -0.05, 0.4),
          debtToEquity: between(8, 0, 2.2),
          freeCashflow: between(9, -1e9, 4e10),
          recommendationMean: between(10, 1.4, 3.6),
          analysts: Math.floor(between(11, 1, 40)),
        },
        earnings: { from: report, to: report, isEstimate: true },
      };
    },
    async news(given) {
      const symbol = parseSymbol(given);
      const now = clock.now();
      // The same all day.
      const today = Math.floor(now.epochMilliseconds / DAY_MS);
      const random = hashed(`news ${seed} ${symbol}`);
      const items = Array.from({ length: 1 + Math.floor(random(1, today) * 3) }, (_, index): NewsItem => {
        const headline = HEADLINES[Math.floor(random(2 + index, today) * HEADLINES.length)] as string;
        const link = `https://simulated.invalid/${encodeURIComponent(symbol)}/${today}/${index}`;
        return {
          id: newsId(link),
          title: `${symbol} ${headline}`,
          publisher: 'Simulated News',
          publishedAt: Temporal.Instant.fromEpochMilliseconds((today - index) * DAY_MS),
          tickers: [symbol],
          link,
        };
      });
      return { symbol, source: name, fetchedAt: now, items };
    },
  };
}
