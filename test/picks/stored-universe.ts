/** An invented universe in the database, and the answers of a model that words its reports. */

import { usCalendar } from '../../services/market/calendar/calendar.ts';
import { dateOf, dayOf, priceHistoryOf, type UniverseMember } from '../../services/picks/universe/input.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { toJson } from '../../services/platform/database/database.ts';
import type { ModelRequest } from '../support/model-server.ts';
import { DATA_DATE, walk } from './invented-universe.ts';

const AS_OF = new Date(`${DATA_DATE}T21:00:00Z`);
const INDEX = 'SPY';

/** The same members with their newest bar of the newest session that has closed, and figures of yesterday: for services that live by the real clock. */
export function movedTo(now: Temporal.Instant, members: readonly UniverseMember[]): UniverseMember[] {
  const newest = usCalendar.latestClosed(now).date;
  const from = Temporal.PlainDate.from(newest).subtract({ days: 600 }).toString();
  const days = usCalendar.tradingDays(from, newest).map(dayOf);
  const fetchedAt = now.subtract({ hours: 24 });
  return members.map(({ history, fundamentals, ...member }) => ({
    ...member,
    history: history === null ? null : { ...history, days: Int32Array.from(days.slice(-history.days.length)) },
    fundamentals: fundamentals === null ? null : { ...fundamentals, fetchedAt },
  }));
}

/** Stores members with all their bars and figures, and the index. Real prices unless they are simulated. */
export async function storeUniverse(db: Database, members: readonly UniverseMember[]): Promise<void> {
  const index: UniverseMember = {
    symbol: INDEX,
    history: priceHistoryOf(walk(99)),
    barsSource: 'yahoo_finance',
    splits: [],
    fundamentals: null,
    simulated: false,
  };
  for (const { symbol, history, barsSource, fundamentals } of [...members, index]) {
    if (history !== null) {
      const { days, close, adjusted, volume } = history;
      const rows = Array.from(days, (day, place) => [
        ...[symbol, dateOf(day), close[place], close[place], close[place], close[place], adjusted[place], volume[place], barsSource, AS_OF],
      ]);
      await db.run('INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES ?', [rows]);
      await db.run('INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source) VALUES (?)', [
        [symbol, dateOf(days.at(-1) as number), AS_OF, AS_OF, close.at(-1), 'USD', barsSource],
      ]);
    }
    if (fundamentals === null) continue;
    const { fetchedAt, source, name, quoteType, sectorKey, sector, industryKey, industry, currency, financialCurrency, ...values } =
      fundamentals;
    await db.run(
      `INSERT INTO fundamentals (symbol, day, fetched_at, source, name, quote_type, sector_key, sector, industry_key, industry, currency, financial_currency, data) VALUES (?)`,
      [
        [
          ...[symbol, fetchedAt.toString().slice(0, 10), new Date(fetchedAt.epochMilliseconds), source, name, quoteType, sectorKey, sector],
          ...[industryKey, industry, currency, financialCurrency, toJson(values)],
        ],
      ],
    );
  }
}

interface Asked {
  picks: { ticker: string }[];
  themes: { tickers: string[] }[];
  facts: { id: string; symbol: string | null }[];
}

const TITLES = ['Steady demand', 'Quiet strength', 'Broad trends', 'Patient capital'];

/** Words that pass all checks, about the facts that the request gives. `without`: tickers whose bullets break the rules. */
export function wordsFor({ messages }: ModelRequest, { without = [] }: { without?: readonly string[] } = {}): string {
  const { picks, themes, facts } = JSON.parse(messages[1]?.content as string) as Asked;
  const bulletsOf = (ticker: string): string[] => {
    if (without.includes(ticker)) return ['It grew by 12%.', 'It doubled.', 'It is the best.'];
    const own = facts.filter(({ symbol }) => symbol === ticker).slice(0, 3);
    return own.map(({ id }, place) => `The ${['first', 'next', 'last'][place]} figure of the screen is {${id}} here.`);
  };
  return JSON.stringify({
    rationales: picks.map(({ ticker }) => ({ ticker, bullets: bulletsOf(ticker) })),
    themes: themes.map(({ tickers }, place) => ({
      title: TITLES[place],
      category: 'style',
      summary: 'These shares share a pattern.',
      paragraphs: ['They move in their own way.', 'The pattern may end.'],
      tickers,
    })),
    market: {
      environment: 'The market is calm.',
      risk_factors: ['Prices can fall.', 'Figures can change.'],
      opportunities: ['Demand may hold.', 'Margins may hold.'],
    },
  });
}
