/** A worker: the claim loop takes jobs, the job runner runs their handlers, the committer commits the outputs, the heartbeat renews the leases. */
import type { Handler, JobContext } from '../job-types/handler.ts';
import type { Announcer } from '../ledger/announce.ts';
import { type Ledger, rulesOf } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import type { Bus } from '../platform/bus/bus.ts';
import { isCapability } from '../platform/config/sections/capabilities.ts';
import type { Logger } from '../platform/log/log.ts';
import { createClaimLoop } from './claiming/claim-loop.ts';
import { createWaitWatch } from './claiming/hand-back.ts';
import { createCommitter } from './committer.ts';
import { startHeartbeat } from './heartbeat.ts';
import { createIsolation } from './isolated.ts';
import { type JobRunnerOptions, LONGEST_TIMER_MS, type RunnableType, startJobs, startWaiting } from './job-runner.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import { createRunningJobs, Stopped, stopJob } from './running-jobs.ts';
import { shutDown } from './shutdown.ts';
import type { Tally } from './tally.ts';

export interface WorkerOptions extends Pick<JobContext<unknown>, 'sources' | 'realSources' | 'reader' | 'config'> {
  workerId: string;
  ledger: Ledger;
  bus: Pick<Bus, 'publish'>;
  announcer: Announcer;
  log: Logger;
  handlers: readonly Handler[];
  /** Called whenever the number of running handlers changes. */
  onLoad?: (running: number) => void;
  /** Counts what it does; by default for nobody. */
  tally?: Tally | undefined;
  /** Milliseconds of the clock by which handlers are found short or long; by default that of this process, which nobody sets. */
  now?: (() => number) | undefined;
  /** The module of the process for jobs whose worker has died before (`isolated.ts`). Without it these jobs run here. */
  isolatedEntry?: URL | undefined;
}

export interface Worker {
  /** Looks for work now. */
  wake(): void;
  /** Stops a job if it runs here. */
  abort(jobId: string, reason: string): void;
  running(): Pick<ClaimedJob, 'id' | 'type' | 'symbol' | 'attempt' | 'startedAt'>[];
  /** Handlers that run, jobs that were claimed ahead and wait for their turn, and jobs whose handler has returned and that are not committed yet. */
  load(): { running: number; waiting: number; uncommitted: number };
  /** Stops claiming, lets running jobs finish within the grace period and hands the others back. */
  drain(graceMs: number): Promise<void>;
}

export function startWorker(options: WorkerOptions): Worker {
  const { workerId, ledger, log, config, sources, realSources, reader, onLoad = () => {}, tally, now, isolatedEntry } = options;
  const { batch, max_concurrent_jobs: capacity, poll_interval } = config.worker;
  const jobs = createRunningJobs({ capacity, batchSize: batch.size, tally, now });
  const types = runnableTypes(options);
  const publisher = createPublisher(options);
  const committed: Publisher['committed'] = (changes, dataMessages) => {
    // A dependent, or a job that waited for a slot of its user, may be work for this worker.
    if (changes.some(({ state }) => state === 'ready')) claimLoop.ring();
    return publisher.committed(changes, dataMessages);
  };
  const committer = createCommitter({
    ledger,
    workerId,
    size: batch.size,
    waitMs: batch.wait,
    signal: jobs.stopped.signal,
    onCommitted: (changes, kept) =>
      void committed(
        changes,
        kept.flatMap(({ dataMessages }) => dataMessages),
      ),
  });
  /** At the end of this turn of the event loop: handlers that wait for one read end together, and one claim fills all their places. */
  const soon = onceATurn(() => {
    startWaiting(runner);
    claimLoop.wake();
    // No other handler will end soon.
    if (jobs.handling === 0) committer.flush();
  });
  const isolation =
    isolatedEntry && createIsolation({ entry: isolatedEntry, config, ledger, workerId, log, committed, progress: publisher.progress });
  const runner: JobRunnerOptions = {
    ...{ jobs, ledger, workerId, log, types, committer, publisher, onLoad, isolation },
    shared: { sources, realSources, reader, config },
    onSlotFree: soon,
    onWaiting: createWaitWatch({ jobs, ledger, workerId, log, publisher }),
    onBacklogShorter: soon,
  };
  const claimLoop = createClaimLoop({
    ...{ jobs, ledger, workerId, log },
    types: [...types.keys()],
    capabilities: config.worker.capabilities.filter(isCapability),
    mostOf: new Map([...types].flatMap(([type, { rules }]) => (rules.mostPerWorker === undefined ? [] : [[type, rules.mostPerWorker]]))),
    pollMs: Math.min(poll_interval * 1000, LONGEST_TIMER_MS / 2),
    onClaimed: (claimed) => startJobs(runner, claimed),
    onHandedBack: (changes) => void publisher.committed(changes),
  });
  const stopHeartbeat = startHeartbeat({ jobs, ledger, workerId, log });
  claimLoop.wake();
  return {
    wake: claimLoop.ring,
    abort: (id, reason) => stopJob(jobs, id, () => new Stopped('job.cancelled', reason)),
    running: () => [...jobs.claimed].map(({ job: { id, type, symbol, attempt, startedAt } }) => ({ id, type, symbol, attempt, startedAt })),
    load: () => ({
      running: jobs.handling,
      waiting: jobs.waiting.length,
      uncommitted: jobs.claimed.size - jobs.waiting.length - jobs.handling,
    }),
    async drain(graceMs) {
      await shutDown({ jobs, ledger, workerId, log, claimLoop, committer, publisher, stopHeartbeat }, graceMs);
      isolation?.close();
    },
  };
}

/** `work` once at the end of a turn of the event loop in which the function was called. */
function onceATurn(work: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      work();
    });
  };
}

/** The types that have a handler and that `worker.supported_job_types` names (an empty list names all). */
function runnableTypes({ handlers, ledger, config }: WorkerOptions): Map<string, RunnableType> {
  const supported: readonly string[] = config.worker.supported_job_types;
  const runnable = handlers.filter(({ type }) => supported.length === 0 || supported.includes(type));
  return new Map(runnable.map((handler) => [handler.type, { handler, rules: rulesOf(ledger, handler.type) }]));
}
