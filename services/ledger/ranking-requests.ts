/** What a wish for rankings means: by hand, over HTTP and by schedule the same. */
import type { Sql } from '../platform/database/database.ts';
import type { JobRequest } from './enqueue/enqueue.ts';
import { type Origin, type RankMode, rankKey, rankRequests } from './requests.ts';

/**
 * Rankings of the symbols in each mode, and before them fetches of bars that are stale. A ranking that was made within `windowSeconds` stands for the request: no
 * bars are fetched for it then, however old they are. `readStale`: those of the symbols whose bars are not fresh, which is for the market to judge.
 */
export async function rankingRequests(
  symbols: readonly string[],
  modes: readonly RankMode[],
  origin: Origin,
  {
    sql,
    now,
    windowSeconds,
    readStale,
  }: { sql: Sql; now: Date; windowSeconds: number; readStale: (symbols: readonly string[]) => Promise<Set<string>> },
): Promise<JobRequest[]> {
  if (symbols.length === 0) return [];
  const keys = symbols.flatMap((symbol) => modes.map((mode) => rankKey(symbol, mode)));
  const [stale, made] = await Promise.all([readStale(symbols), readMade(sql, keys, now)]);
  for (const symbol of symbols) if (modes.every((mode) => made.has(rankKey(symbol, mode)))) stale.delete(symbol);
  return rankRequests(symbols, modes, origin, { windowSeconds, stale });
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
