import { z } from 'zod';
import { barSources, neededForAnyOf } from '../../market/sources/capabilities.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { InputError } from '../../platform/errors.ts';
import { analysisRequest } from '../analysis/request.ts';
import { backfillRequest } from '../backfill/request.ts';
import { analyseField, day, httpForm, type JobType, marketResult, today } from '../job-type.ts';
import { fetchRequest } from './request.ts';

/** `range` is found in jobs that an earlier version enqueued; new ones are of the type `backfill`. */
export const FetchPayload = z.strictObject({
  symbol: SymbolSchema,
  range: z.strictObject({ from: z.iso.date(), to: z.iso.date().optional() }).optional(),
});

export const fetchType = {
  name: 'fetch',
  earlierNames: ['stock_fetch', 'portfolio_priority'],
  about: 'The newest bars of a symbol',
  payload: FetchPayload,
  dataKinds: ['bars'],
  retries: 'sources',
  timeLimit: ({ jobs }) => jobs.timeouts.stock_fetch,
  capability: (config) => neededForAnyOf(config, barSources(config)),
  mayCompleteWithErrors: false,
  logComponent: 'fetcher',
  measuresSource: true,
  shownResult: ['source', 'bars', 'written', 'through', 'stale', 'simulated', 'warnings', 'ms'],
  sharedResult: marketResult,
  http: httpForm({
    fields: {
      symbol: SymbolSchema,
      analyse: analyseField,
      from: day.optional().describe('For earlier clients: with it the request is a `backfill`'),
      to: day.optional(),
    },
    requests({ symbol, from, to, analyse }, { config, clock, origin }) {
      if (from !== undefined) return [backfillRequest(symbol, { from, to: to ?? today(clock) }, origin, config.jobs.default_priority)];
      if (to !== undefined) throw new InputError('backfill.bad_range', `a range that ends on ${to} needs "from", its first day`);
      return [fetchRequest(symbol, origin), ...(analyse === false ? [] : [analysisRequest(symbol, origin)])];
    },
  }),
} as const satisfies JobType;
