import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { type Origin, requestFor } from '../request.ts';

/** The dedupe key of the job that fetches the newest bars of a symbol. */
export const fetchKey = (symbol: string): string => `fetch:${symbol}:bars`;

/** The newest bars of one symbol. */
export function fetchRequest(symbol: string, origin: Origin): JobRequest {
  return requestFor(origin, { type: 'fetch', symbol, payload: { symbol }, dedupeKey: fetchKey(symbol) });
}
