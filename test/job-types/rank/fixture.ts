import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { ManualClock } from '../../../services/platform/clock.ts';
import { emptyTables, type TestDatabase, testDatabase } from '../../support/database.ts';
import { openWorkshop, sweep, type Workshop } from '../../worker/workshop.ts';

/** A Tuesday, while the market is open. */
export const NOW = '2026-03-10T15:00:00Z';
const TABLES = ['option_runs', 'option_current', 'options_ranks', 'iv_history', 'chain_days', 'option_positions', 'dedupe_windows'];

/** A ledger and its clock, new for each test of a file that ranks; a failed attempt is tried again at once. */
export interface RankFixture {
  readonly clock: ManualClock;
  readonly database: TestDatabase;
  readonly shop: Workshop;
}

export function rankFixture(): RankFixture {
  const current = {} as { clock: ManualClock; database: TestDatabase; shop: Workshop };
  beforeAll(async () => {
    current.database = await testDatabase();
  });
  beforeEach(() => {
    current.clock = new ManualClock(NOW);
    const settings = { 'stock_jobs.data_fetch.retry_backoff': '0', 'ranking.chains.reuse': 0 };
    current.shop = openWorkshop(current.database.options, settings, current.clock);
  });
  afterEach(async () => {
    await sweep(current.shop.db);
    await emptyTables(current.shop.db, TABLES);
    await current.shop.db.close();
  });
  afterAll(() => current.database.drop());
  return current;
}
