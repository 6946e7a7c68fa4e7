import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '../platform/errors.ts';

/** Pauses between tries, in milliseconds; the last one repeats. */
const PAUSES_MS = [50, 100, 250, 500, 1_000, 2_000];

/**
 * Writes what a job has made, again and again while the database cannot be reached: the work is done, and whether it still counts is the fence's decision and not
 * that of a clock. `work` is told whether an earlier try may have been committed although its answer was lost. Errors: those of `work` at once, except
 * `database.unavailable`, which is thrown only after `signal` has aborted.
 */
export async function untilWritten<T>(work: (again: boolean) => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work(tries > 0);
    } catch (error) {
      if (codeOf(error) !== 'database.unavailable' || signal.aborted) throw error;
      await delay(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)], undefined, { signal }).catch(() => {
        throw error;
      });
    }
  }
}
