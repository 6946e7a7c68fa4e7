/** Runs the scheduler's duties: each at its own interval, never overlapping itself, and not stopped by the failure of another. */
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, messageOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';

export interface Duty {
  name: string;
  /** Seconds from the end of a run to the start of the next. */
  everySeconds: number;
  /** One run. It looks at the signal between its batches. */
  run(signal: AbortSignal): Promise<void>;
}

export interface Duties {
  /** Resolves when the runs under way have ended. */
  stop(): Promise<void>;
}

/** While the database is away the pauses double up to this many seconds, or the duty's own interval where that is longer. Jobs wait for the first run after an outage. */
const LONGEST_BACKOFF_SECONDS = 2;
/** Node's timers end here and fire at once beyond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Starts all duties, the first run of each at once. An error is logged and the duty tried again after its interval; an outage of the database is logged once. */
export function startDuties(duties: readonly Duty[], log: Logger): Duties {
  const stopping = new AbortController();
  const { signal } = stopping;
  let away = false;

  async function loop({ name, everySeconds, run }: Duty): Promise<void> {
    let outages = 0;
    while (!signal.aborted) {
      try {
        await run(signal);
        outages = 0;
        if (away) log.info('the database is back');
        away = false;
      } catch (error) {
        if (error instanceof TransientError) {
          outages++;
          if (!away) log.warn({ code: error.code, duty: name }, `${error.message}; all duties wait for it`);
          away = true;
        } else
          log.error(
            { error, code: codeOf(error), duty: name },
            `${name} failed and is tried again in ${everySeconds} s: ${messageOf(error)}`,
          );
      }
      await pause(
        outages === 0 ? everySeconds : Math.min(everySeconds * 2 ** outages, Math.max(everySeconds, LONGEST_BACKOFF_SECONDS)),
        signal,
      );
    }
  }

  const loops = duties.map(loop);
  return {
    async stop() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

/** Resolves after so many seconds, or when the signal aborts. */
export async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await delay(Math.min(seconds * 1000, LONGEST_TIMER_MS), undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
