/** Reads the members of a universe: bars as columns, splits and company figures. Three statements for any number of symbols. */

import type { Fundamentals as StoredFundamentals } from '../../market/research/source.ts';
import { readFundamentals } from '../../market/research/store.ts';
import type { Sql } from '../../platform/database/database.ts';
import { dayOf, type Fundamentals, type PriceHistory, type UniverseMember } from '../universe/input.ts';

/** Calendar days before the newest bar of each symbol: more than the 253 sessions of a screen and the 21 that its date may be older than the newest bar. */
const WINDOW_DAYS = 420;
/** Symbols of one statement: its rows are lists of a year each, some 12 KB a symbol. */
const SYMBOLS = 250;

interface Columns {
  symbol: string;
  source: string;
  dates: string;
  closes: string;
  adjusted: string;
  volumes: string;
}

/** The members in the order of `symbols`. `at`: fundamentals that were fetched on a later day are not read. */
export async function readMembers(sql: Sql, symbols: readonly string[], at: Temporal.Instant): Promise<UniverseMember[]> {
  if (symbols.length === 0) return [];
  const [states, splits, fundamentals] = await Promise.all([
    sql.rows<{ symbol: string; source: string | null; first: string | null }>(
      'SELECT symbol, source, newest_bar - INTERVAL ? DAY AS first FROM symbols WHERE symbol IN (?)',
      [WINDOW_DAYS, symbols],
    ),
    sql.rows<{ symbol: string; date: string; value: number }>(
      "SELECT symbol, date, value FROM corporate_actions WHERE symbol IN (?) AND kind = 'split' ORDER BY symbol, date",
      [symbols],
    ),
    readFundamentals(sql, symbols, at),
  ]);
  const histories = await readHistories(sql, states);
  const sourceOf = new Map(states.map(({ symbol, source }) => [symbol, source]));
  const splitsOf = Map.groupBy(splits, ({ symbol }) => symbol);
  return symbols.map((symbol): UniverseMember => {
    const source = sourceOf.get(symbol) ?? null;
    const stored = fundamentals.get(symbol);
    return {
      symbol,
      history: histories.get(symbol) ?? null,
      barsSource: source,
      splits: (splitsOf.get(symbol) ?? []).map(({ date, value }) => ({ date, ratio: Number(value) })),
      fundamentals: stored === undefined ? null : fundamentalsOf(stored),
      simulated: source === 'simulated' || stored?.source === 'simulated',
    };
  });
}

/** A row for each symbol, with its columns as text: a row for each bar takes the driver five times as long. */
async function readHistories(sql: Sql, states: readonly { symbol: string; first: string | null }[]): Promise<Map<string, PriceHistory>> {
  const known = states.flatMap(({ symbol, first }) => (first === null ? [] : [{ symbol, first }]));
  const chunks = Array.from({ length: Math.ceil(known.length / SYMBOLS) }, (_, index) =>
    known.slice(index * SYMBOLS, (index + 1) * SYMBOLS),
  );
  const rows = await Promise.all(
    chunks.map((chunk) => {
      // One range on the primary key for each newest day, mostly the same for all symbols.
      const ranges = [...Map.groupBy(chunk, ({ first }) => first)];
      return sql.rows<Columns>(
        `SELECT b.symbol, GROUP_CONCAT(b.date) AS dates, GROUP_CONCAT(b.close) AS closes, GROUP_CONCAT(b.adjusted_close) AS adjusted,
                GROUP_CONCAT(b.volume) AS volumes
           FROM bars b FORCE INDEX (PRIMARY) WHERE ${ranges.map(() => '(b.symbol IN (?) AND b.date >= ?)').join(' OR ')} GROUP BY b.symbol`,
        ranges.flatMap(([first, some]) => [some.map(({ symbol }) => symbol), first]),
      );
    }),
  );
  return new Map(rows.flat().map((row) => [row.symbol, historyOf(row)]));
}

function historyOf({ dates, closes, adjusted, volumes }: Columns): PriceHistory {
  const days = Int32Array.from(dates.split(','), dayOf);
  const columns = [closes, adjusted, volumes].map((text) => Float64Array.from(text.split(','), Number));
  const [close, adjustedClose, volume] = columns as [Float64Array, Float64Array, Float64Array];
  if (days.every((day, index) => index === 0 || day > days[index - 1]!)) return { days, close, adjusted: adjustedClose, volume };
  // The server promises no order inside of a group.
  const order = Array.from(days.keys()).sort((a, b) => days[a]! - days[b]!);
  const sorted = (column: Float64Array): Float64Array => Float64Array.from(order, (index) => column[index]!);
  return {
    days: Int32Array.from(order, (index) => days[index]!),
    close: sorted(close),
    adjusted: sorted(adjustedClose),
    volume: sorted(volume),
  };
}

/** Stored or fetched figures as the screen takes them. */
export function fundamentalsOf({ values, fetchedAt, source, quoteType, name, ...rest }: StoredFundamentals): Fundamentals {
  const { sectorKey, sector, industryKey, industry, currency, financialCurrency } = rest;
  const { trailingEps, bookValue, freeCashflow, marketCap, returnOnEquity, operatingMargins, debtToEquity, dividendYield } = values;
  return {
    ...{ fetchedAt, source, quoteType, name, sectorKey, sector, industryKey, industry, currency, financialCurrency },
    ...{ trailingEps, bookValue, freeCashflow, marketCap, returnOnEquity, operatingMargins, debtToEquity, dividendYield },
  };
}
