/** Runs the handlers of claimed jobs, outside of any transaction, and gives what they return to the committer. */
import { setTimeout as delay } from 'node:timers/promises';
import { Continued, type Handler, type JobContext, type JobOutput } from '../job-types/handler.ts';
import type { Ledger, TypeRules } from '../ledger/job.ts';
import { partsOf } from '../ledger/parts.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { changeOf, commitPart, continueLater, type Finished, fail, postpone } from '../ledger/run/complete.ts';
import { ALONE_FROM, crash } from '../ledger/run/deaths.ts';
import { countItems, openItems, recordItems } from '../ledger/run/items.ts';
import { codeOf, isDatabaseAway, messageOf, TransientError } from '../platform/errors.ts';
import { componentLogger, type Logger } from '../platform/log/log.ts';
import { type OpenSpan, startSpan } from '../platform/monitoring/traces.ts';
import type { Committer } from './committer.ts';
import type { Isolation } from './isolated.ts';
import type { Publisher } from './publisher.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';
import {
  addClaimed,
  addWaiting,
  commitWeight,
  isBacklogFull,
  type JobAbort,
  type RunningJob,
  type RunningJobs,
  removeClaimed,
  Stopped,
} from './running-jobs.ts';

/** Node's timers end here; a longer one fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A job type as this worker runs it. */
export interface RunnableType {
  handler: Handler;
  rules: TypeRules;
}

export interface JobRunnerOptions {
  /** Runs jobs whose worker has died before. Without it they run here. */
  isolation?: Isolation | undefined;
  jobs: RunningJobs;
  ledger: Ledger;
  workerId: string;
  log: Logger;
  types: ReadonlyMap<string, RunnableType>;
  committer: Committer;
  publisher: Publisher;
  /** What every handler gets beside its job. */
  shared: Pick<JobContext<unknown>, 'sources' | 'realSources' | 'reader' | 'config'>;
  /** Called whenever the number of running handlers changes. */
  onLoad: (handling: number) => void;
  /** A handler has returned: its slot is free. */
  onSlotFree: () => void;
  /** Jobs begin to wait for their turn. */
  onWaiting: () => void;
  /** The number of outstanding commits was at its limit and no longer is. */
  onBacklogShorter: () => void;
}

/** Takes jobs that this worker has just claimed, starts the handlers of as many as have a place, and publishes that they run. */
export function startJobs(options: JobRunnerOptions, claimed: readonly ClaimedJob[]): void {
  const { jobs, publisher, workerId } = options;
  addWaiting(
    jobs,
    claimed.map((job) => addClaimed(jobs, job)),
  );
  startWaiting(options);
  if (jobs.waiting.length > 0) options.onWaiting();
  void publisher.committed(claimed.map((job) => changeOf(job, 'running', workerId)));
}

/** Starts the handlers of waiting jobs, most urgent first, as long as there are places. */
export function startWaiting(options: JobRunnerOptions): void {
  const { jobs } = options;
  const { waiting, capacity, ahead } = jobs;
  const now = jobs.now();
  while (waiting.length > 0 && jobs.handling < capacity && !jobs.draining && !isBacklogFull(jobs)) {
    const next = waiting.pop() as RunningJob;
    ahead.waited(now - next.claimedAt);
    start(options, next);
  }
}

/** Starts the handler of one job. */
export function startJob(options: JobRunnerOptions, job: ClaimedJob): RunningJob {
  const running = addClaimed(options.jobs, job);
  start(options, running);
  return running;
}

function start(options: JobRunnerOptions, running: RunningJob): void {
  const { jobs, onLoad, onBacklogShorter, isolation } = options;
  jobs.handling++;
  onLoad(jobs.handling);
  const run = isolation && running.job.deaths >= ALONE_FROM ? runAlone(options, isolation, running) : runJob(options, running);
  running.done = run.finally(() => {
    const wasFull = isBacklogFull(jobs);
    removeClaimed(jobs, running);
    jobs.uncommitted -= running.weight;
    if (wasFull) onBacklogShorter();
  });
}

/** The handler has returned, failed or was stopped: its place is free, and what it leaves is to be committed. */
function freePlace({ jobs, onLoad, onSlotFree }: JobRunnerOptions, running: RunningJob): void {
  jobs.handling--;
  jobs.uncommitted += running.weight;
  onLoad(jobs.handling);
  onSlotFree();
}

/** How long a job in a process of its own may exceed its time limit before that process is ended. It has a timer of its own, which a job may block. */
const OVERTIME_MS = 10_000;
/** Pause before the death of that process is counted against its job: whoever kills the process together with this worker leaves no witness. */
const WITNESS_MS = 250;

