/** The returns of published picks: computed from stored bars by the job of the universe, and read for a user's track record. */

import type { CorporateAction } from '../../market/bars/bars.ts';
import { usCalendar } from '../../market/calendar/calendar.ts';
import { fromJson, type Sql, type Transaction } from '../../platform/database/database.ts';
import {
  type CohortReturns,
  type Cohorts,
  cohortsOf,
  equalWeightMean,
  type HorizonRecord,
  recordNotes,
  recordOver,
} from '../record/record.ts';
import { endSession, HORIZONS, type PickReturn, type RecordSeries, returnOver, startSession, type Weeks } from '../record/returns.ts';
import { weekOf } from '../report/week.ts';
import { listReports, type ReportHead } from './reports.ts';

/** The returns of one symbol or universe from one start. */
export interface ReturnRow {
  start: string;
  weeks: Weeks;
  /** A pick, or the index. */
  symbol?: string;
  /** Of a universe: the hash by which reports name it. */
  universe?: Buffer;
  result: PickReturn;
}

const WEEKS = Object.keys(HORIZONS).map(Number) as Weeks[];
/** Weeks after which nothing of a report is open any more. */
const OPEN_WEEKS = 16;
const SETTLED = new Set(['final', 'carried', 'delisted']);

interface Published {
  start: string;
  hash: Buffer;
  symbols: readonly string[];
}

/** All returns that are not settled yet, of the reports of the last months. `index`: SPY. */
export async function computeReturns(sql: Sql, index: string, now: Temporal.Instant): Promise<ReturnRow[]> {
  const published = await readPublished(sql, now);
  if (published.length === 0) return [];
  const firstStart = published.map(({ start }) => start).sort()[0] as string;
  const universes = await readUniverses(sql, published);
  const symbols = new Set([index, ...published.flatMap((one) => one.symbols), ...[...universes.values()].flat()]);
  const [settled, series] = await Promise.all([readSettled(sql, firstStart), readSeries(sql, [...symbols], firstStart, now)]);
  const through = series.get(index)?.closes.at(-1)?.date;
  if (through === undefined) return [];
  const over = (symbol: string, start: string, weeks: Weeks): PickReturn =>
    returnOver(series.get(symbol) ?? { closes: [], actions: [], ended: false }, start, weeks, usCalendar, through);

  const rows: ReturnRow[] = [];
  for (const [start, reports] of Map.groupBy(published, (one) => one.start)) {
    for (const weeks of WEEKS) {
      for (const symbol of new Set([index, ...reports.flatMap((one) => one.symbols)]))
        if (!settled.has(`${start} ${symbol} ${weeks}`)) rows.push({ start, weeks, symbol, result: over(symbol, start, weeks) });
      if (endSession(start, weeks, usCalendar) > through) continue;
      for (const hash of new Set(reports.map((one) => one.hash.toString('hex')))) {
        const value = equalWeightMean((universes.get(hash) ?? []).map((symbol) => over(symbol, start, weeks)));
        rows.push({ start, weeks, universe: Buffer.from(hash, 'hex'), result: { state: 'final', start: null, end: null, value } });
      }
    }
  }
  return rows;
}

/** The first version of each user and week that is no sample and not simulated: what a record counts. */
async function readPublished(sql: Sql, now: Temporal.Instant): Promise<Published[]> {
  const since = now
    .subtract({ hours: 24 * 7 * OPEN_WEEKS })
    .toString()
    .slice(0, 10);
  const rows = await sql.rows<{ generated_at: Date; universe_hash: Buffer; tickers: unknown }>(
    `SELECT r.generated_at, r.universe_hash, r.tickers FROM (
       SELECT user_id, week_of, MIN(version) AS version FROM weekly_reports FORCE INDEX (ix_week)
        WHERE week_of >= ? AND source <> 'sample' AND is_simulated = 0 GROUP BY user_id, week_of) AS first
       JOIN weekly_reports r ON r.user_id = first.user_id AND r.week_of = first.week_of AND r.version = first.version`,
    [since],
  );
  return rows.map(({ generated_at, universe_hash, tickers }) => ({
    start: startSession(Temporal.Instant.fromEpochMilliseconds(generated_at.getTime()), usCalendar),
    hash: universe_hash,
    symbols: fromJson(tickers) as string[],
  }));
}

