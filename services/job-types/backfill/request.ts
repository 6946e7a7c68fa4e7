import { z } from 'zod';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { InputError } from '../../platform/errors.ts';
import { type Origin, requestFor } from '../request.ts';

const DAY = z.iso.date();

/**
 * The bars of one symbol from one day to another (`YYYY-MM-DD`, both inclusive). It is background work for every cause, so its priority is `jobs.default_priority`.
 * Errors: `InputError` `backfill.bad_day`, `backfill.bad_range`.
 */
export function backfillRequest(symbol: string, range: { from: string; to: string }, origin: Origin, defaultPriority: number): JobRequest {
  checkRange(symbol, range);
  const { from, to } = range;
  const work = { type: 'backfill', symbol, payload: { symbol, from, to }, dedupeKey: `backfill:${symbol}:${from}:${to}` };
  return requestFor(origin, work, { level: defaultPriority, of: 'jobs.default_priority' });
}

/** Errors: `InputError` `backfill.bad_day`, `backfill.bad_range`. */
export function checkRange(symbol: string, { from, to }: { from: string; to: string }): void {
  for (const day of [from, to])
    if (!DAY.safeParse(day).success)
      throw new InputError('backfill.bad_day', `${JSON.stringify(day)} is not a day; write it like 2026-01-31`);
  if (from > to)
    throw new InputError(
      'backfill.bad_range',
      `the backfill of ${symbol} from ${from} to ${to} ends before it begins; exchange the two days`,
    );
}
