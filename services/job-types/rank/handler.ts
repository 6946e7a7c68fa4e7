import type { z } from 'zod';
import type { SymbolState } from '../../market/bars/read.ts';
import { adjustPrices } from '../../market/indicators/indicators.ts';
import type { Chain, ChainGap } from '../../market/options/chain/chain.ts';
import { encodeChainDay } from '../../market/options/chain/history.ts';
import { rankUnderlying, sessionOf } from '../../market/options/ranking/run.ts';
import type { DailyIv } from '../../market/options/scoring/iv-history.ts';
import type { Mode } from '../../market/options/scoring/parts.ts';
import { type Trend, trendOf } from '../../market/options/scoring/trend.ts';
import type { ChainsByKind } from '../../market/options/sources/configured.ts';
import {
  type DayOrigin,
  readChainDays,
  readIvHistory,
  type StoredChainDay,
  storeChainDays,
  storeIvs,
} from '../../market/options/store/past.ts';
import { positionsIn } from '../../market/options/store/positions.ts';
import { type NewRun, storeRuns } from '../../market/options/store/runs.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { InputError, PermanentError, TransientError } from '../../platform/errors.ts';
import { type Handler, handler, type JobContext, type JobOutput } from '../handler.ts';

import { type RankPayload, rankType } from './definition.ts';

/** Calendar days that hold the 20 bars of a trend. */
const TREND_DAYS = 45;

/** All rows that one ranking writes. */
export interface RankingRows {
  run: NewRun;
  /** The day's at-the-money volatility; absent when the chain gives none. */
  iv?: DayOrigin & DailyIv;
  day: StoredChainDay;
}

async function storeRankings(tx: Transaction, rankings: readonly RankingRows[]): Promise<void> {
  await storeRuns(
    tx,
    rankings.map(({ run }) => run),
  );
  await storeIvs(
    tx,
    rankings.flatMap(({ iv }) => iv ?? []),
  );
  await storeChainDays(
    tx,
    rankings.map(({ day }) => day),
  );
}

/**
 * Ranks the options of a symbol in a mode. The run is published with the job's completion; the earlier run stays published until then. A chain that lacks a whole
 * expiration is requested again while attempts are left. After that it is ranked without the expiration, and the job and the run name it.
 */
export function rankHandler({ sql, chains }: { sql: Sql; chains: ChainsByKind }): Handler<RankingRows> {
  const rank = async ({ symbol, mode }: z.output<typeof RankPayload>, context: JobContext<RankingRows>) => {
    const { reader, config, signal, job } = context;
    const started = performance.now();
    const state = await reader.state(symbol);
    const { chain, attempts } = await chainOf(symbol, state, chains, signal);
    const gap = incompleteness(chain);
    if (gap !== undefined && job.attempt < job.maxAttempts) throw new TransientError('chain.incomplete', `${chain.source}: ${gap}`);

    // Before the positions are read: a run that lacks a position is older than one that was asked for after it was added.
    const now = context.clock.now();
    const past = await readPast(sql, symbol, mode, chain, state, context);
    signal.throwIfAborted();
    const { rules, chains: settings } = config.ranking;
    const ranking = rankUnderlying({ chain, mode, now, ...past, rules, dividendYield: settings.dividend_yield });
    return outputOf({ symbol, mode, chain, gap, past, ranking, now, jobId: job.id, attempts, ms: Math.round(performance.now() - started) });
  };
  return handler(rankType, rank, storeRankings);
}

/** Real bars and days never stand beside a simulated chain, and the reverse. */
async function readPast(
  sql: Sql,
  symbol: string,
  mode: Mode,
  chain: Chain,
  state: SymbolState | undefined,
  context: Pick<JobContext<RankingRows>, 'reader'>,
) {
  const simulated = chain.source === 'simulated';
  const date = sessionOf(chain);
  const [ivHistory, days, trend, held] = await Promise.all([
    readIvHistory(sql, symbol, date, simulated),
    readChainDays(sql, symbol, date, simulated),
    readTrend(symbol, date, state, simulated, context),
    mode === 'exit' ? positionsIn(sql, symbol) : { positions: [], owners: new Map<string, string>() },
  ]);
  return { ivHistory, days, trend, ...held };
}

