import { rankChain } from '../../../../services/market/options/ranking/rank.ts';
import type { Mode } from '../../../../services/market/options/scoring/parts.ts';
import type { NewRun } from '../../../../services/market/options/store/runs.ts';
import { holdings, inventMany } from '../chain/invented-chain.ts';

export const RUN_AT = new Date('2026-03-02T17:00:00Z');

/** A run of ACME over 600 invented contracts; in exit mode every other one of ten positions is alice's, the others bob's. */
export function inventRun(mode: Mode, changes: Partial<NewRun> = {}): NewRun {
  const input = inventMany(600, { mode });
  const positions = mode === 'exit' ? holdings(input, 10) : [];
  return {
    symbol: 'ACME',
    run_at: RUN_AT,
    as_of: RUN_AT,
    source: 'file',
    spot: 100,
    gaps: [],
    atm_iv: 0.25,
    iv_rank: 20,
    iv_percentile: 25,
    trend: 'neutral',
    job_id: '019b0000-0000-7000-8000-000000000001',
    ranked: rankChain({ ...input, positions }),
    owners: new Map(positions.map(({ id }, index) => [id, index % 2 === 0 ? 'alice' : 'bob'])),
    ...changes,
  };
}
