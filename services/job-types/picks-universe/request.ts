import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { type StaleMembers, staleMembers, universeSymbols } from '../../picks/store/universes.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { portfolioBatches } from '../batch-fetch/request.ts';
import { computationFor, type Origin } from '../request.ts';
import { fundamentalsRequest } from '../research/request.ts';

/** There is one universe, so its update is one job while it lives. */
export const UNIVERSE_KEY = 'picks_universe';

interface Parts {
  db: Sql;
  clock: Clock;
  config: Config;
}

/**
 * Fetches the stale members of the universe, and the job that sums it up when all have ended. Nothing where nothing is stale, unless `always`: then the sum alone, which also
 * brings the track record up to date. The fetches are background work, whoever asks: the budget of the sources is shared.
 */
export async function universeRequests({ db, clock, config }: Parts, { always = false } = {}): Promise<JobRequest[]> {
  const stale = await staleMembers(db, await universeSymbols(db, config), clock.now(), config);
  if (!always && stale.prices.length + stale.fundamentals.length === 0) return [];
  return requestsOf(stale, config);
}

function requestsOf({ prices, fundamentals, left }: StaleMembers, config: Config): JobRequest[] {
  const origin: Origin = { cause: 'scheduled_update', rules: config.jobs.priority_rules, by: 'picks' };
  const batches = portfolioBatches(prices, config.stock_jobs.data_fetch.batch_size, origin).filter(({ type }) => type === 'batch_fetch');
  // The screen reads no headlines: news of hundreds of symbols a day is what gets an address blocked.
  const research = fundamentals.map((symbol) => fundamentalsRequest(symbol, origin));
  const after = [...batches.flatMap(({ dedupeKey }) => dedupeKey ?? []), ...research.map(({ dedupeKey }) => dedupeKey)];
  const { index } = config.picks.universe;
  return [
    ...batches,
    ...research,
    computationFor(origin, {
      type: 'picks_universe',
      symbol: index,
      payload: { prices: prices.length, fundamentals: fundamentals.length, left },
      dedupeKey: UNIVERSE_KEY,
      after,
    }),
  ];
}
