/** The sources of fundamentals and news: of those that are configured for prices, the ones that have them. */
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { componentLogger, type Logger } from '../../platform/log/log.ts';
import { sourceBudget } from '../sources/budget.ts';
import { askableBy } from '../sources/capabilities.ts';
import { askWithFailover } from '../sources/failover.ts';
import { spellingsOf } from '../symbol.ts';
import { alphaVantageResearch } from './alpha-vantage.ts';
import { simulatedResearch } from './simulated.ts';
import { type Fundamentals, type News, RESEARCH_SOURCES, type ResearchSource, type ResearchSourceName } from './source.ts';
import { yahooResearch } from './yahoo.ts';

/** Fundamentals and news of the first source that answers. Errors: those of `askWithFailover`; an abort rethrows the signal's reason. */
export interface Research {
  fundamentals(symbol: string, signal: AbortSignal): Promise<Fundamentals>;
  news(symbol: string, signal: AbortSignal): Promise<News>;
}

interface Surroundings {
  config: Config;
  clock: Clock;
  db: Database;
  log: Logger;
}

export function configuredResearch({ config, clock, db, log }: Surroundings): Research {
  const { sources, rate_limit, timeout, alpha_vantage, simulated, spellings } = config.stock_jobs.data_fetch;
  const budget = sourceBudget({ db, clock, perMinute: { yahoo_finance: rate_limit, alpha_vantage: rate_limit } });
  const timeoutMs = timeout * 1000;
  const make: Record<ResearchSourceName, () => ResearchSource | undefined> = {
    yahoo_finance: () => yahooResearch({ clock, budget, timeoutMs, spell: spellingsOf('yahoo_finance', spellings) }),
    alpha_vantage: () =>
      alpha_vantage.api_key
        ? alphaVantageResearch({ apiKey: alpha_vantage.api_key, clock, budget, timeoutMs, spell: spellingsOf('alpha_vantage', spellings) })
        : undefined,
    simulated: () => (simulated.enabled ? simulatedResearch({ seed: simulated.seed, clock }) : undefined),
  };
  const named = askableBy(config, sources).filter((name): name is ResearchSourceName =>
    (RESEARCH_SOURCES as readonly string[]).includes(name),
  );
  return researchOf(
    named.flatMap((name) => make[name]() ?? []),
    { config, clock, log },
  );
}

/** The sources behind circuit breakers and time limits. */
export function researchOf(sources: readonly ResearchSource[], { config, clock, log }: Omit<Surroundings, 'db'>): Research {
  const { timeout, breaker } = config.stock_jobs.data_fetch;
  const options = {
    clock,
    log: componentLogger(log, 'fetcher'),
    timeoutMs: timeout * 1000,
    breaker: { failures: breaker.failures, openMs: breaker.reset_after * 1000 },
  };
  const fundamentals = askWithFailover<ResearchSourceName, [], Fundamentals>(
    sources.map((source) => ({ name: source.name, ask: (symbol, signal) => source.fundamentals(symbol, signal) })),
    { what: 'fundamentals', ...options },
  );
  const news = askWithFailover<ResearchSourceName, [], News>(
    sources.map((source) => ({ name: source.name, ask: (symbol, signal) => source.news(symbol, signal) })),
    { what: 'news', ...options },
  );
  return {
    fundamentals: async (symbol, signal) => (await fundamentals(symbol, signal)).answer,
    news: async (symbol, signal) => (await news(symbol, signal)).answer,
  };
}
