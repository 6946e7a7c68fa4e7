/**
 * A worker: claims as many jobs as it has free slots, runs each handler outside of any transaction, and commits what they made. A bell on `stock/…`, the end of a
 * job and the poll interval all do the same: look into the ledger. So a lost bell costs at most one poll interval.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Announcer } from '../ledger/announce.ts';
import { type Change, type Ledger, rulesOf, type TypeRules } from '../ledger/job.ts';
import { type ClaimedJob, claim } from '../ledger/run/claim.ts';
import { commitPart, type Finished, fail, handBack } from '../ledger/run/complete.ts';
import { countItems, type ItemOutcome, openItems, recordItems } from '../ledger/run/items.ts';
import { heartbeat } from '../ledger/run/lease.ts';
import type { SymbolReader } from '../market/bars/reader.ts';
import type { FailoverSource } from '../market/sources/failover-source.ts';
import type { Bus } from '../platform/bus/bus.ts';
import type { Config } from '../platform/config/load.ts';
import { codeOf, messageOf, StockmeshError, TransientError } from '../platform/errors.ts';
import { componentLogger, type Logger } from '../platform/log/log.ts';
import type { Draft } from '../platform/messages.ts';
import { createCommitter, writeEffects } from './committer.ts';
import type { Effect, Handler, JobContext, Outcome } from './handler.ts';
import { untilWritten } from './persist.ts';

export interface WorkerOptions {
  workerId: string;
  ledger: Ledger;
  bus: Pick<Bus, 'publish'>;
  announcer: Announcer;
  sources: FailoverSource;
  realSources: FailoverSource;
  reader: SymbolReader;
  config: Config;
  log: Logger;
  handlers: readonly Handler[];
  /** Called whenever the number of running jobs changes. */
  onLoad?: (running: number) => void;
}

export interface Worker {
  /** Looks for work now. */
  wake(): void;
  /** Aborts a job if it runs here. */
  abort(jobId: string, reason: string): void;
  running(): { id: string; type: string; symbol: string | null; attempt: number; startedAt: Date }[];
  /** Stops claiming, lets running jobs finish within the grace period, hands the rest back. */
  drain(graceMs: number): Promise<void>;
}

interface Running {
  job: ClaimedJob;
  abort: AbortController;
  done: Promise<void>;
}

/** A claim that met rows held by somebody else for a moment is repeated after so many milliseconds. */
const UNDECIDED_MS = 5;
/** After an error of the database, doubled up to the poll interval. */
const BACKOFF_MS = 100;
/** How long a shutdown waits beyond its grace period for a database that does not answer; the leases end by themselves then. */
const OVERTIME_MS = 5_000;
/** Node's timers end here and fire at once beyond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Why a handler was stopped by somebody who has settled, or will settle, what becomes of its job. */
class Stopped extends StockmeshError {}

