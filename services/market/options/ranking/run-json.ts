/** A ranking as JSON. HTTP and the command line give the same document. */
import type { Mode } from '../scoring/parts.ts';
import type { RankFilter, RunPage } from '../store/runs.ts';
import type { StoredRank } from './rank-columns.ts';

/** `state`: why there is no ranking. */
export function runJson(
  symbol: string,
  mode: Mode,
  page: RunPage | undefined,
  { cursor: _, ...filters }: RankFilter,
  state: Record<string, unknown> | null,
): Record<string, unknown> {
  const run = page?.run;
  return {
    symbol,
    mode,
    run_at: run?.run_at ?? null,
    as_of: run?.as_of ?? null,
    source: run?.source ?? null,
    simulated: run?.source === 'simulated',
    spot: run?.spot ?? null,
    total: run?.total ?? null,
    eligible: run?.eligible ?? null,
    reasons: run?.reasons ?? null,
    // Of the user that the answer is filtered by.
    left_out: run?.left_out.filter(({ user }) => filters.user === undefined || user === filters.user) ?? null,
    gaps: run?.gaps ?? null,
    atm_iv: run?.atm_iv ?? null,
    iv_rank: run?.iv_rank ?? null,
    iv_percentile: run?.iv_percentile ?? null,
    trend: run?.trend ?? null,
    job_id: run?.job_id ?? null,
    totalRanks: page?.matching ?? 0,
    ranks: (page?.ranks ?? []).map(rankJson),
    next: page?.next ?? null,
    filters,
    state,
  };
}

export function rankJson(rank: StoredRank) {
  return { ...rank, quoted_at: new Date(rank.quoted_at) };
}

/** The columns of ranks as CSV; `signals` are separated by blanks there. */
export const RANK_CSV_COLUMNS = [
  ...(['place', 'contract', 'side', 'expiration', 'strike', 'dte', 'bid', 'ask', 'mid', 'volume', 'open_interest', 'quoted_at'] as const),
  ...([
    'iv',
    'delta',
    'gamma',
    'theta',
    'vega',
    'composite_rank',
    'entry_rank',
    'exit_rank',
    'band',
    'data_quality',
    'pnl_pct',
    'signals',
  ] as const),
];
export type RankCsvRow = Record<(typeof RANK_CSV_COLUMNS)[number], unknown>;
