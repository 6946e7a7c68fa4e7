/**
 * The stored rankings. A run is written with all its rows and published (`option_current`) in one transaction: readers see all of a run or nothing of
 * it, and its rows never change afterwards.
 */
import { randomUUID } from 'node:crypto';
import { fromJson, type Sql, type Transaction } from '../../../platform/database/database.ts';
import { InputError } from '../../../platform/errors.ts';
import type { ChainGap, ChainSourceName } from '../chain/chain.ts';
import { countReasons, type Reason } from '../chain/eligibility.ts';
import type { LeftOut } from '../ranking/left-out.ts';
import { RANK_COLUMNS, RANK_SELECT, type RankRow, rankOf, rankValues, SORTS, type StoredRank } from '../ranking/rank-columns.ts';
import type { RankedRun } from '../ranking/ranked.ts';
import { type Mode, RANK_COLUMN } from '../scoring/parts.ts';
import { SIGNALS, type Signal } from '../scoring/signals.ts';
import type { Trend } from '../scoring/trend.ts';

/** A run without its rows. */
export interface RunSummary {
  run_id: string;
  symbol: string;
  mode: Mode;
  run_at: Date;
  /** When the chain was quoted. */
  as_of: Date;
  source: ChainSourceName;
  /** Dollars a share. */
  spot: number;
  /** Contracts of the chain, in exit mode positions: `eligible` and all `reasons`. */
  total: number;
  eligible: number;
  reasons: Record<Reason, number>;
  /** In exit mode each position that is not ranked, with its owner. */
  left_out: (LeftOut & { user: string | null })[];
  /** The parts that the chain should have and lacks. */
  gaps: ChainGap[];
  /** 30-day at-the-money IV of the underlying, annual. */
  atm_iv: number | null;
  iv_rank: number | null;
  iv_percentile: number | null;
  trend: Trend;
  job_id: string;
}

export interface NewRun extends Omit<RunSummary, 'run_id' | 'total' | 'eligible' | 'reasons' | 'left_out' | 'mode'> {
  ranked: RankedRun;
  /** The owner of each position. */
  owners?: ReadonlyMap<string, string> | undefined;
}

const RUN_COLUMNS = [
  'run_id',
  'symbol',
  'ranking_mode',
  'run_at',
  'as_of',
  'source',
  'spot',
  'total',
  'eligible',
  'reasons',
  'left_out',
  'gaps',
  'atm_iv',
  'iv_rank',
  'iv_percentile',
  'trend',
  'job_id',
] as const;

/** Rows a statement: some 400 KB of text. */
const CHUNK = 200;
const quoted = (columns: readonly string[]) => columns.map((name) => `\`${name}\``).join(', ');

/** Assignments run from left to right, so `run_id` compares with the moment of the stored run. It is null for a run of an earlier version. */
const PUBLISH = `INSERT INTO option_current (symbol, ranking_mode, run_id, run_at) VALUES (?) ON DUPLICATE KEY UPDATE
  run_id = IF(COALESCE(run_at, VALUES(run_at)) <= VALUES(run_at), VALUES(run_id), run_id), run_at = GREATEST(COALESCE(run_at, VALUES(run_at)), VALUES(run_at))`;

/** Writes runs and publishes them. Two exit rankings of one symbol, before and after a position was added, may end crosswise: the newer one stays published. */
export async function storeRuns(tx: Transaction, runs: readonly NewRun[]): Promise<void> {
  for (const run of runs) {
    const id = bytesOf(randomUUID());
    const { ranked, symbol, run_at } = run;
    const { mode, total, eligible, reasons, leftOut, ranks } = ranked;
    const ownerOf = (position: string | null) => run.owners?.get(position ?? '') ?? null;
    const values: Record<(typeof RUN_COLUMNS)[number], unknown> = {
      ...run,
      run_id: id,
      ranking_mode: mode,
      total,
      eligible,
      reasons: JSON.stringify(reasons),
      left_out: JSON.stringify(leftOut.map((one) => ({ ...one, user: ownerOf(one.position) }))),
      gaps: JSON.stringify(run.gaps),
      job_id: bytesOf(run.job_id),
    };
    tx.later(`INSERT INTO option_runs (${quoted(RUN_COLUMNS)}) VALUES (?)`, [RUN_COLUMNS.map((name) => values[name])]);
    for (let start = 0; start < ranks.length; start += CHUNK)
      await tx.run(`INSERT INTO options_ranks (run_id, ${quoted(RANK_COLUMNS)}) VALUES ?`, [
        ranks.slice(start, start + CHUNK).map((rank) => [id, ...rankValues(rank, symbol, ownerOf(rank.position), run_at)]),
      ]);
    tx.later(PUBLISH, [[symbol, mode, id, run_at]]);
  }
}

