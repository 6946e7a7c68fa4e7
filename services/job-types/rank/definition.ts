import { z } from 'zod';
import { MODES, type Mode } from '../../market/options/scoring/parts.ts';
import { neededForAnyOf } from '../../market/sources/capabilities.ts';
import { parseSymbol, SymbolSchema } from '../../market/symbol.ts';
import { type CliRequest, httpForm, type JobType } from '../job-type.ts';
import { rankingRequests } from './request.ts';

export const RankPayload = z.strictObject({ symbol: SymbolSchema, mode: z.enum(MODES) });

/** The mode of a request that names none. */
export const DEFAULT_MODE = 'monitor' satisfies Mode;

export const modeField = z
  .enum(MODES)
  .default(DEFAULT_MODE)
  .describe('monitor: what is worth watching; entry: what is worth buying now; exit: which held position to close');

/** Stores the past of each symbol from a folder; undefined without one. Loaded when it is needed, since every command reads this definition. */
function seeding(symbols: readonly string[], folder: string | undefined): CliRequest['prepare'] {
  if (folder === undefined) return undefined;
  return async ({ config, db, signal }) => {
    const { seedPast } = await import('../../market/options/store/seed.ts');
    const lines: string[] = [];
    for (const symbol of new Set(symbols)) {
      const { days, ivs, from, to } = await seedPast(db, config, symbol, folder, signal);
      const counts = `${days} ${days === 1 ? 'day' : 'days'} of contracts and ${ivs} ${ivs === 1 ? 'volatility' : 'volatilities'}`;
      lines.push(`${symbol}: ${counts}${days === 1 ? ` of ${from}` : ` from ${from} to ${to}`}`);
    }
    return lines;
  };
}

/** An exit ranking counts the positions of all users, and its best contract is one that somebody holds. */
function withoutPositions({
  symbol,
  mode,
  source,
  as_of,
  gaps,
  simulated,
  attempts,
  ms,
}: Record<string, unknown>): Record<string, unknown> {
  return { symbol, mode, source, as_of, ...(gaps === undefined ? {} : { gaps }), simulated, attempts, ms };
}

export const rankType = {
  name: 'rank',
  about: "The ranking of a symbol's options; its bars are fetched first when they are stale",
  payload: RankPayload,
  dataKinds: ['ranks'],
  retries: 'sources',
  timeLimit: ({ ranking }) => ranking.timeout,
  capability: (config) => neededForAnyOf(config, config.ranking.chains.sources),
  // A chain may lack a part that no retry brings.
  mayCompleteWithErrors: true,
  // Bars give the trend alone. A symbol whose bars no source has is ranked with a neutral one.
  needsMayFail: true,
  logComponent: 'analyzer',
  shownResult: ['source', 'mode', 'eligible', 'kept', 'simulated', 'ms'],
  sharedResult: (result) => (result.mode === 'exit' ? withoutPositions(result) : result),
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
      {
        flags: '--backfill <folder>',
        about: 'first store the volatilities and contracts of past days from a folder of chain files, or a Lean data folder',
      },
    ],
    requests(args, { mode, backfill }: { mode: readonly Mode[]; backfill?: string | undefined }) {
      const symbols = args.map(parseSymbol);
      return { make: (context) => rankingRequests(symbols, mode, context), prepare: seeding(symbols, backfill) };
    },
  },
} as const satisfies JobType;
