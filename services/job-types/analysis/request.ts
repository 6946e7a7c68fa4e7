import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { fetchKey } from '../fetch/request.ts';
import { computationFor, type Origin } from '../request.ts';

export const analysisKey = (symbol: string): string => `analysis:${symbol}`;

/** The analysis of one symbol, after the live jobs with the keys `after`. By default it waits for a fetch of the symbol, if there is one. */
export function analysisRequest(symbol: string, origin: Origin, after: readonly string[] = [fetchKey(symbol)]): JobRequest {
  return computationFor(origin, { type: 'analysis', symbol, payload: { symbol }, dedupeKey: analysisKey(symbol), after });
}
