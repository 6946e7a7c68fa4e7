/** Requests for rankings, with fetches of the bars that are stale. */
import type { JobRequest } from '../jobs/enqueue.ts';
import { type Origin, type RankMode, rankKey, rankRequests } from '../jobs/requests.ts';
import { freshnessRules } from '../market/freshness.ts';
import { readStale } from '../market/judged.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Sql } from '../platform/database.ts';

/** A ranking that was made a moment ago stands for the request: no bars are fetched for it then, however old they are. */
export async function rankingRequests(
  symbols: readonly string[],
  mode: RankMode,
  { config, clock, db, origin }: { config: Config; clock: Clock; db: Sql; origin: Origin },
): Promise<JobRequest[]> {
  const now = clock.now();
  const [stale, made] = await Promise.all([
    readStale(db, symbols, now, freshnessRules(config)),
    readMade(
      db,
      symbols.map((symbol) => rankKey(symbol, mode)),
      new Date(now.epochMilliseconds),
    ),
  ]);
  for (const symbol of symbols) if (made.has(rankKey(symbol, mode))) stale.delete(symbol);
  return rankRequests(symbols, [mode], origin, { windowSeconds: config.ranking.dedupe_window, stale });
}

/** Those of the keys for which a completed job stands. By primary keys. */
async function readMade(sql: Sql, keys: readonly string[], now: Date): Promise<Set<string>> {
  const rows = await sql.rows<{ dedupe_key: string }>(
    `SELECT w.dedupe_key FROM dedupe_windows w JOIN jobs j ON j.id = w.job_id
      WHERE w.dedupe_key IN (?) AND w.until > ? AND j.state IN ('completed', 'completed_with_errors')`,
    [keys, now],
  );
  return new Set(rows.map(({ dedupe_key }) => dedupe_key));
}
