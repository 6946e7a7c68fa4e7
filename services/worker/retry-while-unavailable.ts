import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, isDatabaseAway } from '../platform/errors.ts';

/** Pauses between tries, in milliseconds; the last one repeats. */
const PAUSES_MS = [50, 100, 250, 500, 1_000];

/**
 * Repeats a write until the database can be reached: the job's work is done, and its lease decides whether the write still counts, not a number of tries.
 * `write` is told whether an earlier try may have been committed although its answer was lost. Conflicts between transactions are retried inside
 * `Database.transaction` and never here. Errors: those of `write` at once, except those of a database that is away, which are thrown only after `signal` has aborted or
 * this process has given the database up.
 */
export async function retryWhileUnavailable<T>(write: (mayBeCommitted: boolean) => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await write(tries > 0);
    } catch (error) {
      if (!isDatabaseAway(error) || codeOf(error) === 'database.closed' || signal.aborted) throw error;
      await delay(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)], undefined, { signal }).catch(() => {
        throw error;
      });
    }
  }
}
