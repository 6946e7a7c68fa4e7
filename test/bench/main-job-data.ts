/** What the main job starts from: users with their holdings, and two years of bars of each symbol that end a session ago. */

import { symbolReader } from '../../services/market/bars/reader.ts';
import { refreshSymbol } from '../../services/market/bars/refresh.ts';
import { type RefreshRows, storeRefresh } from '../../services/market/bars/store.ts';
import { usCalendar } from '../../services/market/calendar/calendar.ts';
import type { FailoverSource } from '../../services/market/sources/failover-source.ts';
import { simulatedSource } from '../../services/market/sources/simulated.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import type { Database } from '../../services/platform/database/database.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVW';

/** Names as the US exchanges give them, so that their calendar holds. */
export function symbolNames(count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) => `Q${LETTERS[Math.floor(index / LETTERS.length) % LETTERS.length]}${LETTERS[index % LETTERS.length]}`,
  );
}

/** Each user's own symbols, spread evenly: no two neighbours hold the same ones, every symbol is held. */
export function portfolios(users: number, each: number, symbols: readonly string[]): Map<string, string[]> {
  return new Map(
    Array.from({ length: users }, (_, user) => [
      `user-${user}`,
      Array.from({ length: each }, (_, place) => symbols[(user * 37 + place * 23) % symbols.length] as string),
    ]),
  );
}

export interface Stored {
  /** Date of the newest stored bar, and of the newest that there is. */
  through: string;
  newest: string;
}

/** Stores everything, and copies it beside, for `restore`. */
export async function storeBefore(
  db: Database,
  root: Database,
  held: ReadonlyMap<string, readonly string[]>,
  seed: number,
): Promise<Stored> {
  const { before, newest } = lastSessions();
  const clock = new ManualClock(before.close.add({ hours: 1 }));
  const source = simulatedSource({ seed, clock, isTradingDay: (date) => usCalendar.isTradingDay(date) });
  const sources: FailoverSource = { bars: async (...asked) => ({ ...(await source.bars(...asked)), attempts: [] }) };
  const { config } = loadConfig({ environment: 'development', files: [] });
  const context = { reader: symbolReader(db), clock, config, sources, realSources: sources, signal: AbortSignal.timeout(600_000) };
  const asOf = new Date(before.close.epochMilliseconds);
  for (const symbol of new Set([...held.values()].flat())) {
    const { rows } = await refreshSymbol(symbol, context);
    await db.transaction((tx) => storeRefresh(tx, [rows as RefreshRows]));
  }
  // The day's comparison of all bars is due.
  await db.run('UPDATE symbols SET history_checked_at = history_checked_at - INTERVAL 1 DAY');
  for (const [user, symbols] of held)
    await db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [
      symbols.map((symbol, place) => [user, symbol, 10 * (place + 1), 50, asOf]),
    ]);
  for (const table of COPIED) await root.run(`CREATE TABLE before_${table} AS SELECT * FROM ${table}`);
  return { through: before.date, newest: newest.date };
}

const COPIED = ['bars', 'corporate_actions', 'symbols'] as const;
const EMPTIED = [
  'jobs',
  'ready',
  'scheduled',
  'blocked',
  'running',
  'ended',
  'live_keys',
  'job_subscribers',
  'job_dependencies',
  'job_attempts',
  'slot_waits',
  'analyses',
  'user_portfolio_priority',
  'logins',
];

/** Everything as `storeBefore` left it. */
export async function restore(root: Database): Promise<void> {
  for (const table of [...COPIED, ...EMPTIED]) await root.run(`TRUNCATE TABLE ${table}`);
  for (const table of COPIED) await root.run(`INSERT INTO ${table} SELECT * FROM before_${table}`);
}

/** The newest session and the one before it. In the first hour of a session its predecessor's bar may still count as fresh: then both lie one session back. */
function lastSessions() {
  const now = Temporal.Now.instant();
  const latest = usCalendar.latestStarted(now);
  const before = usCalendar.previous(latest.date);
  return { newest: latest, before: now.since(latest.open).total('hours') < 1 ? usCalendar.previous(before.date) : before };
}

/** What has to be true afterwards; a sentence for everything that is not. An attempt that was handed back before it began is none: a busy worker claims ahead. */
export async function faultsAfter(db: Database, symbols: number, newest: string): Promise<string[]> {
  const jobs = await db.rows<{ type: string; state: string; jobs: number; attempts: string }>(
    `SELECT type, state, COUNT(*) AS jobs,
            CAST(SUM(attempt - (SELECT COUNT(*) FROM job_attempts a WHERE a.job_id = s.id AND a.code = 'worker.busy')) AS CHAR) AS attempts
       FROM job_states s GROUP BY type, state ORDER BY type, state`,
  );
  const found = jobs.map(({ type, state, jobs: count, attempts }) => `${count} ${type} ${state} in ${attempts} attempts`).join(', ');
  const wanted = ['analysis', 'fetch'].map((type) => `${symbols} ${type} completed in ${symbols} attempts`).join(', ');
  const [stale] = await db.rows<{ symbols: number }>(
    'SELECT COUNT(*) AS symbols FROM symbols WHERE newest_bar < ? OR analysed_bar IS NULL OR analysed_bar < newest_bar OR analysed_as_of < as_of',
    [newest],
  );
  const [analyses] = await db.rows<{ analyses: number }>('SELECT COUNT(*) AS analyses FROM analyses');
  const incomplete = await db.rows<{ outcome: string; code: string | null; reason: string | null; times: number }>(
    'SELECT outcome, code, reason, COUNT(*) AS times FROM job_attempts GROUP BY outcome, code, reason ORDER BY times DESC LIMIT 3',
  );
  const why = incomplete.map(({ outcome, code, reason, times }) => `; ${times} attempts: ${outcome}, ${code}, ${reason}`).join('');
  return [
    ...(found === wanted ? [] : [`jobs: ${found}; wanted: ${wanted}${why}`]),
    ...(stale?.symbols === 0 ? [] : [`${stale?.symbols} symbols are not fresh`]),
    ...(analyses?.analyses === symbols ? [] : [`${analyses?.analyses} analyses of ${symbols}`]),
  ];
}
