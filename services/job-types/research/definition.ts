import { z } from 'zod';
import { neededForAnyOf, researchSources } from '../../market/sources/capabilities.ts';
import { parseSymbol, SymbolSchema } from '../../market/symbol.ts';
import { httpForm, type JobType, marketResult } from '../job-type.ts';
import { researchRequest } from './request.ts';

/** `force`: also what is still fresh. `news: false`: fundamentals alone. */
export const ResearchPayload = z.strictObject({ symbol: SymbolSchema, force: z.boolean().optional(), news: z.boolean().optional() });

export const researchType = {
  name: 'research',
  about: 'Fundamentals and news of a symbol, with their source',
  payload: ResearchPayload,
  dataKinds: ['research'],
  retries: 'sources',
  timeLimit: ({ jobs }) => jobs.timeouts.stock_fetch,
  capability: (config) => neededForAnyOf(config, researchSources(config)),
  // News may fail where the fundamentals do not, and the other way round.
  mayCompleteWithErrors: true,
  logComponent: 'fetcher',
  shownResult: ['source', 'simulated', 'warnings', 'ms'],
  sharedResult: marketResult,
  http: httpForm({
    fields: { symbol: SymbolSchema },
    requests: ({ symbol }, { origin }) => [researchRequest(symbol, origin)],
  }),
  cli: {
    verb: 'research',
    argument: '<symbols...>',
    about: 'get fundamentals and news of symbols',
    options: [],
    requests(args) {
      const symbols = [...new Set(args.map(parseSymbol))];
      return { make: ({ origin }) => symbols.map((symbol) => researchRequest(symbol, origin)) };
    },
  },
} as const satisfies JobType;
