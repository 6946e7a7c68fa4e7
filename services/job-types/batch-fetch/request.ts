import { createHash } from 'node:crypto';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { analysisRequest } from '../analysis/request.ts';
import { fetchKey } from '../fetch/request.ts';
import { type Origin, requestFor } from '../request.ts';

/**
 * Fetches of many symbols in batches of at most `batchSize`, and the analysis of each symbol after its batch. Each symbol stands in one batch. The same symbols give
 * the same batches, in whatever order they are given.
 */
export function portfolioBatches(symbols: Iterable<string>, batchSize: number, origin: Origin): JobRequest[] {
  const sorted = [...new Set(symbols)].sort();
  const fetches: JobRequest[] = [];
  const analyses: JobRequest[] = [];
  for (let start = 0; start < sorted.length; start += batchSize) {
    const batch = sorted.slice(start, start + batchSize);
    const dedupeKey = `batch_fetch:${createHash('sha256').update(batch.join(' ')).digest('hex')}`;
    fetches.push(requestFor(origin, { type: 'batch_fetch', payload: { symbols: batch }, dedupeKey }));
    // The symbol may also have a fetch of its own under way.
    analyses.push(...batch.map((symbol) => analysisRequest(symbol, origin, [dedupeKey, fetchKey(symbol)])));
  }
  return [...fetches, ...analyses];
}
