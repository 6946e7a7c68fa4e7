import { z } from 'zod';
import { barSources, neededForAnyOf } from '../../market/sources/capabilities.ts';
import { parseSymbol, SymbolSchema } from '../../market/symbol.ts';
import { day, dayOption, httpForm, type JobType, marketResult, today } from '../job-type.ts';
import { backfillRequest, checkRange } from './request.ts';

export const BackfillPayload = z.strictObject({ symbol: SymbolSchema, from: z.iso.date(), to: z.iso.date() });

export const backfillType = {
  name: 'backfill',
  endEvent: 'backfill.ended',
  about: 'The bars of a symbol over a range of days, both inclusive',
  payload: BackfillPayload,
  dataKinds: ['bars'],
  retries: 'sources',
  timeLimit: ({ jobs }) => jobs.timeouts.stock_fetch,
  capability: (config) => neededForAnyOf(config, barSources(config)),
  mayCompleteWithErrors: false,
  logComponent: 'fetcher',
  shownResult: ['source', 'bars', 'written', 'through', 'stale', 'simulated', 'warnings', 'ms'],
  sharedResult: marketResult,
  http: httpForm({
    fields: { symbol: SymbolSchema, from: day, to: day.optional().describe('Today when left out') },
    requests: ({ symbol, from, to }, { config, clock, origin }) => [
      backfillRequest(symbol, { from, to: to ?? today(clock) }, origin, config.jobs.default_priority),
    ],
  }),
  cli: {
    verb: 'backfill',
    argument: '<symbol>',
    about: 'get the bars of a symbol over a range of days',
    options: [
      { flags: '--from <day>', about: 'first day, YYYY-MM-DD', required: true, schema: dayOption },
      { flags: '--to <day>', about: 'last day; today if not given', schema: dayOption },
    ],
    requests([text = ''], options: { from: string; to?: string }) {
      const symbol = parseSymbol(text);
      const { from, to } = options;
      // Today is the database's, which is not asked yet.
      checkRange(symbol, { from, to: to ?? from });
      return {
        make: ({ config, clock, origin }) => [
          backfillRequest(symbol, { from, to: to ?? today(clock) }, origin, config.jobs.default_priority),
        ],
      };
    },
  },
} as const satisfies JobType;
