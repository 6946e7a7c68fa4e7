/** Ends a worker: running jobs may finish within the grace period, the others go back to the queue without using up an attempt. */
import { setTimeout as delay } from 'node:timers/promises';
import { handBack } from '../ledger/run/complete.ts';
import { codeOf, messageOf, TransientError } from '../platform/errors.ts';
import type { ClaimLoop } from './claiming/claim-loop.ts';
import { type HandBackOptions, handBackWaiting } from './claiming/hand-back.ts';
import type { Committer } from './committer.ts';
import { LONGEST_TIMER_MS } from './job-runner.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';
import { Stopped } from './running-jobs.ts';

/** How long a shutdown waits beyond its grace period for a database that does not answer; the leases end by themselves then. */
const OVERTIME_MS = 5_000;

export interface ShutdownOptions extends HandBackOptions {
  claimLoop: ClaimLoop;
  committer: Committer;
  stopHeartbeat: () => void;
}

/** Resolves when no job runs here any more. Never rejects: jobs that could not be handed back are retried when their leases expire. */
export async function shutDown(options: ShutdownOptions, graceMs: number): Promise<void> {
  const { jobs, log, claimLoop, stopHeartbeat } = options;
  jobs.draining = true;
  const claimed = claimLoop
    .stop()
    .then(() => handBackWaiting(options, { code: 'worker.shutdown', reason: `handed back by ${options.workerId}, which shuts down` }));
  const overtime = new AbortController();
  try {
    const finished = claimed.then(() => Promise.all([...jobs.claimed].map(({ done }) => done)));
    await Promise.race([finished, delay(Math.min(graceMs, LONGEST_TIMER_MS), undefined, { ref: false })]);
    await Promise.race([claimed.then(() => handBackJobs(options)), failAfter(OVERTIME_MS, overtime.signal)]);
  } catch (error) {
    log.error(
      { code: codeOf(error) },
      `could not hand back the running jobs (${messageOf(error)}); they are retried when their leases expire`,
    );
  } finally {
    overtime.abort();
    jobs.stopped.abort();
    stopHeartbeat();
  }
}

/** Stops what still runs and makes it ready again, after the finished jobs are committed. */
async function handBackJobs({ jobs, ledger, workerId, log, committer, publisher }: ShutdownOptions): Promise<void> {
  const unfinished = [...jobs.claimed];
  for (const { abort } of unfinished) abort.abort(new Stopped('worker.shutdown', 'the worker shuts down'));
  await committer.idle();
  if (unfinished.length === 0) return;
  const { changes, lost } = await retryWhileUnavailable(
    () =>
      handBack(
        ledger,
        workerId,
        unfinished.map(({ job }) => job),
        `handed back by ${workerId}, which shuts down`,
      ),
    jobs.stopped.signal,
  );
  log.info({ jobs: unfinished.length - lost.length }, 'handed the running jobs back');
  await publisher.committed(changes);
}

async function failAfter(ms: number, signal: AbortSignal): Promise<never> {
  await delay(ms, undefined, { signal });
  throw new TransientError('database.unavailable', `the database did not answer within ${ms / 1000} s`);
}