async function readUniverses(sql: Sql, published: readonly Published[]): Promise<Map<string, string[]>> {
  const hashes = [...new Map(published.map(({ hash }) => [hash.toString('hex'), hash])).values()];
  const rows = await sql.rows<{ hash: Buffer; eligible: unknown }>('SELECT hash, eligible FROM pick_universes WHERE hash IN (?)', [hashes]);
  return new Map(rows.map(({ hash, eligible }) => [hash.toString('hex'), fromJson(eligible) as string[]]));
}

async function readSettled(sql: Sql, since: string): Promise<Set<string>> {
  const rows = await sql.rows<{ start_date: string; symbol: string; weeks: number; state: string }>(
    'SELECT start_date, symbol, weeks, state FROM pick_returns WHERE start_date >= ?',
    [since],
  );
  return new Set(rows.filter(({ state }) => SETTLED.has(state)).map(({ start_date, symbol, weeks }) => `${start_date} ${symbol} ${weeks}`));
}

/** Days without a bar after which a symbol that no source knows any more is taken for delisted. */
const ENDED_DAYS = 14;

async function readSeries(sql: Sql, symbols: readonly string[], from: string, now: Temporal.Instant): Promise<Map<string, RecordSeries>> {
  const [bars, actions, ended] = await Promise.all([
    sql.rows<{ symbol: string; date: string; close: number }>(
      'SELECT symbol, date, close FROM bars FORCE INDEX (PRIMARY) WHERE symbol IN (?) AND date >= ? ORDER BY symbol, date',
      [symbols, from],
    ),
    sql.rows<CorporateAction & { symbol: string }>(
      'SELECT symbol, date, kind, value FROM corporate_actions WHERE symbol IN (?) AND date >= ? ORDER BY symbol, date, kind',
      [symbols, from],
    ),
    sql.rows<{ symbol: string }>(
      `SELECT s.symbol FROM symbols s JOIN symbol_failures f ON f.symbol = s.symbol AND f.what = 'bars'
        WHERE s.symbol IN (?) AND f.code = 'source.unknown_symbol' AND s.newest_bar < ?`,
      [
        symbols,
        now
          .subtract({ hours: 24 * ENDED_DAYS })
          .toString()
          .slice(0, 10),
      ],
    ),
  ]);
  const isEnded = new Set(ended.map(({ symbol }) => symbol));
  const actionsOf = Map.groupBy(actions, ({ symbol }) => symbol);
  // A bar of a session that still runs is no close.
  const latest = usCalendar.latestClosed(now).date;
  return new Map(
    [...Map.groupBy(bars, ({ symbol }) => symbol)].map(([symbol, own]) => [
      symbol,
      {
        closes: own.filter(({ date }) => date <= latest).map(({ date, close }) => ({ date, close: Number(close) })),
        actions: (actionsOf.get(symbol) ?? []).map(({ date, kind, value }) => ({ date, kind, value: Number(value) })),
        ended: isEnded.has(symbol),
      },
    ]),
  );
}

/** Writes returns in place of the earlier ones of the same start and horizon. */
export async function storeReturns(tx: Transaction, rows: readonly ReturnRow[], now: Date): Promise<void> {
  const picks = rows.flatMap(({ start, weeks, symbol, result }) =>
    symbol === undefined
      ? []
      : [
          [
            start,
            symbol,
            weeks,
            result.state,
            result.start?.date ?? null,
            result.start?.close ?? null,
            result.end?.date ?? null,
            result.end?.close ?? null,
            result.value,
            now,
          ],
        ],
  );
  if (picks.length > 0)
    tx.later(
      'REPLACE INTO pick_returns (start_date, symbol, weeks, state, start_on, start_close, end_on, end_close, value, computed_at) VALUES ?',
      [picks],
    );
  const universes = rows.flatMap(({ start, weeks, universe, result }) =>
    universe === undefined ? [] : [[start, universe, weeks, result.value, now]],
  );
  if (universes.length > 0)
    tx.later('REPLACE INTO pick_universe_returns (start_date, hash, weeks, value, computed_at) VALUES ?', [universes]);
}