export interface RankFilter {
  side?: 'call' | 'put' | undefined;
  /** `YYYY-MM-DD`. */
  expiry?: string | undefined;
  signal?: Signal | undefined;
  /** Lowest rank of the run's own mode. */
  minRank?: number | undefined;
  contract?: string | undefined;
  /** Positions of this user only. */
  user?: string | undefined;
  /** A key of `SORTS`; without it the run's own order. */
  sort?: string | undefined;
  limit: number;
  /** `next` of the page before. The page comes from the same run, also after a newer one was published. */
  cursor?: string | undefined;
}

export interface RunPage {
  run: RunSummary;
  /** Rows of the run that pass the filters. */
  matching: number;
  ranks: StoredRank[];
  next: string | null;
}

/**
 * The published run of a symbol in a mode, or undefined where there is none.
 * @throws InputError `ranks.unknown_sort` and `ranks.unknown_signal`, which name the valid ones; `ranks.bad_cursor`, `ranks.cursor_gone`
 */
export async function readRun(sql: Sql, symbol: string, mode: Mode, filter: RankFilter): Promise<RunPage | undefined> {
  const run = await findRun(sql, symbol, mode, filter);
  if (run === undefined) return undefined;
  const { places, ...page } = await readPlaces(sql, run, filter);
  return { run, ...page, ranks: await readRanks(sql, run, places) };
}

/** The run that `readRun` reads, without its ranks. Throws the same. */
export async function findRun(sql: Sql, symbol: string, mode: Mode, filter: RankFilter): Promise<RunSummary | undefined> {
  orderBy(mode, filter.sort);
  conditions(mode, filter);
  const from = filter.cursor === undefined ? undefined : parseCursor(filter.cursor);
  const run = await readSummary(sql, symbol, mode, from?.runId);
  if (run === undefined && from !== undefined)
    throw new InputError('ranks.cursor_gone', `the run of the cursor "${filter.cursor}" is deleted; start again without a cursor`);
  return run;
}

/** The ranks of a run on a page, in their order. */
export async function readPlaces(
  sql: Sql,
  run: RunSummary,
  filter: RankFilter,
): Promise<Pick<RunPage, 'matching' | 'next'> & { places: number[] }> {
  const { where, params } = conditions(run.mode, filter);
  // One run has at most some thousand rows, all in one range of the primary key: they are filtered and sorted as they are read, without the columns of a page.
  const matching = await sql.rows<{ place: number }>(
    `SELECT place FROM options_ranks WHERE run_id = ?${where} ORDER BY ${orderBy(run.mode, filter.sort)}`,
    [bytesOf(run.run_id), ...params],
  );
  const offset = filter.cursor === undefined ? 0 : parseCursor(filter.cursor).offset;
  const places = matching.slice(offset, offset + filter.limit).map(({ place }) => place);
  const end = offset + places.length;
  return { places, matching: matching.length, next: end < matching.length ? `${run.run_id}.${end}` : null };
}

/** The places of a user's positions in a run, best first. */
export async function readOwnPlaces(sql: Sql, run: Pick<RunSummary, 'run_id'>, user: string): Promise<number[]> {
  const rows = await sql.rows<{ place: number }>('SELECT place FROM options_ranks WHERE run_id = ? AND user_id = ? ORDER BY place', [
    bytesOf(run.run_id),
    user,
  ]);
  return rows.map(({ place }) => place);
}

/** The ranks of a run at these places, in their order. A run never changes. */
export async function readRanks(sql: Sql, run: Pick<RunSummary, 'run_id'>, places: readonly number[]): Promise<StoredRank[]> {
  if (places.length === 0) return [];
  const rows = await sql.rows<RankRow>(`SELECT ${RANK_SELECT} FROM options_ranks WHERE run_id = ? AND place IN (?)`, [
    bytesOf(run.run_id),
    places,
  ]);
  const rankAt = new Map(rows.map((row) => [row.place, rankOf(row, fromJson)]));
  return places.flatMap((place) => rankAt.get(place) ?? []);
}

