import { expect, test } from 'vitest';
import type { StoredRank } from '../../../../services/market/options/ranking/rank-columns.ts';
import { rankJson, runJson } from '../../../../services/market/options/ranking/run-json.ts';
import type { RunPage } from '../../../../services/market/options/store/runs.ts';
import { inventRun, RUN_AT } from './invented-run.ts';

const leftOut = (position: string, user: string) => ({
  position,
  contract: 'ACME260320C00100000',
  reason: 'no_bid' as const,
  why: 'nobody bids for it',
  user,
});

function pageOf(changes: Partial<RunPage['run']> = {}): RunPage {
  const { ranked, owners: _, ...run } = inventRun('exit');
  const { mode, total, eligible, reasons, ranks } = ranked;
  return {
    run: { ...run, run_id: 'r', mode, total, eligible, reasons, left_out: [leftOut('1', 'alice'), leftOut('2', 'bob')], ...changes },
    matching: 7,
    ranks: ranks.slice(0, 1).map((rank): StoredRank => ({ ...rank, run_at: RUN_AT, user_id: 'alice' })),
    next: 'r.1',
  };
}

test('a symbol without a ranking has every field, unknown, and why', () => {
  const state = { text: 'no ranking was asked for' };
  expect(runJson('ACME', 'exit', undefined, { limit: 5 }, state)).toEqual({
    symbol: 'ACME',
    mode: 'exit',
    run_at: null,
    as_of: null,
    source: null,
    simulated: false,
    spot: null,
    total: null,
    eligible: null,
    reasons: null,
    left_out: null,
    gaps: null,
    atm_iv: null,
    iv_rank: null,
    iv_percentile: null,
    trend: null,
    job_id: null,
    totalRanks: 0,
    ranks: [],
    next: null,
    filters: { limit: 5 },
    state,
  });
});

test('a ranking has those of its run, and made-up prices are called so', () => {
  const page = pageOf();
  const json = runJson('ACME', 'exit', page, { limit: 5, cursor: 'r.0' }, null);
  expect(json).toMatchObject({
    ...{ run_at: RUN_AT, as_of: RUN_AT, source: 'file', simulated: false, spot: 100, total: page.run.total, eligible: page.run.eligible },
    ...{ atm_iv: 0.25, iv_rank: 20, iv_percentile: 25, trend: 'neutral', job_id: page.run.job_id, totalRanks: 7, next: 'r.1' },
    ...{ reasons: page.run.reasons, gaps: [], state: null, left_out: page.run.left_out },
    ranks: [{ contract: page.ranks[0]!.contract }],
  });
  expect(json.filters).toEqual({ limit: 5 });
  expect(runJson('ACME', 'exit', pageOf({ source: 'simulated' }), { limit: 5 }, null).simulated).toBe(true);
});

test('asked for one user it names the positions of that user alone', () => {
  expect(runJson('ACME', 'exit', pageOf(), { limit: 5, user: 'bob' }, null).left_out).toEqual([leftOut('2', 'bob')]);
});

test('a rank says when it was quoted as a moment', () => {
  const [rank] = pageOf().ranks;
  expect(rankJson({ ...rank!, quoted_at: Date.parse('2026-03-02T17:00:00Z') }).quoted_at).toEqual(new Date('2026-03-02T17:00:00Z'));
});
