import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { computationFor, type Origin } from '../request.ts';

export const researchKey = (symbol: string): string => `research:${symbol}`;

/** Fundamentals and news of one symbol. What is still fresh is not fetched again. */
export function researchRequest(symbol: string, origin: Origin): JobRequest {
  return computationFor(origin, { type: 'research', symbol, payload: { symbol }, dedupeKey: researchKey(symbol) });
}
