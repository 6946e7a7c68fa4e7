/** The sources of history that the configuration names. */
import { sourceBudget } from '../../market/sources/budget.ts';
import { spellingsOf } from '../../market/symbol.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { PermanentError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { lackOfSetting, neededForHistory } from './has.ts';
import { leanHistory } from './lean/lean.ts';
import { simulatedHistory } from './simulated/simulated.ts';
import type { HistorySource, HistorySourceName } from './source.ts';
import { thetaSource } from './theta/theta.ts';
import { yahooHistory } from './yahoo/yahoo.ts';

export interface HistorySurroundings {
  config: Config;
  db: Database;
  clock: Clock;
  log: Logger;
  /** Who holds the requests of an account's budget: this process. */
  holder: string;
}

const MAKE: Readonly<Record<HistorySourceName, (around: HistorySurroundings) => HistorySource>> = {
  theta: thetaSource,
  lean({ config }) {
    const { lean, spellings } = config.stock_jobs.data_fetch;
    const lack = lackOfSetting('lean', config.stock_jobs);
    if (lack !== undefined) return refusing('lean', lack);
    return leanHistory({ path: lean.path as string, spell: spellingsOf('lean', spellings) });
  },
  yahoo({ config, db, clock }) {
    const { rate_limit, timeout, spellings } = config.stock_jobs.data_fetch;
    return yahooHistory({
      clock,
      budget: sourceBudget({ db, clock, perMinute: { yahoo_finance: rate_limit } }),
      timeoutMs: timeout * 1000,
      spell: spellingsOf('yahoo_finance', spellings),
    });
  },
  simulated({ config, clock }) {
    const { seed } = config.stock_jobs.data_fetch.simulated;
    const lack = lackOfSetting('simulated', config.stock_jobs);
    if (lack !== undefined) return refusing('simulated', lack);
    const { chains, rules } = config.ranking;
    const { risk_free_rate: rate } = rules;
    return simulatedHistory({ seed, clock, contracts: chains.simulated.contracts, rate, dividendYield: chains.dividend_yield });
  },
};

/** In the order of `history.sources`. A source that lacks a setting is there and refuses everything, so that a person can read which one. */
export function configuredHistorySources(around: HistorySurroundings): HistorySource[] {
  return around.config.history.sources.map((name) => MAKE[name](around));
}

/** The same for a worker: it may not ask those whose capability it lacks. */
export function historySourcesOf(around: HistorySurroundings): HistorySource[] {
  const { config } = around;
  return config.history.sources.map((name) => {
    const needed = neededForHistory(config, name);
    if (needed === undefined || config.worker.capabilities.includes(needed)) return MAKE[name](around);
    return refusing(name, `it needs ${needed}, which this worker does not have (worker.capabilities)`);
  });
}

function refusing(name: HistorySourceName, reason: string): HistorySource {
  return {
    name,
    refuses: () => reason,
    calls: () => 0,
    fetch: () => Promise.reject(new PermanentError('history.no_source', `${name}: ${reason}`)),
  };
}
