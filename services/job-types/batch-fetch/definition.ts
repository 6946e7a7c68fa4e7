import { z } from 'zod';
import { holdingsOf } from '../../market/portfolios/holdings.ts';
import { barSources, neededForAnyOf } from '../../market/sources/capabilities.ts';
import { parseSymbol, SymbolSchema } from '../../market/symbol.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { analysisRequest } from '../analysis/request.ts';
import { fetchRequest } from '../fetch/request.ts';
import { analyseField, httpForm, type JobType, marketResult, userId } from '../job-type.ts';
import { portfolioBatches } from './request.ts';

/** One item a symbol. */
export const BatchFetchPayload = z.strictObject({ symbols: z.array(SymbolSchema).min(1).max(1000) });

export const batchFetchType = {
  name: 'batch_fetch',
  earlierNames: ['stock_batch_fetch', 'portfolio_fetch'],
  about: 'The newest bars of many symbols, or of all that a user holds and watches, in batches',
  payload: BatchFetchPayload,
  dataKinds: ['bars'],
  retries: 'sources',
  timeLimit: ({ jobs }) => jobs.timeouts.portfolio_fetch,
  capability: (config) => neededForAnyOf(config, barSources(config)),
  mayCompleteWithErrors: true,
  logComponent: 'fetcher',
  shownResult: [],
  sharedResult: marketResult,
  hasItems: true,
  http: httpForm({
    fields: { symbols: z.array(SymbolSchema).min(1).max(500).optional(), portfolio: userId.optional(), analyse: analyseField },
    holder: ({ portfolio }) => portfolio,
    async requests({ symbols, portfolio, analyse }, { config, db, origin }) {
      if ((symbols === undefined) === (portfolio === undefined))
        throw new InputError('batch_fetch.nothing', 'give "symbols" or "portfolio" (a user), and not both');
      const wanted = symbols ?? (await symbolsHeldBy(db, portfolio as string, config));
      const requests = portfolioBatches(wanted, config.stock_jobs.data_fetch.batch_size, origin);
      return requests.filter(({ type }) => analyse !== false || type !== 'analysis');
    },
  }),
  // The command fetches named symbols one by one and a portfolio in batches.
  cli: {
    verb: 'fetch',
    argument: '[symbols...]',
    about: 'get newest bars of symbols, or of a whole portfolio, and analyse them',
    options: [
      { flags: '--portfolio <user>', about: 'all that this user holds and watches, in batches' },
      { flags: '--no-analysis', about: 'bars only' },
    ],
    requests(args, { portfolio, analysis }: { portfolio?: string; analysis: boolean }) {
      if ((args.length === 0) === (portfolio === undefined))
        throw new InputError(
          'fetch.nothing',
          `name symbols, such as "${COMMAND} fetch AAPL MSFT", or a portfolio with --portfolio <user>, and not both`,
        );
      const symbols = [...new Set(args.map(parseSymbol))];
      return {
        user: portfolio,
        async make({ config, db, origin }) {
          const requests =
            portfolio === undefined
              ? symbols.flatMap((symbol) => [fetchRequest(symbol, origin), analysisRequest(symbol, origin)])
              : portfolioBatches(await symbolsHeldBy(db, portfolio, config), config.stock_jobs.data_fetch.batch_size, origin);
          return requests.filter(({ type }) => analysis || type !== 'analysis');
        },
      };
    },
  },
} as const satisfies JobType;

/** What a user holds and watches, and the rates of the currencies. */
async function symbolsHeldBy(db: Sql, user: string, { portfolio }: Pick<Config, 'portfolio'>): Promise<string[]> {
  const symbols = (await holdingsOf(db, user)).map(({ symbol }) => symbol);
  // Loaded here, as for a ranking: the command line reads all definitions at every start.
  const [{ readSymbols }, { rateSymbols }] = await Promise.all([
    import('../../market/bars/read.ts'),
    import('../../market/portfolios/base-currency.ts'),
  ]);
  const states = await readSymbols(db, symbols);
  return [...symbols, ...rateSymbols(states.values(), portfolio.base_currency)];
}