async function runAlone(options: JobRunnerOptions, isolation: Isolation, running: RunningJob): Promise<void> {
  const { ledger, workerId, jobs } = options;
  const { job, abort } = running;
  const { handler, rules } = options.types.get(job.type) as RunnableType;
  const log = jobLogger(options.log, handler, job);
  const timeOut = (): void => abort.abort(timeoutError(rules));
  const timer = setTimeout(timeOut, Math.min(rules.timeoutSeconds * 1000 + OVERTIME_MS, LONGEST_TIMER_MS));
  const span = startRunSpan(job, true);
  try {
    const outcome = await untilAborted(isolation.run(running), abort);
    span?.end(outcome.kind === 'ended' ? undefined : { code: outcome.kind === 'died' ? 'job.worker_died' : 'worker.no_process' });
    jobs.tally.ended(job.type, outcome.kind === 'ended' ? 'alone' : outcome.kind === 'died' ? 'died' : 'postponed');
    if (outcome.kind === 'ended') return;
    if (outcome.kind === 'died') await delay(WITNESS_MS);
    log.warn(
      { attempt: job.attempt },
      `${job.type} ${outcome.kind === 'died' ? 'ended its process' : 'could not be run alone'}: ${outcome.how}`,
    );
    await writeEnd(options, log, () =>
      outcome.kind === 'died'
        ? crash(ledger, workerId, job, outcome.how)
        : postpone(ledger, workerId, [job], {
            code: 'worker.no_process',
            reason: `no process of its own could be started: ${outcome.how}`,
          }),
    );
  } catch (error) {
    span?.end(error);
    await endFailed(options, job, error, log);
  } finally {
    clearTimeout(timer);
    freePlace(options, running);
  }
}

const timeoutError = ({ timeoutSeconds }: TypeRules): TransientError =>
  new TransientError('job.timeout', `took longer than ${timeoutSeconds} s (jobs.timeouts)`);

async function runJob(options: JobRunnerOptions, running: RunningJob): Promise<void> {
  const { committer } = options;
  const { job, abort } = running;
  const { handler, rules } = options.types.get(job.type) as RunnableType;
  const log = jobLogger(options.log, handler, job);
  const run = startRunSpan(job);
  let commit: OpenSpan | undefined;
  try {
    const output = await runHandler(options, running, handler, rules, log);
    run?.end();
    commit = startSpan('job.commit', run?.traceparent);
    const isKept = await committer.commit({ ...output, job, handler });
    commit?.end(isKept ? undefined : LEASE_LOST);
    options.jobs.tally.ended(job.type, isKept ? 'completed' : 'lost');
    if (isKept) {
      options.jobs.outageTold = false;
      log.info({ attempt: job.attempt, result: output.result }, `${job.type} completed`);
    } else log.warn({ attempt: job.attempt }, 'the lease was lost before the commit: nothing was kept');
  } catch (error) {
    const cause = abort.signal.aborted ? abort.signal.reason : error;
    (commit ?? run)?.end(cause);
    await endFailed(options, job, cause, log);
  }
}

const LEASE_LOST = { code: 'job.lease_lost' };

/** Within the span of its claim. */
function startRunSpan({ trace, ...job }: ClaimedJob, alone = false): OpenSpan | undefined {
  return startSpan('job.run', trace, {
    kind: 'CONSUMER',
    attributes: {
      ...{ 'job.id': job.id, 'job.type': job.type, 'job.queue': job.queue, 'job.priority': job.level, 'job.attempt': job.attempt },
      ...(job.symbol === null ? {} : { 'job.symbol': job.symbol }),
      ...(alone ? { 'job.alone': true } : {}),
    },
  });
}

/** One for each component of a logger: making it costs as much as a claim. */
const loggers = new WeakMap<Logger, Map<string, Logger>>();

function jobLogger(log: Logger, { logComponent }: Handler, { id, type, symbol, userId }: ClaimedJob): Logger {
  const known = loggers.get(log) ?? new Map<string, Logger>();
  const own = known.get(logComponent) ?? componentLogger(log, logComponent);
  loggers.set(log, known.set(logComponent, own));
  return own.child({ jobId: id, type, symbol: symbol ?? undefined, userId: userId ?? undefined });
}

/** The handler's output, within the type's time limit. The slot is free as soon as it is there, or the handler has failed or was stopped. */
async function runHandler(
  options: JobRunnerOptions,
  running: RunningJob,
  handler: Handler,
  rules: TypeRules,
  log: Logger,
): Promise<JobOutput<unknown>> {
  const { jobs } = options;
  const { job, abort } = running;
  const timeOut = (): void => abort.abort(timeoutError(rules));
  const timer = setTimeout(timeOut, Math.min(rules.timeoutSeconds * 1000, LONGEST_TIMER_MS));
  const started = jobs.now();
  try {
    // It was cancelled while it waited for its turn.
    abort.signal.throwIfAborted();
    const output = await untilAborted(handler.run(job.payload, contextOf(options, running, handler, log)), abort);
    running.weight = commitWeight(output.rows);
    return output;
  } finally {
    clearTimeout(timer);
    const ms = jobs.now() - started;
    jobs.ahead.ran(job.type, ms);
    jobs.tally.ran(job.type, ms / 1000);
    freePlace(options, running);
  }
}

