import { z } from 'zod';
import { MODES, type Mode } from '../../market/options/scoring/parts.ts';
import { parseSymbol, SymbolSchema } from '../../market/symbol.ts';
import { httpForm, type JobType } from '../job-type.ts';
import { rankingRequests } from './request.ts';

export const RankPayload = z.strictObject({ symbol: SymbolSchema, mode: z.enum(MODES) });

/** The mode of a request that names none. */
export const DEFAULT_MODE = 'monitor' satisfies Mode;

export const modeField = z
  .enum(MODES)
  .default(DEFAULT_MODE)
  .describe('monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close');

export const rankType = {
  name: 'rank',
  about: "The ranking of a symbol's options; its bars are fetched first when they are stale",
  payload: RankPayload,
  dataKinds: ['ranks'],
  retries: 'sources',
  timeLimit: ({ ranking }) => ranking.timeout,
  // A chain may lack a part that no retry brings.
  mayCompleteWithErrors: true,
  logComponent: 'analyzer',
  shownResult: ['source', 'mode', 'eligible', 'kept', 'simulated', 'ms'],
  http: httpForm({
    fields: { symbol: SymbolSchema, mode: modeField },
    requests: ({ symbol, mode }, context) => rankingRequests([symbol], [mode], context),
  }),
  cli: {
    verb: 'rank',
    argument: '<symbols...>',
    about: 'rank the options of symbols; prices that are not fresh are fetched first',
    options: [
      {
        flags: '--mode <mode>',
        about: 'monitor (worth watching), entry (worth buying) or exit (held positions); may be given several times',
        anyOf: MODES,
        standard: [DEFAULT_MODE],
      },
    ],
    requests(args, { mode }: { mode: readonly Mode[] }) {
      const symbols = args.map(parseSymbol);
      return { make: (context) => rankingRequests(symbols, mode, context) };
    },
  },
} as const satisfies JobType;
