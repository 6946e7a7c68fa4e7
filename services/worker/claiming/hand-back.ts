/** Jobs that were claimed ahead go back to the queue when they would wait here for too long, and when the worker shuts down: another worker may have a place for them. */
import type { Ledger } from '../../ledger/job.ts';
import { continueLater } from '../../ledger/run/complete.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { Publisher } from '../publisher.ts';
import { retryWhileUnavailable } from '../retry-while-unavailable.ts';
import { type RunningJobs, removeClaimed } from '../running-jobs.ts';
import { LONGEST_WAIT_MS } from './claim-ahead.ts';

export interface HandBackOptions {
  jobs: RunningJobs;
  ledger: Ledger;
  workerId: string;
  log: Logger;
  publisher: Publisher;
}

/** Hands back all jobs that wait for their turn. No attempt is used up. Never rejects: jobs that could not be handed back are retried when their leases expire. */
export async function handBackWaiting(
  { jobs, ledger, workerId, log, publisher }: HandBackOptions,
  { code, reason }: { code: string; reason: string },
): Promise<void> {
  const unstarted = jobs.waiting.splice(0);
  if (unstarted.length === 0) return;
  const back = unstarted.map(({ job }) => job);
  try {
    const write = () => continueLater(ledger, workerId, back, { code, reason, pauseSeconds: 0 });
    const { changes } = await retryWhileUnavailable(write, jobs.stopped.signal);
    log.info({ jobs: changes.length, code }, reason);
    void publisher.committed(changes);
  } catch (error) {
    log.error(
      { code: codeOf(error) },
      `could not hand back the jobs that wait here (${messageOf(error)}); they are retried when their leases expire`,
    );
  }
  for (const one of unstarted) removeClaimed(jobs, one);
}

/** Returns the function to be called when jobs begin to wait: it hands them back when one has waited for too long, since the handlers before it take longer than others of their type did. */
export function createWaitWatch(options: HandBackOptions): () => void {
  const { jobs, workerId } = options;
  let isWatching = false;
  const look = (): void => {
    isWatching = false;
    const oldest = jobs.waiting.reduce((least, { claimedAt }) => Math.min(least, claimedAt), Number.POSITIVE_INFINITY);
    if (jobs.now() - oldest >= LONGEST_WAIT_MS)
      void handBackWaiting(options, { code: 'worker.busy', reason: `handed back by ${workerId}, where no place became free in time` });
    else watch();
  };
  const watch = (): void => {
    if (isWatching || jobs.waiting.length === 0) return;
    isWatching = true;
    setTimeout(look, LONGEST_WAIT_MS / 2);
  };
  return watch;
}
