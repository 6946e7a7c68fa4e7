import { z } from 'zod';
import { parseSymbol, SymbolSchema } from '../../market/symbol.ts';
import { httpForm, type JobType } from '../job-type.ts';
import { llmAnalysisRequests } from './request.ts';

export const LlmAnalysisPayload = z.strictObject({ symbol: SymbolSchema });

/** What the operator paid is not for every user who asked. */
function withoutCost({ cost_usd: _, spend_ids: __, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

export const llmAnalysisType = {
  name: 'llm_analysis',
  about: "A language model's opinion of a symbol, from stored facts; not investment advice",
  payload: LlmAnalysisPayload,
  dataKinds: ['llm_analysis'],
  retries: 'general',
  timeLimit: ({ jobs }) => jobs.timeouts.batch_analysis,
  mayCompleteWithErrors: false,
  // Facts that are missing are named in the analysis. Without any it is not made.
  needsMayFail: true,
  logComponent: 'analyzer',
  shownResult: ['source', 'simulated', 'warnings', 'ms'],
  sharedResult: withoutCost,
  http: httpForm({
    fields: { symbol: SymbolSchema },
    requests: ({ symbol }, context) => llmAnalysisRequests([symbol], context),
  }),
  cli: {
    verb: 'opinion',
    argument: '<symbols...>',
    about: 'ask the language model for its opinion of symbols, from stored facts; a paid call each, not investment advice',
    options: [],
    requests(args) {
      const symbols = args.map(parseSymbol);
      return { make: (context) => llmAnalysisRequests(symbols, context) };
    },
  },
} as const satisfies JobType;
