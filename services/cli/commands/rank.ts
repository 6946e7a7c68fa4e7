/** `stockmesh rank`: rankings that are asked for by hand. */
import { rankingRequests } from '../../ledger/ranking-requests.ts';
import type { Origin, RankMode } from '../../ledger/requests.ts';
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { readStale } from '../../market/freshness/judged.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { systemClock } from '../../platform/clock.ts';
import type { WaitOptions } from '../output/wait.ts';
import { type GlobalOptions, withSession } from '../session.ts';
import { order } from './fetch.ts';

export interface RankOptions extends GlobalOptions, WaitOptions {
  mode: readonly RankMode[];
  wait?: boolean | undefined;
}

/** Errors: `InputError('symbol.invalid')`. */
export async function rank(symbols: readonly string[], options: RankOptions): Promise<number> {
  const wanted = symbols.map(parseSymbol);
  return withSession(options, async (session) => {
    const { config } = session.loaded;
    const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules };
    const now = systemClock.now();
    const requests = await rankingRequests(wanted, options.mode, origin, {
      sql: session.db,
      now: new Date(now.epochMilliseconds),
      windowSeconds: config.ranking.dedupe_window,
      readStale: (some) => readStale(session.db, some, now, freshnessRules(config)),
    });
    return order(session, requests, options);
  });
}