/** How a user's picks did. */
export interface TrackRecord {
  cohorts: Cohorts;
  horizons: (HorizonRecord & { notes: string[]; returns: readonly CohortReturns[] })[];
}

/** Versions that a record reads at most: ten years of weeks with a second version each. */
const MOST_VERSIONS = 1_000;

/** The record of a user's reports up to this week, against `index`. Returns are those that the job of the universe has stored. */
export async function readTrackRecord(sql: Sql, user: string, index: string, now: Temporal.Instant): Promise<TrackRecord> {
  const reports = await listReports(sql, user, { limit: MOST_VERSIONS });
  const weeks = mondaysSince(reports, weekOf(now));
  const published = reports.map((one) => ({ ...one, generatedAt: Temporal.Instant.fromEpochMilliseconds(one.generatedAt.getTime()) }));
  const cohorts = cohortsOf(published, weeks);
  const startOf = new Map(cohorts.counted.map((one) => [one.weekOf, startSession(one.generatedAt, usCalendar)]));
  const hashOf = new Map(published.map(({ weekOf, version, universeHash }) => [`${weekOf} ${version}`, universeHash.toString('hex')]));
  const starts = [...new Set(startOf.values())];
  const [returns, means] =
    starts.length === 0
      ? [[], []]
      : await Promise.all([
          sql.rows<StoredReturn>(
            'SELECT start_date, symbol, weeks, state, start_on, start_close, end_on, end_close, value FROM pick_returns WHERE start_date IN (?) AND symbol IN (?)',
            [starts, [...new Set([index, ...cohorts.counted.flatMap(({ tickers }) => tickers)])]],
          ),
          sql.rows<{ start_date: string; hash: Buffer; weeks: number; value: number | null }>(
            'SELECT start_date, hash, weeks, value FROM pick_universe_returns WHERE start_date IN (?)',
            [starts],
          ),
        ]);
  const results = new Map(returns.map((row) => [`${row.start_date} ${row.symbol} ${row.weeks}`, resultOf(row)]));
  const meanOf = new Map(means.map(({ start_date, hash, weeks: over, value }) => [`${start_date} ${hash.toString('hex')} ${over}`, value]));
  const horizons = WEEKS.map((over) => {
    const own = cohorts.counted.map(({ weekOf, version, tickers }): CohortReturns => {
      const start = startOf.get(weekOf) as string;
      const result = (symbol: string) => results.get(`${start} ${symbol} ${over}`) ?? OPEN;
      return {
        weekOf,
        picks: tickers.map((symbol) => ({ symbol, result: result(symbol) })),
        index: result(index).value,
        universe: meanOf.get(`${start} ${hashOf.get(`${weekOf} ${version}`)} ${over}`) ?? null,
      };
    });
    const record = recordOver(over, own);
    return { ...record, notes: recordNotes(record), returns: own };
  });
  return { cohorts, horizons };
}

interface StoredReturn {
  start_date: string;
  symbol: string;
  weeks: number;
  state: PickReturn['state'];
  start_on: string | null;
  start_close: number | null;
  end_on: string | null;
  end_close: number | null;
  value: number | null;
}

const OPEN: PickReturn = { state: 'open', start: null, end: null, value: null };

function resultOf({ state, start_on, start_close, end_on, end_close, value }: StoredReturn): PickReturn {
  return {
    state,
    start: start_on === null || start_close === null ? null : { date: start_on, close: start_close },
    end: end_on === null || end_close === null ? null : { date: end_on, close: end_close },
    value,
  };
}

/** All Mondays from the first report to this week. */
function mondaysSince(reports: readonly ReportHead[], thisWeek: string): string[] {
  const [first] = reports.map(({ weekOf: week }) => week).sort();
  const weeks: string[] = [];
  for (let week = first; week !== undefined && week <= thisWeek; week = Temporal.PlainDate.from(week).add({ days: 7 }).toString())
    weeks.push(week);
  return weeks;
}