export function startWorker(options: WorkerOptions): Worker {
  const { workerId, ledger, bus, announcer, config, log } = options;
  const capacity = config.worker.max_concurrent_jobs;
  /** One batch that is being committed and one that collects. */
  const mostUncommitted = 2 * config.worker.batch.size;
  const pollMs = Math.min(config.worker.poll_interval * 1000, LONGEST_TIMER_MS / 2);
  const handlers = new Map(options.handlers.map((one) => [one.type, one]));
  const supported: readonly string[] = config.worker.supported_job_types;
  // Only what it can do: a job of another type waits for a worker that has a handler for it.
  const types = [...handlers.keys()].filter((type) => supported.length === 0 || supported.includes(type));
  const analyzerLog = componentLogger(log, 'analyzer');
  const fetcherLog = componentLogger(log, 'fetcher');
  const rules = new Map(types.map((type) => [type, rulesOf(ledger, type)]));
  /** Claimed and not yet committed. */
  const running = new Set<Running>();
  /** Of these: whose handler still runs. A slot is free as soon as its handler is done; `mostUncommitted` bounds the commits that wait. */
  let busy = 0;
  let draining = false;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let waking: NodeJS.Immediate | undefined;
  /** Aborts when the worker no longer waits for a database that is away. */
  const stopped = new AbortController();

  const committer = createCommitter({
    ledger,
    workerId,
    size: config.worker.batch.size,
    waitMs: config.worker.batch.wait,
    signal: stopped.signal,
    committed: ({ changes }, done) => {
      tell(
        changes,
        done.flatMap(({ outcome }) => outcome.landed),
      );
      // A dependent or a freed slot may be work for us.
      if (changes.some(({ state }) => state === 'ready')) wake();
    },
  });

  function tell(changes: readonly Change[], landed: readonly Draft<'data'>[]): void {
    announced(announcer.changed(changes), ...landed.map((message) => bus.publish('data', message)));
  }

  function announced(...publishing: Promise<void>[]): Promise<void> {
    return Promise.all(publishing).then(
      () => undefined,
      (error: unknown) => log.warn({ code: codeOf(error) }, `not announced: ${messageOf(error)}`),
    );
  }

  function wake(): void {
    if (draining) return;
    if (looking !== undefined) {
      lookAgain = true;
      return;
    }
    clearTimeout(timer);
    looking = look().finally(() => {
      looking = undefined;
      if (draining) return;
      if (lookAgain && failures === 0) {
        lookAgain = false;
        wake();
      } else {
        // ±10 %: workers started together should not poll together.
        const pause = failures === 0 ? pollMs * (0.9 + Math.random() * 0.2) : Math.min(BACKOFF_MS * 2 ** failures, pollMs);
        timer = setTimeout(wake, pause);
      }
    });
  }

  async function look(): Promise<void> {
    try {
      while (!draining && busy < capacity && running.size - busy < mostUncommitted) {
        const free = capacity - busy;
        const { jobs, blocked, undecided } = await claim(ledger, workerId, free, types, start);
        if (failures > 0) log.info('the ledger answers again');
        failures = 0;
        if (blocked.length > 0) log.debug({ jobs: blocked }, 'blocked: their users have no free slot');
        if (undecided) await delay(UNDECIDED_MS);
        else if (jobs.length < free) return;
      }
    } catch (error) {
      if (failures++ === 0) log.warn({ code: codeOf(error) }, `claiming failed (${messageOf(error)}); trying again with back-off`);
    }
  }

  function start(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) run(job);
    tell(
      jobs.map(({ id, type, symbol, attempt }) => ({ id, type, symbol, attempt, state: 'running', worker: workerId })),
      [],
    );
  }

  function run(job: ClaimedJob): void {
    // An earlier attempt that was taken from us while it ran has come back to us: it must not be taken for this one.
    abortJob(job.id, () => new Stopped('job.lease_lost', `the lease was lost: attempt ${job.attempt} runs here too`));
    const entry: Running = { job, abort: new AbortController(), done: Promise.resolve() };
    running.add(entry);
    busy++;
    options.onLoad?.(busy);
    entry.done = execute(entry).finally(() => {
      const wasFull = running.size - busy >= mostUncommitted;
      running.delete(entry);
      if (wasFull) wake();
    });
  }

  function slotFree(): void {
    busy--;
    options.onLoad?.(busy);
    // At the end of this turn of the event loop: handlers that read together end together, and one claim fills all their slots.
    if (waking !== undefined) return;
    waking = setImmediate(() => {
      waking = undefined;
      wake();
    });
  }

  async function execute(entry: Running): Promise<void> {
    const { job, abort } = entry;
    const jobLog = (job.type === 'analysis' || job.type === 'rank' ? analyzerLog : fetcherLog).child({
      jobId: job.id,
      type: job.type,
      symbol: job.symbol ?? undefined,
      userId: job.userId ?? undefined,
    });
    const { timeoutSeconds } = rules.get(job.type) as TypeRules;
    const tooLate = (): void => abort.abort(new TransientError('job.timeout', `took longer than ${timeoutSeconds} s (jobs.timeouts)`));
    const limit = setTimeout(tooLate, Math.min(timeoutSeconds * 1000, LONGEST_TIMER_MS));
    try {
      const outcome = await handle(entry, jobLog).finally(() => {
        clearTimeout(limit);
        slotFree();
      });
      if (await committer.commit(job, outcome)) jobLog.info({ attempt: job.attempt, result: outcome.result }, `${job.type} completed`);
      else jobLog.warn({ attempt: job.attempt }, 'the lease was lost before the commit: nothing was kept');
    } catch (error) {
      await ended(job, abort.signal.aborted ? abort.signal.reason : error, jobLog);
    }
  }

  async function handle(entry: Running, jobLog: Logger): Promise<Outcome> {
    const { job, abort } = entry;
    const handler = handlers.get(job.type) as Handler;
    const { sources, realSources, reader } = options;
    const context: JobContext = {
      job,
      signal: abort.signal,
      sources,
      realSources,
      reader,
      clock: ledger.clock,
      config,
      log: jobLog,
      openItems: (keys) => openItems(ledger, job.id, keys),
      countItems: () => countItems(ledger.db, job.id),
      commitItems: (outcomes, effects, landed) => commitItems(entry, outcomes, effects, landed),
    };
    return untilAborted(handler.run(job.payload, context), abort.signal);
  }

  async function commitItems(
    { job, abort }: Running,
    outcomes: readonly ItemOutcome[],
    effects: readonly Effect[],
    landed: readonly Draft<'data'>[],
  ): Promise<void> {
    const held = await commitPart(ledger, workerId, job, async (tx) => {
      await writeEffects(tx, effects);
      await recordItems(tx, ledger, job.id, outcomes);
    });
    // Through the signal, so that the handler does not take it for a failure of this one item.
    if (!held) abort.abort(new Stopped('job.lease_lost', 'the lease was lost'));
    abort.signal.throwIfAborted();
    tell([], landed);
    // What is committed stays so, whether its progress can be told or not.
    await announced(tellProgress(job));
  }

  async function tellProgress(job: ClaimedJob): Promise<void> {
    const { done, failed, skipped, no_data, total } = await countItems(ledger.db, job.id);
    const at = ledger.clock.now().toString({ smallestUnit: 'millisecond' });
    const progress = { done, total, failed, skipped, no_data };
    await bus.publish('status', {
      id: job.id,
      type: job.type as Draft<'status'>['type'],
      state: 'running',
      attempt: job.attempt,
      worker: workerId,
      progress,
      at,
    });
  }

  async function ended(job: ClaimedJob, error: unknown, jobLog: Logger): Promise<void> {
    if (error instanceof Stopped) {
      jobLog.info({ attempt: job.attempt, code: error.code }, `stopped: ${error.message}`);
      // Cancelled and lost jobs are somebody else's already; one that the shutdown stopped is handed back by `drain`.
      return;
    }
    jobLog.warn({ attempt: job.attempt, code: codeOf(error) }, `${job.type} failed: ${messageOf(error)}`);
    try {
      const { changes } = await untilWritten(() => endAttempt(job, error), stopped.signal);
      tell(changes, []);
    } catch (writing) {
      // The reaper takes the job back when its lease ends, with the reason that nobody renewed it.
      jobLog.error({ code: codeOf(writing) }, `its failure could not be written: ${messageOf(writing)}`);
    }
  }

  /** That our own database was away is no fault of the job: it runs again at once, and no attempt is used up. */
  function endAttempt(job: ClaimedJob, error: unknown): Promise<Finished> {
    return codeOf(error) === 'database.unavailable'
      ? handBack(ledger, workerId, [job], messageOf(error), 'database.unavailable')
      : fail(ledger, workerId, [{ job, error }]);
  }

  let beating = false;
  const heart = setInterval(
    async () => {
      // A database that is slow to answer is not asked twice at a time.
      if (beating) return;
      beating = true;
      try {
        const mine = [...running].map(({ job }) => job);
        const lost = new Set(await heartbeat(ledger, workerId, mine));
        for (const { job, abort } of running)
          if (lost.has(job)) abort.abort(new Stopped('job.lease_lost', 'cancelled, or the lease was lost'));
      } catch (error) {
        log.warn({ code: codeOf(error) }, `heartbeat failed: ${messageOf(error)}`);
      } finally {
        beating = false;
      }
    },
    (ledger.leaseSeconds * 1000) / 6,
  );

  function abortJob(id: string, reason: () => Stopped): void {
    for (const { job, abort } of running) if (job.id === id) abort.abort(reason());
  }

  async function handBackRest(): Promise<void> {
    // A claim under way may still bring jobs.
    await looking;
    const unfinished = [...running];
    for (const { abort } of unfinished) abort.abort(new Stopped('worker.shutdown', 'the worker shuts down'));
    await committer.idle();
    if (unfinished.length === 0) return;
    const { changes, lost } = await untilWritten(
      () =>
        handBack(
          ledger,
          workerId,
          unfinished.map(({ job }) => job),
          `handed back by ${workerId}, which shuts down`,
        ),
      stopped.signal,
    );
    log.info({ jobs: unfinished.length - lost.length }, 'handed back what was running');
    await announced(announcer.changed(changes));
  }

  wake();
  return {
    wake,
    abort: (id, reason) => abortJob(id, () => new Stopped('job.cancelled', reason)),
    running: () => [...running].map(({ job: { id, type, symbol, attempt, startedAt } }) => ({ id, type, symbol, attempt, startedAt })),
    async drain(graceMs) {
      draining = true;
      clearTimeout(timer);
      const finished = async (): Promise<void> => {
        await looking;
        await Promise.all([...running].map(({ done }) => done));
      };
      const overtime = new AbortController();
      try {
        await Promise.race([finished(), delay(Math.min(graceMs, LONGEST_TIMER_MS), undefined, { ref: false })]);
        await Promise.race([
          handBackRest(),
          delay(OVERTIME_MS, undefined, { signal: overtime.signal }).then(() => {
            throw new TransientError('database.unavailable', `the database did not answer within ${OVERTIME_MS / 1000} s`);
          }),
        ]);
      } catch (error) {
        log.error(
          { code: codeOf(error) },
          `what was running could not be handed back and comes back when its leases end: ${messageOf(error)}`,
        );
      } finally {
        overtime.abort();
        stopped.abort();
        clearInterval(heart);
      }
    },
  };
}

/** The handler's answer, or the signal's reason as soon as it aborts: a handler that does not listen cannot hold a slot. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
    // Nobody waits for it any more, and it may still throw.
    work.catch(() => undefined);
  }
}
