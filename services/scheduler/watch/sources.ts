/** Sources that do not answer, and sources of which more is asked than they give. */
import { readBudgets } from '../../market/sources/budget.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { readHealth, type SourceHealth } from '../../platform/monitoring/source-health.ts';
import { type LimitCheck, listed } from '../thresholds.ts';

/** A source is down when a worker has stopped asking it after repeated failures, and no worker has had an answer since its last failure. */
export async function sourceDown(sql: Sql, { stock_jobs: { data_fetch } }: Pick<Config, 'stock_jobs'>): Promise<LimitCheck> {
  const bySource = Map.groupBy(await readHealth(sql), ({ source }) => source);
  const down = data_fetch.sources.filter((source) => isDown(bySource.get(source) ?? []));
  const reasons = down.map((source) => `${source} (${newestFailure(bySource.get(source) ?? [])?.last_error ?? 'no answer'})`);
  return {
    name: 'source_down',
    beyond: down.length > 0,
    value: down.length,
    threshold: 0,
    text: `${down.length} of ${data_fetch.sources.length} sources (stock_jobs.data_fetch.sources) do not answer${down.length === 0 ? '' : `: ${listed(reasons)}`}`,
    subjects: down.join(' '),
  };
}

const timeOf = (at: Date | null): number => at?.getTime() ?? 0;

function newestFailure(rows: readonly SourceHealth[]): SourceHealth | undefined {
  return rows.toSorted((a, b) => timeOf(b.last_error_at) - timeOf(a.last_error_at))[0];
}

function isDown(rows: readonly SourceHealth[]): boolean {
  // An answer takes `open_until` away; its time alone says nothing, since nobody may have asked again.
  const wasPaused = rows.some(({ open_until }) => open_until !== null);
  const answered = Math.max(0, ...rows.map(({ last_ok_at }) => timeOf(last_ok_at)));
  return wasPaused && timeOf(newestFailure(rows)?.last_error_at ?? null) > answered;
}

/** A window begins with the first request after the last one, so two in a row may have a pause between them. */
const NEXT_WINDOW_MS = 120_000;

/** Remembers for how long the requests of each source have been used up: the table has the present window alone. */
export function watchBudgets(sql: Sql, config: Pick<Config, 'stock_jobs' | 'monitoring'>): (now: Date) => Promise<LimitCheck> {
  const { rate_limit } = config.stock_jobs.data_fetch;
  const { max_budget_minutes } = config.monitoring.thresholds;
  const spent = new Map<string, { since: number; until: number }>();
  return async (now) => {
    const at = now.getTime();
    for (const [source, { points, expire: until }] of await readBudgets(sql, now)) {
      if (points < rate_limit) continue;
      const before = spent.get(source);
      const goesOn = before !== undefined && until - before.until <= NEXT_WINDOW_MS;
      spent.set(source, { since: goesOn ? before.since : at, until });
    }
    for (const [source, { until }] of spent) if (at - until > NEXT_WINDOW_MS / 2) spent.delete(source);
    const minutes = (source: string): number => (at - (spent.get(source)?.since ?? at)) / 60_000;
    const over = [...spent.keys()].filter((source) => minutes(source) >= max_budget_minutes);
    return {
      name: 'source_budget',
      beyond: over.length > 0,
      value: Math.max(0, ...[...spent.keys()].map(minutes)),
      threshold: max_budget_minutes,
      text: `of ${over.length} sources all ${rate_limit} requests a minute (stock_jobs.data_fetch.rate_limit) were used for ${max_budget_minutes} minutes or more (monitoring.thresholds.max_budget_minutes)${over.length === 0 ? '' : `: ${listed(over)}`}`,
      subjects: over.join(' '),
    };
  };
}