function contextOf(options: JobRunnerOptions, running: RunningJob, handler: Handler, log: Logger): JobContext<unknown> {
  const { ledger, shared } = options;
  const { job, abort } = running;
  return {
    ...shared,
    job,
    timeLimitSeconds: (options.types.get(job.type) as RunnableType).rules.timeoutSeconds,
    signal: abort.signal,
    clock: ledger.clock,
    log,
    openItems: (keys) => openItems(ledger, job.id, keys),
    countItems: async () => countItems(ledger.db, job.id, ...(await partsOf(ledger.db, job.id))),
    commitItems: (items, rows, dataMessages) => commitItems(options, running, handler, { items, rows, dataMessages }),
  };
}

interface ItemsToCommit {
  items: Parameters<JobContext<unknown>['commitItems']>[0];
  rows: readonly unknown[];
  dataMessages: JobOutput<unknown>['dataMessages'];
}

async function commitItems(
  { ledger, workerId, publisher }: JobRunnerOptions,
  { job, abort }: RunningJob,
  handler: Handler,
  { items, rows, dataMessages }: ItemsToCommit,
): Promise<void> {
  const held = await commitPart(ledger, workerId, job, async (tx) => {
    if (rows.length > 0) await handler.store(tx, rows);
    await recordItems(tx, ledger, job.id, items);
  });
  // Through the signal, so that the handler does not take it for a failure of this one item.
  if (!held) abort.abort(new Stopped('job.lease_lost', 'the lease was lost'));
  abort.signal.throwIfAborted();
  void publisher.committed([], dataMessages);
  await publisher.progress(job);
}

/** Writes how a failed attempt ends, unless the attempt was stopped by a cancel, a lost lease or the shutdown, which write it themselves. */
async function endFailed(options: JobRunnerOptions, job: ClaimedJob, error: unknown, log: Logger): Promise<void> {
  const { tally } = options.jobs;
  if (error instanceof Stopped) {
    tally.ended(job.type, 'stopped');
    log.info({ attempt: job.attempt, code: error.code }, `stopped: ${error.message}`);
    return;
  }
  tally.ended(job.type, isDatabaseAway(error) || error instanceof Continued ? 'postponed' : 'failed');
  if (error instanceof Continued) log.info({ attempt: job.attempt }, `${job.type} goes on later: ${error.message}`);
  else logFailure(options.jobs, job, error, log);
  await writeEnd(options, log, () => endAttempt(options, job, error));
}

async function writeEnd(options: JobRunnerOptions, log: Logger, write: () => Promise<Finished>): Promise<void> {
  try {
    const { changes } = await retryWhileUnavailable(write, options.jobs.stopped.signal);
    void options.publisher.committed(changes);
  } catch (writing) {
    log.error(
      { code: codeOf(writing) },
      `could not write that the job failed (${messageOf(writing)}); it is retried when its lease expires`,
    );
  }
}

/** An outage is told once and not for each job that it stops, until a job completes again. */
function logFailure(jobs: RunningJobs, job: ClaimedJob, error: unknown, log: Logger): void {
  const isOutage = isDatabaseAway(error);
  log[isOutage && jobs.outageTold ? 'debug' : 'warn'](
    { attempt: job.attempt, code: codeOf(error) },
    `${job.type} ${isOutage ? 'is handed back' : 'failed'}: ${messageOf(error)}`,
  );
  if (isOutage) jobs.outageTold = true;
}

/** An outage of our own database is no failure of the job: it runs again and no attempt is used up. */
function endAttempt({ ledger, workerId, types, shared }: JobRunnerOptions, job: ClaimedJob, error: unknown): Promise<Finished> {
  if (isDatabaseAway(error)) return postpone(ledger, workerId, [job], { code: error.code, reason: messageOf(error) });
  if (error instanceof Continued)
    return continueLater(ledger, workerId, [job], { code: error.code, reason: messageOf(error), pauseSeconds: error.pauseSeconds });
  const { handler } = types.get(job.type) as RunnableType;
  return fail(ledger, workerId, [{ job, error }], Math.random, async (tx, final) => {
    if (final.length === 0) return;
    const rows = handler.rowsOfFailure?.(job.payload, error, { config: shared.config, clock: ledger.clock }) ?? [];
    if (rows.length > 0) await handler.store(tx, rows);
  });
}

/** The handler's output, or the reason of the abort as soon as there is one: a handler that ignores its signal cannot hold a slot, and what it still makes changes nothing. */
function untilAborted<T>(work: Promise<T>, abort: JobAbort): Promise<T> {
  return new Promise((resolve, reject) => {
    abort.onAbort = reject;
    if (abort.signal.aborted) reject(abort.signal.reason);
    work.then(resolve, reject);
  });
}
