import { z } from 'zod';
import { SymbolSchema } from '../../market/symbol.ts';
import { httpForm, type JobType, marketResult } from '../job-type.ts';
import { analysisRequest } from './request.ts';

export const AnalysisPayload = z.strictObject({ symbol: SymbolSchema });

export const analysisType = {
  name: 'analysis',
  earlierNames: ['stock_analysis', 'batch_analysis'],
  about: 'Indicators and signal of a symbol, from the bars that are stored or being fetched',
  payload: AnalysisPayload,
  dataKinds: ['indicators'],
  retries: 'general',
  timeLimit: ({ jobs }) => jobs.timeouts.stock_analysis,
  mayCompleteWithErrors: false,
  logComponent: 'analyzer',
  // Its `bars` are those that it used, not new ones.
  shownResult: ['signal', 'confidence', 'simulated', 'warnings'],
  sharedResult: marketResult,
  http: httpForm({
    fields: { symbol: SymbolSchema },
    requests: ({ symbol }, { origin }) => [analysisRequest(symbol, origin)],
  }),
} as const satisfies JobType;
