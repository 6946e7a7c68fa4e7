/** Rankings as a worker publishes them, and a worker that makes them. */
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { MODES, type Mode } from '../../../services/market/options/scoring/parts.ts';
import { storeRuns } from '../../../services/market/options/store/runs.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import type { Database } from '../../../services/platform/database/database.ts';
import type { RunningService } from '../../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../../services/worker/service.ts';
import { silent } from '../../broker/peers.ts';
import { inventRun } from '../../market/options/ranking/invented-run.ts';
import type { GatewayMesh } from '../mesh.ts';

/** A market that is made up, as in the demo. */
export const SIMULATED = {
  'stock_jobs.data_fetch.sources': ['simulated'],
  'stock_jobs.data_fetch.simulated.enabled': true,
  'ranking.chains.sources': ['simulated'],
  'ranking.chains.simulated.contracts': 300,
  'worker.poll_interval': 0.05,
};

/** Empties what rankings are kept in before each test. */
export function withoutRankings(mesh: GatewayMesh): void {
  beforeEach(async () => {
    for (const table of ['option_runs', 'option_current', 'options_ranks', 'iv_history', 'chain_days', 'option_positions'])
      await mesh.db.run(`DELETE FROM ${table}`);
  });
}

/** The worker service, for a whole file. */
export function withWorker(mesh: GatewayMesh): void {
  let worker: RunningService;
  beforeAll(async () => {
    const bus = mesh.connect('worker');
    await bus.online();
    const { config, db } = mesh;
    worker = await startWorkerService({
      service: 'worker',
      instance: 'worker-1',
      config,
      db,
      bus,
      log: silent,
      clock: systemClock,
      dataFolder: tmpdir(),
    });
  });
  afterAll(() => worker.drain());
}

/** Runs of ACME in all modes, as `inventRun` makes them. */
export async function publishRuns(db: Database, modes: readonly Mode[] = MODES): Promise<void> {
  const gaps = [{ expiry: '2026-03-20', reason: 'listed without contracts' }];
  const runs = modes.map((mode) => inventRun(mode, { gaps }));
  await db.transaction((tx) => storeRuns(tx, runs));
}
