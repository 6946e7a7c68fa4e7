import type { SymbolState } from '../../market/bars/store.ts';
import { adjustPrices } from '../../market/indicators/indicators.ts';
import type { Chain, ChainGap } from '../../market/options/chain/chain.ts';
import { encodeChainDay } from '../../market/options/chain/history.ts';
import { rankUnderlying, sessionOf } from '../../market/options/ranking/run.ts';
import { type Trend, trendOf } from '../../market/options/scoring/trend.ts';
import type { ChainsByKind } from '../../market/options/sources/configured.ts';
import { readChainDays, readIvHistory, storeChainDays, storeIvs } from '../../market/options/store/past.ts';
import { positionsIn } from '../../market/options/store/positions.ts';
import { type NewRun, storeRuns } from '../../market/options/store/runs.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError, PermanentError, TransientError } from '../../platform/errors.ts';
import { effect, type Handler, handler, type JobContext } from '../../worker/handler.ts';
import { RankPayload } from './definition.ts';

/** Calendar days that hold the 20 bars of a trend. */
const TREND_DAYS = 45;

/**
 * Ranks the options of a symbol in a mode, and publishes the run with the job's completion: what was ranked before stays published until then, whatever happens. A chain that
 * lacks a whole expiration is asked for again as long as attempts are left, and then ranked without it, which the job and the run say.
 */
export function rankHandler({ sql, chains }: { sql: Sql; chains: ChainsByKind }): Handler {
  return handler('rank', RankPayload, async ({ symbol, mode }, context) => {
    const { reader, clock, config, signal, job } = context;
    const started = performance.now();
    const state = await reader.state(symbol);
    const { chain, attempts } = await chainOf(symbol, state, chains, signal);
    const gap = incompleteness(chain);
    if (gap !== undefined && job.attempt < job.maxAttempts) throw new TransientError('chain.incomplete', `${chain.source}: ${gap}`);

    const simulated = chain.source === 'simulated';
    const date = sessionOf(chain);
    const [ivHistory, days, trend, held] = await Promise.all([
      readIvHistory(sql, symbol, date, simulated),
      readChainDays(sql, symbol, date, simulated),
      readTrend(symbol, date, state, simulated, context),
      mode === 'exit' ? positionsIn(sql, symbol) : { positions: [], owners: new Map<string, string>() },
    ]);
    signal.throwIfAborted();
    const { rules, chains: settings } = config.ranking;
    const now = clock.now();
    const { positions, owners } = held;
    const { ranked, atmIv, ivRank, ivPercentile, day } = rankUnderlying({
      chain,
      mode,
      now,
      trend,
      ivHistory,
      days,
      positions,
      rules,
      dividendYield: settings.dividend_yield,
    });

    const { source, spot, gaps = [] } = chain;
    const asOf = new Date(chain.asOf.epochMilliseconds);
    const run: NewRun = {
      symbol,
      run_at: new Date(now.epochMilliseconds),
      as_of: asOf,
      source,
      spot,
      gaps: [...gaps],
      atm_iv: atmIv,
      iv_rank: ivRank,
      iv_percentile: ivPercentile,
      trend,
      job_id: job.id,
      ranked,
      owners,
    };
    const best = ranked.ranks[0];
    return {
      effects: [
        effect(storeRuns, [run]),
        effect(storeIvs, atmIv === null ? [] : [{ symbol, date, iv: atmIv, source, asOf }]),
        effect(storeChainDays, [{ symbol, date, contracts: day.key.length, data: encodeChainDay(day), source, asOf }]),
      ],
      result: {
        symbol,
        mode,
        source,
        as_of: asOf.toISOString(),
        total: ranked.total,
        eligible: ranked.eligible,
        kept: ranked.ranks.length,
        reasons: ranked.reasons,
        ...(best === undefined ? {} : { best: best.contract }),
        ...(mode === 'exit' && positions.length === 0 ? { note: `nobody holds an option of ${symbol}: there is nothing to rank` } : {}),
        ...(gaps.length === 0 ? {} : { gaps }),
        simulated,
        attempts,
        ms: Math.round(performance.now() - started),
      },
      landed: [
        { symbol, kind: 'ranks', source, as_of: asOf.toISOString(), rows: ranked.ranks.length, ...(simulated ? { simulated } : {}) },
      ],
      withErrors: gap,
    };
  });
}

/** Made-up chains only for a symbol of which no real prices are stored. What is wrong with a file that somebody gave does not pass by itself. */
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

/** From the bars up to the chain's own day; real bars say nothing about a made-up chain, and the reverse. */
async function readTrend(
  symbol: string,
  date: string,
  state: SymbolState | undefined,
  simulated: boolean,
  { reader }: Pick<JobContext, 'reader'>,
): Promise<Trend> {
  if (isReal(state) === simulated) return 'neutral';
  const from = Temporal.PlainDate.from(date).subtract({ days: TREND_DAYS }).toString();
  const bars = await reader.bars(symbol, { from, to: date });
  return bars.length === 0 ? 'neutral' : trendOf(adjustPrices(bars).close);
}
