/** The universe of a deployment: which symbols it holds, which of them are stale, and its screen, which all users share. */
import { createHash } from 'node:crypto';
import { readSymbols } from '../../market/bars/read.ts';
import { usCalendar } from '../../market/calendar/calendar.ts';
import { sourceSet } from '../../market/freshness/freshness.ts';
import { isWeeklyDue } from '../../market/research/staleness.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { PermanentError } from '../../platform/errors.ts';
import { rulesOf } from '../configured.ts';
import { dataDateOf } from '../universe/data-date.ts';
import { compareText } from '../universe/input.ts';
import { type ScreenedUniverse, screenUniverse } from '../universe/universe.ts';
import { readMembers } from './members.ts';

type Parts = Pick<Config, 'picks' | 'stock_jobs'>;

/** The symbols of the configured lists, and all that anybody holds or watches (by a walk of ix_symbol from symbol to symbol), sorted. */
export async function universeSymbols(sql: Sql, { picks }: Pick<Config, 'picks'>): Promise<string[]> {
  const { lists, held_and_watched } = picks.universe;
  const listed = lists.flatMap(({ symbols }) => symbols);
  const held = held_and_watched ? await sql.rows<{ symbol: string }>('SELECT symbol FROM holdings GROUP BY symbol') : [];
  return [...new Set([...listed, ...held.map(({ symbol }) => symbol)])].sort(compareText);
}

/** What must be fetched before a universe is screened. */
export interface StaleMembers {
  /** Without a bar of the newest session that has closed. Those that the sources had no answer for lately are left out. */
  prices: string[];
  /** Without company figures, or with those of the week before. */
  fundamentals: string[];
  /** Stale symbols beyond `picks.universe.most_fetched`. */
  left: number;
}

/** The stale symbols of a universe with its index, those without any data first, then the oldest; at most `picks.universe.most_fetched` of each kind. Two reads. */
export async function staleMembers(sql: Sql, symbols: readonly string[], now: Temporal.Instant, config: Parts): Promise<StaleMembers> {
  const { index, most_fetched } = config.picks.universe;
  const all = [...new Set([...symbols, index])];
  const [states, fetched] = await Promise.all([
    readSymbols(sql, all, sourceSet(config)),
    symbols.length === 0
      ? []
      : sql.rows<{ symbol: string; at: Date }>(
          'SELECT symbol, MAX(fetched_at) AS at FROM fundamentals WHERE symbol IN (?) GROUP BY symbol',
          [symbols],
        ),
  ]);
  const newest = usCalendar.latestClosed(now).date;
  const isPaused = (symbol: string): boolean => (states.get(symbol)?.failure?.againAt.getTime() ?? 0) > now.epochMilliseconds;
  const newestBar = (symbol: string): string => states.get(symbol)?.newestBar ?? '';
  const prices = oldest(
    all.filter((symbol) => newestBar(symbol) < newest && !isPaused(symbol)),
    newestBar,
  );

  const fetchedAt = new Map(fetched.map(({ symbol, at }) => [symbol, Temporal.Instant.fromEpochMilliseconds(at.getTime())]));
  const fundamentals = oldest(
    symbols.filter((symbol) => isWeeklyDue(symbol, fetchedAt.get(symbol), now) && !isPaused(symbol)),
    (symbol) => fetchedAt.get(symbol)?.toString() ?? '',
  );
  return {
    prices: prices.slice(0, most_fetched),
    fundamentals: fundamentals.slice(0, most_fetched),
    left: Math.max(0, prices.length - most_fetched) + Math.max(0, fundamentals.length - most_fetched),
  };
}

const oldest = (symbols: readonly string[], age: (symbol: string) => string): string[] =>
  symbols.toSorted((a, b) => compareText(age(a), age(b)) || compareText(a, b));

export interface Universes {
  /** The screened universe as of now. Errors: `PermanentError('picks.no_data')` where no bar is stored. */
  current(): Promise<ScreenedUniverse>;
}

/** A screen that is older is made again, whatever is stored: prices may have been corrected. */
const MOST_MS = 900_000;

/** Milliseconds for which a screen is used without a look at the database: half of the time of a report was this look. */
const LOOK_MS = 1_000;

/**
 * Screens of the universe, each made once for all users. One is used until a symbol comes or goes, a newer session or company figure is stored, a session closes, or a
 * quarter of an hour is over.
 */
export function createUniverses(sql: Sql, clock: Clock, config: Parts): Universes {
  let kept: { stamp: string; until: number; lookedAt: number; screened: Promise<ScreenedUniverse> } | undefined;
  return {
    async current() {
      const lookedAt = performance.now();
      if (kept !== undefined && lookedAt - kept.lookedAt < LOOK_MS) return kept.screened;
      const symbols = await universeSymbols(sql, config);
      const now = clock.now();
      const stamp = await stampOf(sql, symbols, now, config);
      if (kept === undefined || kept.stamp !== stamp || kept.until < now.epochMilliseconds) {
        const made = { stamp, until: now.epochMilliseconds + MOST_MS, lookedAt, screened: screen(sql, symbols, now, config) };
        kept = made;
        made.screened.catch(() => {
          if (kept === made) kept = undefined;
        });
      }
      kept.lookedAt = lookedAt;
      return kept.screened;
    },
  };
}

/** Changes with all that a screen depends on, short of corrections of older prices. */
async function stampOf(sql: Sql, symbols: readonly string[], now: Temporal.Instant, { picks }: Parts): Promise<string> {
  const all = [...symbols, picks.universe.index];
  const [[bars], [figures]] = await Promise.all([
    sql.rows<object>(
      "SELECT COUNT(*) AS n, SUM(TO_DAYS(newest_bar)) AS days, SUM(source = 'simulated') AS made_up FROM symbols WHERE symbol IN (?) AND newest_bar IS NOT NULL",
      [all],
    ),
    sql.rows<object>('SELECT COUNT(*) AS n, MAX(fetched_at) AS newest FROM fundamentals WHERE symbol IN (?)', [all]),
  ]);
  const text = JSON.stringify([symbols, usCalendar.latestClosed(now).date, bars, figures]);
  return createHash('sha256').update(text).digest('hex');
}

async function screen(sql: Sql, symbols: readonly string[], at: Temporal.Instant, config: Parts): Promise<ScreenedUniverse> {
  const { index } = config.picks.universe;
  const read = await readMembers(sql, [...new Set([...symbols, index])], at);
  const isMember = new Set(symbols);
  const members = read.filter(({ symbol }) => isMember.has(symbol));
  const dataDate = dataDateOf(members, at, usCalendar);
  if (dataDate === undefined)
    throw new PermanentError(
      'picks.no_data',
      `no prices are stored of the ${symbols.length} symbols of the universe (picks.universe); "stockmesh fetch" fetches them`,
    );
  return screenUniverse({
    members,
    index: read.find(({ symbol }) => symbol === index)?.history ?? null,
    dataDate,
    at,
    calendar: usCalendar,
    // Made-up data is among the sources of the demonstration only; a report with it is marked as a whole.
    allowSimulated: config.stock_jobs.data_fetch.simulated.enabled,
    rules: rulesOf(config.picks),
  });
}
