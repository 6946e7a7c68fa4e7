import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import type { Database, Sql } from '../../platform/database/database.ts';
import { isDatabaseAway, messageOf, TransientError } from '../../platform/errors.ts';
import type { SourceName } from '../bars/bars.ts';
import type { Budget } from './failover-source.ts';

/** The longest that a request waits for the next window. */
export const MOST_WAIT_MS = 5_000;

/** A source's window: the requests counted in it, and its end in epoch milliseconds. */
export interface BudgetWindow {
  points: number;
  expire: number;
}

/**
 * The window after a request at `nowMs`. It begins with the request when there is none. A window that ends a whole window later than a new one would is of a clock that
 * was wrong. Not one that ends a little later: of two requests at the same moment the second may have read its clock first, and must not begin a window anew.
 * The statement of `sourceBudget` does the same in the database (a test compares the two).
 */
export function countRequest(window: BudgetWindow | undefined, nowMs: number, windowMs: number): BudgetWindow {
  const end = nowMs + windowMs;
  const runs = window !== undefined && window.expire > nowMs && window.expire <= end + windowMs;
  return runs ? { points: window.points + 1, expire: window.expire } : { points: 1, expire: end };
}

/** Milliseconds that a counted request waits: 0 when it is within the limit. */
export function budgetWaitMs({ points, expire }: BudgetWindow, limit: number, nowMs: number): number {
  return points <= limit ? 0 : Math.max(1, expire - nowMs);
}

/** The error of a request that would wait too long. */
export function budgetUsedUp(source: SourceName, limit: number, windowSeconds: number, waitMs: number): TransientError {
  return new TransientError(
    'source.budget_used_up',
    `${source}: the budget of ${limit} requests per ${windowSeconds} s is used up; the next request is possible in ${Math.ceil(waitMs / 1000)} s (stock_jobs.data_fetch.rate_limit)`,
    { retryAfterMs: Math.ceil(waitMs) },
  );
}

/**
 * The rate budget that all workers share: `perMinute` requests a source and window, counted in one row a source. A source that is not named in `perMinute` (local ones)
 * has no limit and needs no database query.
 *
 * When the window is used up, a call waits for the next window if that begins within `maxWaitMs`, else throws `TransientError('source.budget_used_up')` with the wait as
 * `retryAfterMs`. Windows are fixed, so up to two budgets may be spent around a window's edge. They begin and end by the shared clock. The library that did this before
 * (rate-limiter-flexible) goes by each machine's own: a worker 600 s ahead closed a source to all others for 600 s.
 * When the database is away: its own error. When the limit cannot be read for another reason: `TransientError('source.budget_unavailable')`.
 */
export function sourceBudget({
  db,
  clock,
  perMinute,
  windowSeconds = 60,
  maxWaitMs = MOST_WAIT_MS,
}: {
  db: Pick<Database, 'transaction'>;
  clock: Clock;
  perMinute: Partial<Record<SourceName, number>>;
  /** For tests: how long a "minute" is. */
  windowSeconds?: number;
  maxWaitMs?: number;
}): Budget {
  const windowMs = windowSeconds * 1000;
  /** Sources whose window this process has seen used up, and until when, by `performance.now()`: the database is not asked again before. */
  const usedUpUntil = new Map<SourceName, number>();

  /** Takes a token: 0, or the milliseconds until there are tokens again. */
  async function take(source: SourceName, limit: number): Promise<number> {
    const known = (usedUpUntil.get(source) ?? 0) - performance.now();
    if (known > 0) return known;
    const window = await count(source);
    const nowMs = clock.now().epochMilliseconds;
    if (window.points >= limit) usedUpUntil.set(source, performance.now() + Math.max(1, window.expire - nowMs));
    return budgetWaitMs(window, limit, nowMs);
  }

  /** Counts a request in the source's window, as `countRequest` says. */
  async function count(source: SourceName): Promise<BudgetWindow> {
    const now = clock.now().epochMilliseconds;
    const end = now + windowMs;
    const latest = end + windowMs;
    try {
      return await db.transaction(async (tx) => {
        // Assignments run from left to right: the count looks at the window that was there.
        tx.later(
          `INSERT INTO source_budget (\`key\`, points, expire) VALUES (?, 1, ?)
           ON DUPLICATE KEY UPDATE points = IF(expire > ? AND expire <= ?, points + 1, 1), expire = IF(expire > ? AND expire <= ?, expire, VALUES(expire))`,
          [`source:${source}`, end, now, latest, now, latest],
        );
        const [row] = await tx.rows<BudgetWindow>('SELECT points, expire FROM source_budget WHERE `key` = ?', [`source:${source}`]);
        return row as BudgetWindow;
      });
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      throw new TransientError('source.budget_unavailable', `${source}: cannot read the rate limit: ${messageOf(error)}`, { cause: error });
    }
  }

  return async (source, signal) => {
    signal.throwIfAborted();
    const limit = perMinute[source];
    if (limit === undefined) return;
    const deadline = performance.now() + maxWaitMs;
    for (;;) {
      const waitMs = await take(source, limit);
      if (waitMs === 0) return;
      if (performance.now() + waitMs > deadline) throw budgetUsedUp(source, limit, windowSeconds, waitMs);
      await pause(waitMs, signal);
    }
  };
}

/** The sources beyond this machine, which `stock_jobs.data_fetch.rate_limit` limits. */
export const LIMITED_SOURCES: readonly string[] = ['yahoo_finance', 'alpha_vantage'] satisfies SourceName[];

/** By source: the requests of all workers in the present window, and when it ends. A source without a request in it is not there. The table has a row a source. */
export async function readBudgets(sql: Sql, now: Date): Promise<Map<string, { points: number; expire: number }>> {
  const rows = await sql.rows<{ key: string; points: number; expire: number }>(
    'SELECT `key`, points, expire FROM source_budget WHERE expire > ?',
    [now.getTime()],
  );
  return new Map(rows.map(({ key, points, expire }) => [key.replace(/^source:/, ''), { points, expire: Number(expire) }]));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