interface Ranked {
  symbol: string;
  mode: Mode;
  chain: Chain;
  /** The expirations that the chain lacks. */
  gap: string | undefined;
  past: Awaited<ReturnType<typeof readPast>>;
  ranking: ReturnType<typeof rankUnderlying>;
  now: Temporal.Instant;
  jobId: string;
  attempts: Awaited<ReturnType<typeof chainOf>>['attempts'];
  ms: number;
}

function outputOf(all: Ranked): JobOutput<RankingRows> {
  const { symbol, mode, chain, gap, past, ranking, attempts, ms } = all;
  const { ranked } = ranking;
  const { source, gaps = [] } = chain;
  const asOf = new Date(chain.asOf.epochMilliseconds).toISOString();
  const simulated = source === 'simulated';
  const best = ranked.ranks[0];
  return {
    rows: [rowsOf(all)],
    result: {
      symbol,
      mode,
      source,
      as_of: asOf,
      total: ranked.total,
      eligible: ranked.eligible,
      kept: ranked.ranks.length,
      reasons: ranked.reasons,
      ...(best === undefined ? {} : { best: best.contract }),
      ...(mode === 'exit' && past.positions.length === 0
        ? { note: `no user holds an option of ${symbol}, so there is nothing to rank` }
        : {}),
      ...(gaps.length === 0 ? {} : { gaps }),
      simulated,
      attempts,
      ms,
    },
    dataMessages: [{ symbol, kind: 'ranks', source, as_of: asOf, rows: ranked.ranks.length, ...(simulated ? { simulated } : {}) }],
    withErrors: gap,
  };
}

function rowsOf({ symbol, chain, past, ranking, now, jobId }: Ranked): RankingRows {
  const { ranked, atmIv, ivRank, ivPercentile, day } = ranking;
  const { source, spot, gaps = [] } = chain;
  const date = sessionOf(chain);
  const asOf = new Date(chain.asOf.epochMilliseconds);
  return {
    run: {
      symbol,
      run_at: new Date(now.epochMilliseconds),
      as_of: asOf,
      source,
      spot,
      gaps: [...gaps],
      atm_iv: atmIv,
      iv_rank: ivRank,
      iv_percentile: ivPercentile,
      trend: past.trend,
      job_id: jobId,
      ranked,
      owners: past.owners,
    },
    ...(atmIv === null ? {} : { iv: { symbol, date, iv: atmIv, source, asOf } }),
    day: { symbol, date, contracts: day.key.length, data: encodeChainDay(day), source, asOf },
  };
}

/** Simulated chains are for symbols without stored real prices only. An error in a given file is permanent: no retry mends the file. */
async function chainOf(symbol: string, state: SymbolState | undefined, { all, real }: ChainsByKind, signal: AbortSignal) {
  try {
    return await (isReal(state) ? real : all).chain(symbol, signal);
  } catch (error) {
    if (error instanceof InputError) throw new PermanentError(error.code, error.message, { cause: error });
    throw error;
  }
}

function isReal(state: SymbolState | undefined): boolean {
  return state?.newestBar != null && state.source !== 'simulated';
}

/** The whole expirations that a chain lacks; undefined where it has all. */
function incompleteness({ gaps = [] }: Chain): string | undefined {
  const missing = gaps.filter((gap): gap is ChainGap & { expiry: string } => gap.expiry !== undefined);
  if (missing.length === 0) return undefined;
  return `the chain lacks ${missing.map(({ expiry, reason }) => `${expiry} (${reason})`).join(', ')}`;
}

/** The trend of the bars up to the chain's own day; neutral when one of chain and bars is simulated and the other real. */
async function readTrend(
  symbol: string,
  date: string,
  state: SymbolState | undefined,
  simulated: boolean,
  { reader }: Pick<JobContext<RankingRows>, 'reader'>,
): Promise<Trend> {
  if (isReal(state) === simulated) return 'neutral';
  const from = Temporal.PlainDate.from(date).subtract({ days: TREND_DAYS }).toString();
  const bars = await reader.bars(symbol, { from, to: date });
  // Prices before a split that the source has not restated are in other units.
  const split = state?.unrestatedSplit ?? '';
  const comparable = date < split ? bars : bars.filter((bar) => bar.date >= split);
  return comparable.length === 0 ? 'neutral' : trendOf(adjustPrices(comparable).close);
}
