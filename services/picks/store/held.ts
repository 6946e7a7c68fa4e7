import { freshnessRules } from '../../market/freshness/freshness.ts';
import { judgeSymbols } from '../../market/freshness/symbol-judgement.ts';
import { readHoldings } from '../../market/portfolios/holdings.ts';
import { readWorth } from '../../market/portfolios/worth.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';

/** The share of the portfolio's worth by symbol, 0 to 1, of what a user holds. Short positions and what has no price are none of it. */
export async function heldShares(
  { sql, clock, config }: { sql: Sql; clock: Clock; config: Pick<Config, 'portfolio' | 'stock_jobs'> },
  user: string,
): Promise<Map<string, number>> {
  const all = (await readHoldings(sql, [user])).get(user) ?? [];
  const held = all.filter(({ quantity }) => quantity > 0);
  if (held.length === 0) return new Map();
  const now = clock.now();
  const rules = freshnessRules(config);
  const judged = await judgeSymbols(
    sql,
    held.map(({ symbol }) => symbol),
    now,
    rules,
  );
  const { values } = await readWorth(sql, held, judged, { base: config.portfolio.base_currency, now, rules });
  const known = [...values].flatMap(([symbol, value]) => (value === null || value <= 0 ? [] : [[symbol, value] as const]));
  const total = known.reduce((sum, [, value]) => sum + value, 0);
  return new Map(known.map(([symbol, value]) => [symbol, value / total]));
}