async function readSummary(sql: Sql, symbol: string, mode: Mode, runId: string | undefined): Promise<RunSummary | undefined> {
  const columns = RUN_COLUMNS.map((name) => `r.\`${name}\``).join(', ');
  const [row] = await sql.rows<Record<string, unknown>>(
    runId === undefined
      ? `SELECT ${columns} FROM option_current c JOIN option_runs r ON r.run_id = c.run_id WHERE c.symbol = ? AND c.ranking_mode = ?`
      : `SELECT ${columns} FROM option_runs r WHERE r.symbol = ? AND r.ranking_mode = ? AND r.run_id = ?`,
    [symbol, mode, ...(runId === undefined ? [] : [bytesOf(runId)])],
  );
  if (row === undefined) return undefined;
  const { run_id, job_id, ranking_mode, reasons, left_out, gaps, iv_rank, iv_percentile, ...rest } = row;
  return {
    ...rest,
    run_id: idOf(run_id as Buffer),
    job_id: idOf(job_id as Buffer),
    mode: ranking_mode,
    // Runs of earlier versions lack the reasons that came later.
    reasons: { ...countReasons(new Uint8Array()), ...(fromJson(reasons) as Record<Reason, number>) },
    // Null in runs of earlier versions.
    left_out: fromJson(left_out) ?? [],
    gaps: fromJson(gaps),
    iv_rank: iv_rank === null ? null : Number(iv_rank),
    iv_percentile: iv_percentile === null ? null : Number(iv_percentile),
  } as RunSummary;
}

function orderBy(mode: Mode, sort: string | undefined): string {
  if (sort === undefined || sort === RANK_COLUMN[mode]) return 'place';
  const foreign = (Object.keys(RANK_COLUMN) as Mode[]).some(
    (other) => other !== mode && other !== 'monitor' && RANK_COLUMN[other] === sort,
  );
  if (!Object.hasOwn(SORTS, sort) || foreign) {
    const known = Object.keys(SORTS).filter((name) => name === RANK_COLUMN[mode] || !['entry_rank', 'exit_rank'].includes(name));
    throw new InputError(
      'ranks.unknown_sort',
      `a ${mode} ranking cannot be sorted by ${JSON.stringify(sort)}; choose one of ${known.join(', ')}`,
    );
  }
  // NULL is sorted as the lowest value: last in a descending order. The columns that are sorted ascending are never NULL.
  return `\`${sort}\` ${SORTS[sort]}, place`;
}

function conditions(mode: Mode, { side, expiry, signal, minRank, contract, user }: RankFilter): { where: string; params: unknown[] } {
  const parts: string[] = [];
  const params: unknown[] = [];
  const add = (condition: string, value: unknown): void => {
    if (value === undefined) return;
    parts.push(` AND ${condition}`);
    params.push(value);
  };
  if (signal !== undefined && !SIGNALS.includes(signal))
    throw new InputError('ranks.unknown_signal', `there is no signal ${JSON.stringify(signal)}; choose one of ${SIGNALS.join(', ')}`);
  add('side = ?', side);
  add('expiration = ?', expiry);
  add('JSON_CONTAINS(`signals`, ?)', signal === undefined ? undefined : JSON.stringify(signal));
  add(`${RANK_COLUMN[mode]} >= ?`, minRank);
  add('contract = ?', contract);
  add('user_id = ?', user);
  return { where: parts.join(''), params };
}

function parseCursor(cursor: string): { runId: string; offset: number } {
  const [, runId, offset] = /^([0-9a-f-]{36})\.(\d{1,5})$/.exec(cursor) ?? [];
  if (runId === undefined)
    throw new InputError('ranks.bad_cursor', `"${cursor}" is not a cursor; use the value of "next" from the page before`);
  return { runId, offset: Number(offset) };
}

/** Deletes runs older than `before` that a newer one has replaced, with their rows. Returns how many. */
export async function deleteRuns(tx: Transaction, before: Date, limit: number): Promise<number> {
  const runs = await tx.rows<{ run_id: Buffer }>(
    `SELECT r.run_id FROM option_runs r FORCE INDEX (ix_run_at) LEFT JOIN option_current c ON c.run_id = r.run_id
      WHERE r.run_at < ? AND c.run_id IS NULL ORDER BY r.run_at LIMIT ?`,
    [before, limit],
  );
  if (runs.length === 0) return 0;
  const ids = runs.map(({ run_id }) => run_id).sort(Buffer.compare);
  tx.later('DELETE FROM options_ranks WHERE run_id IN (?)', [ids]);
  tx.later('DELETE FROM option_runs WHERE run_id IN (?)', [ids]);
  return runs.length;
}

function bytesOf(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function idOf(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
