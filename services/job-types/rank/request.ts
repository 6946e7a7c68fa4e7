import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { LiveJob } from '../../ledger/enqueue/join.ts';
import type { Mode } from '../../market/options/scoring/parts.ts';
import type { Sql } from '../../platform/database/database.ts';
import { DONE_STATES } from '../../platform/job-states.ts';
import { fetchKey, fetchRequest } from '../fetch/request.ts';
import type { RequestContext } from '../job-type.ts';
import { computationFor, type Origin } from '../request.ts';

/**
 * The dedupe key of the job that ranks a symbol's options in a mode. `held`: the mark of the positions in them, which an exit ranking depends on (`heldMarks`): with other
 * positions it is another job.
 */
export const rankKey = (symbol: string, mode: Mode, held?: string): string =>
  mode === 'exit' && held !== undefined ? `rank:${symbol}:${mode}:${held}` : `rank:${symbol}:${mode}`;

/**
 * Rankings of the symbols in each mode, preceded by fetches of stale bars. A ranking that completed within `ranking.dedupe_window` stands for the request, so no bars
 * are fetched for it, however old they are.
 */
export async function rankingRequests(
  symbols: readonly string[],
  modes: readonly Mode[],
  { config, clock, db, origin }: RequestContext,
): Promise<JobRequest[]> {
  if (symbols.length === 0) return [];
  // Loaded here: the command line reads all definitions at every start, and these take longer to load than all the rest of them.
  const [{ readLive }, { freshnessRules }, { readStale }, { heldMarks }] = await Promise.all([
    import('../../ledger/enqueue/join.ts'),
    import('../../market/freshness/freshness.ts'),
    import('../../market/freshness/symbol-judgement.ts'),
    import('../../market/options/store/positions.ts'),
  ]);
  const now = clock.now();
  const held = modes.includes('exit') ? await heldMarks(db, symbols) : new Map<string, string>();
  const keysOf = (symbol: string) => modes.map((mode) => rankKey(symbol, mode, held.get(symbol)));
  // Before the bars: a fetch that ends in between would be asked for again.
  const fetching = await readLive(db, new Set(symbols.map(fetchKey)));
  const [stale, ranked] = await Promise.all([
    // Who asks by hand is not held up by the pause after a failure.
    readStale(db, symbols, now, { ...freshnessRules(config), ...(origin.cause === 'user_request' && { sources: undefined }) }),
    readRanked(db, symbols.flatMap(keysOf), new Date(now.epochMilliseconds)),
  ]);
  for (const symbol of symbols) if (keysOf(symbol).every((key) => ranked.has(key))) stale.delete(symbol);
  return rankRequests(symbols, modes, origin, { windowSeconds: config.ranking.dedupe_window, stale, held, fetching });
}

/**
 * A job for each symbol and mode. Within `windowSeconds` a request for the same is answered with the same job. The bars of the `stale` symbols are fetched first; for
 * the others a ranking waits for a fetch that is under way. `held`: by symbol, see `rankKey`. `fetching`: the fetches that were live before it was found what is stale, by
 * key.
 */
export function rankRequests(
  symbols: Iterable<string>,
  modes: readonly Mode[],
  origin: Origin,
  {
    windowSeconds,
    stale,
    held,
    fetching,
  }: {
    windowSeconds: number;
    stale: ReadonlySet<string>;
    held?: ReadonlyMap<string, string>;
    fetching?: ReadonlyMap<string, LiveJob>;
  },
): JobRequest[] {
  return [...new Set(symbols)].flatMap((symbol) => [
    ...(stale.has(symbol) ? [{ ...fetchRequest(symbol, origin), seen: fetching?.get(fetchKey(symbol)) }] : []),
    ...[...new Set(modes)].map((mode) =>
      computationFor(origin, {
        type: 'rank',
        symbol,
        payload: { symbol, mode },
        dedupeKey: rankKey(symbol, mode, held?.get(symbol)),
        dedupeWindowSeconds: windowSeconds,
        after: [fetchKey(symbol)],
      }),
    ),
  ]);
}

/** Those of the keys that have a completed job within its window. Reads by primary keys. */
async function readRanked(sql: Sql, keys: readonly string[], now: Date): Promise<Set<string>> {
  const rows = await sql.rows<{ dedupe_key: string }>(
    `SELECT w.dedupe_key FROM dedupe_windows w JOIN ended e ON e.job_id = w.job_id
      WHERE w.dedupe_key IN (?) AND w.until > ? AND e.state IN (?)`,
    [keys, now, DONE_STATES],
  );
  return new Set(rows.map(({ dedupe_key }) => dedupe_key));
}
