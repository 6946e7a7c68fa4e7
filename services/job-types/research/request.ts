import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { computationFor, type Origin } from '../request.ts';

export const researchKey = (symbol: string): string => `research:${symbol}`;

/** Fundamentals and news of one symbol. What is still fresh is not fetched again. */
export function researchRequest(symbol: string, origin: Origin): JobRequest {
  return computationFor(origin, { type: 'research', symbol, payload: { symbol }, dedupeKey: researchKey(symbol) });
}

/** Fundamentals alone, for a member of a universe that nobody asked for. A key of its own: who asks for the symbol's research must not join a job that brings no news. */
export function fundamentalsRequest(symbol: string, origin: Origin): JobRequest & { dedupeKey: string } {
  const dedupeKey = `${researchKey(symbol)}:fundamentals`;
  return { ...computationFor(origin, { type: 'research', symbol, payload: { symbol, news: false }, dedupeKey }), dedupeKey };
}
