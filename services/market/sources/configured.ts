/** The market sources that the configuration names, in its order. */

import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { componentLogger, type Logger } from '../../platform/log/log.ts';
import type { SourceName } from '../bars/bars.ts';
import { readStored } from '../bars/read.ts';
import { usCalendar } from '../calendar/calendar.ts';
import { spellingsOf } from '../symbol.ts';
import { alphaVantageSource } from './alpha-vantage.ts';
import { sourceBudget } from './budget.ts';
import { cachedSource } from './cached.ts';
import { askableBy } from './capabilities.ts';
import { type FailoverSource, failoverSource, type SourceAttempt } from './failover-source.ts';
import { leanSource } from './lean.ts';
import { simulatedSource } from './simulated.ts';
import type { MarketSource } from './source.ts';
import { yahooSource } from './yahoo.ts';

/** Requests a minute to each source that has a limit. */
export function budgetsOf({ stock_jobs }: Pick<Config, 'stock_jobs'>): Partial<Record<SourceName, number>> {
  const { rate_limit } = stock_jobs.data_fetch;
  return { yahoo_finance: rate_limit, alpha_vantage: rate_limit };
}

/**
 * All configured sources that this worker may ask, and the same without simulated data. With simulated data the source `cached` is left out: `all` is for symbols without stored real data,
 * and older simulated bars must not be given in place of newer ones.
 */
export async function configuredSources({
  config,
  clock,
  db,
  log,
  onAttempt,
}: {
  config: Config;
  clock: Clock;
  db: Database;
  log: Logger;
  onAttempt?: (attempt: SourceAttempt) => void;
}): Promise<{ all: FailoverSource; real: FailoverSource }> {
  const { sources, timeout, breaker, lean, alpha_vantage, simulated, spellings } = config.stock_jobs.data_fetch;
  const spell = (source: SourceName) => spellingsOf(source, spellings);
  const make: Record<SourceName, () => MarketSource | undefined> = {
    yahoo_finance: () => yahooSource({ clock, spell: spell('yahoo_finance') }),
    lean: () => leanSource({ path: lean.path as string, clock, spell: spell('lean') }),
    alpha_vantage: () =>
      alpha_vantage.api_key ? alphaVantageSource({ apiKey: alpha_vantage.api_key, clock, spell: spell('alpha_vantage') }) : undefined,
    cached: () => cachedSource({ read: (symbol, range) => readStored(db, symbol, range) }),
    simulated: () =>
      simulated.enabled
        ? simulatedSource({ seed: simulated.seed, clock, isTradingDay: (date) => usCalendar.isTradingDay(date) })
        : undefined,
  };
  const made = askableBy(config, sources).flatMap((name) => make[name]() ?? []);
  const budget = sourceBudget({ db, clock, perMinute: budgetsOf(config) });
  const chain = (parts: MarketSource[]): FailoverSource =>
    failoverSource({
      sources: parts,
      clock,
      log: componentLogger(log, 'fetcher'),
      budget,
      timeoutMs: timeout * 1000,
      breaker: { failures: breaker.failures, openMs: breaker.reset_after * 1000 },
      ...(onAttempt && { onAttempt }),
    });
  const mayMakeUp = sources.includes('simulated');
  return {
    all: chain(mayMakeUp ? made.filter(({ name }) => name !== 'cached') : made),
    real: chain(made.filter(({ name }) => name !== 'simulated')),
  };
}
