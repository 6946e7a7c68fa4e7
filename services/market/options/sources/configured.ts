/** The sources of option chains that the configuration names, in its order. */

import type { Clock } from '../../../platform/clock.ts';
import type { Config } from '../../../platform/config/load.ts';
import type { Database } from '../../../platform/database/database.ts';
import { PermanentError } from '../../../platform/errors.ts';
import { componentLogger, type Logger } from '../../../platform/log/log.ts';
import { sourceBudget } from '../../sources/budget.ts';
import { askableBy } from '../../sources/capabilities.ts';
import { askWithFailover, type SourceAttemptOf } from '../../sources/failover.ts';
import { spellingsOf } from '../../symbol.ts';
import type { Chain, ChainSourceName } from '../chain/chain.ts';
import { coalesced } from './coalesce.ts';
import { fileChains } from './file.ts';
import { leanChains } from './lean.ts';
import { simulatedChains } from './simulated.ts';
import type { ChainSource } from './source.ts';
import { yahooChains } from './yahoo.ts';

export interface ChainFound {
  chain: Chain;
  attempts: SourceAttemptOf<ChainSourceName>[];
}

/** Option chains of an underlying. Errors: those of `askWithFailover`; an abort rethrows the signal's reason. */
export interface Chains {
  chain(underlying: string, signal: AbortSignal): Promise<ChainFound>;
}

/** `all` includes the simulated source: for symbols without stored real data. */
export interface ChainsByKind {
  all: Chains;
  real: Chains;
}

interface Surroundings {
  config: Config;
  clock: Clock;
  log: Logger;
  onAttempt?: (attempt: SourceAttemptOf<ChainSourceName>) => void;
}

/** The sources that the configuration names and this worker may ask. */
export async function configuredChains({ db, ...around }: Surroundings & { db: Database }): Promise<ChainsByKind> {
  const { config, clock } = around;
  const { chains, rules } = config.ranking;
  const { rate_limit, lean, simulated, spellings } = config.stock_jobs.data_fetch;
  const make: Record<ChainSourceName, () => ChainSource> = {
    yahoo_finance: () =>
      yahooChains({
        clock,
        budget: sourceBudget({ db, clock, perMinute: { yahoo_finance: rate_limit } }),
        timeoutMs: config.stock_jobs.data_fetch.timeout * 1000,
        spell: spellingsOf('yahoo_finance', spellings),
      }),
    lean: () => {
      const source = leanChains(lean.path as string, { clock });
      return { name: 'lean', chain: (symbol, signal) => source.chain(symbol, signal, chains.lean_day ?? undefined) };
    },
    file: () => fileChains(chains.file.path as string),
    simulated: () =>
      simulatedChains({
        seed: simulated.seed,
        clock,
        contracts: chains.simulated.contracts,
        rate: rules.risk_free_rate,
        dividendYield: chains.dividend_yield,
      }),
  };
  return chainsOf(
    askableBy(config, chains.sources).map((name) => make[name]()),
    around,
  );
}

/** The sources behind circuit breakers and time limits, with and without simulated chains. */
export function chainsOf(sources: readonly ChainSource[], around: Surroundings): ChainsByKind {
  const made = (some: readonly ChainSource[]): Chains => reusing(withFailover(some, around), around.config.ranking.chains.reuse);
  const real = sources.filter(({ name }) => name !== 'simulated');
  return { all: made(sources), real: real.length === 0 ? onlySimulated : made(real) };
}

const onlySimulated: Chains = {
  async chain(underlying) {
    throw new PermanentError(
      'chain.only_simulated',
      `real prices of ${underlying} are stored, and ranking.chains.sources names no source of real option chains; simulated ones are not used with real prices`,
    );
  },
};

function withFailover(sources: readonly ChainSource[], { config, clock, log, onAttempt }: Surroundings): Chains {
  const { breaker } = config.stock_jobs.data_fetch;
  const ask = askWithFailover<ChainSourceName, [], Chain>(
    sources.map((source) => ({ name: source.name, ask: (symbol, signal) => source.chain(symbol, signal) })),
    {
      what: 'an option chain',
      clock,
      log: componentLogger(log, 'fetcher'),
      timeoutMs: config.ranking.chains.timeout * 1000,
      breaker: { failures: breaker.failures, openMs: breaker.reset_after * 1000 },
      onAttempt,
    },
  );
  return {
    async chain(underlying, signal) {
      const { answer, attempts } = await ask(underlying, signal);
      return { chain: answer, attempts };
    },
  };
}

/** The three modes of a symbol are three jobs, usually at the same time, and use one chain. The newest few chains are cached. */
function reusing(chains: Chains, seconds: number): Chains {
  const known = new Map<string, { found: ChainFound; at: number }>();
  const load = coalesced(async (underlying, signal) => {
    const found = await chains.chain(underlying, signal);
    known.delete(underlying);
    known.set(underlying, { found, at: performance.now() });
    if (known.size > REMEMBERED) known.delete(known.keys().next().value as string);
    return found;
  });
  return {
    async chain(underlying, signal) {
      const last = known.get(underlying);
      if (last !== undefined && performance.now() - last.at < seconds * 1000) return last.found;
      return load(underlying, signal);
    },
  };
}

/** A chain of 4,500 contracts takes 0.7 MB. */
const REMEMBERED = 8;
