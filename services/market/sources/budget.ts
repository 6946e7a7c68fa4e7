import { setTimeout as sleep } from 'node:timers/promises';
import { RateLimiterMySQL, RateLimiterRes } from 'rate-limiter-flexible';
import type { LibraryPool } from '../../platform/database/database.ts';
import { isDatabaseAway, messageOf, TransientError } from '../../platform/errors.ts';
import type { SourceName } from '../bars/bars.ts';
import type { Budget } from './failover-source.ts';

/**
 * The rate budget that all workers share: `perMinute` requests a source and window, counted in one row a source. A source that is not named in `perMinute` (local ones)
 * has no limit and needs no database query.
 *
 * When the window is used up, a call waits for the next window if that begins within `maxWaitMs`, else throws `TransientError('source.budget_used_up')` with the wait as
 * `retryAfterMs`. Windows are fixed, so up to two budgets may be spent around a window's edge; machines' clocks must agree to a fraction of a window.
 * When the database is away: its own error. When the limit cannot be read for another reason: `TransientError('source.budget_unavailable')`.
 *
 * The migrations create the table. The library inserts three values in this order:
 * CREATE TABLE source_budget (`key` VARCHAR(255) NOT NULL, points INT NOT NULL DEFAULT 0, expire BIGINT UNSIGNED NULL, PRIMARY KEY (`key`)) ENGINE = InnoDB
 */
export function sourceBudget({
  pool,
  database,
  perMinute,
  table = 'source_budget',
  windowSeconds = 60,
  maxWaitMs = 5_000,
}: {
  pool: LibraryPool;
  /** The schema that holds `table`: the library writes it into its statements. */
  database: string;
  perMinute: Partial<Record<SourceName, number>>;
  table?: string;
  /** For tests: how long a "minute" is. */
  windowSeconds?: number;
  maxWaitMs?: number;
}): Budget {
  const limiters = new Map(
    Object.entries(perMinute).map(([source, points]) => [
      source,
      new RateLimiterMySQL({
        storeClient: pool.pool,
        storeType: 'pool',
        dbName: database,
        tableName: table,
        tableCreated: true,
        // One row a source: nothing to clear.
        clearExpiredByTimeout: false,
        keyPrefix: 'source',
        points,
        duration: windowSeconds,
        // Once this process has seen the window used up, it does not query the database again before the next window.
        inMemoryBlockOnConsumed: points,
      }),
    ]),
  );

  return async (source, signal) => {
    signal.throwIfAborted();
    const limiter = limiters.get(source);
    if (limiter === undefined) return;
    const deadline = performance.now() + maxWaitMs;
    for (;;) {
      const waitMs = await take(limiter, source);
      if (waitMs === 0) return;
      if (performance.now() + waitMs > deadline) {
        throw new TransientError(
          'source.budget_used_up',
          `${source}: the budget of ${limiter.points} requests per ${windowSeconds} s is used up; the next request is possible in ${Math.ceil(waitMs / 1000)} s (stock_jobs.data_fetch.rate_limit)`,
          { retryAfterMs: waitMs },
        );
      }
      await pause(waitMs, signal);
    }
  };
}

/** Takes a token: 0, or the milliseconds until there are tokens again. */
async function take(limiter: RateLimiterMySQL, source: SourceName): Promise<number> {
  try {
    await limiter.consume(source);
    return 0;
  } catch (error) {
    if (error instanceof RateLimiterRes) return Math.max(1, Math.ceil(error.msBeforeNext));
    if (isDatabaseAway(error)) throw error;
    throw new TransientError('source.budget_unavailable', `${source}: cannot read the rate limit: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
