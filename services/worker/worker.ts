/**
 * A worker: claims as many jobs as it has free slots, runs each handler outside of any transaction, and commits what they made. A bell on `stock/…`, the end of a
 * job and the poll interval all do the same: look into the ledger. So a lost bell costs at most one poll interval.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Announcer } from '../jobs/announce.ts';
import { type ClaimedJob, claim } from '../jobs/claim.ts';
import { commitPart, fail, handBack } from '../jobs/finish.ts';
import { countItems, type ItemOutcome, openItems, recordItems } from '../jobs/items.ts';
import { type Change, type Ledger, rulesOf } from '../jobs/job.ts';
import { heartbeat } from '../jobs/lease.ts';
import type { SymbolReader } from '../market/reader.ts';
import type { SourceChain } from '../market/sources/chain.ts';
import type { Bus } from '../platform/bus.ts';
import type { Config } from '../platform/config/load.ts';
import { codeOf, messageOf, StockmeshError, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';
import type { Draft } from '../platform/messages.ts';
import { createCommitter, writeEffects } from './committer.ts';
import type { Effect, Handler, JobContext, Outcome } from './handler.ts';

export interface WorkerOptions {
  workerId: string;
  ledger: Ledger;
  bus: Pick<Bus, 'publish'>;
  announcer: Announcer;
  sources: SourceChain;
  realSources: SourceChain;
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

/** Why a handler was stopped: it decides what becomes of the job. */
class Stopped extends StockmeshError {}

export function startWorker(options: WorkerOptions): Worker {
  const { workerId, ledger, bus, announcer, config, log } = options;
  const capacity = config.worker.max_concurrent_jobs;
  const pollMs = config.worker.poll_interval * 1000;
  const handlers = new Map(options.handlers.map((one) => [one.type, one]));
  const supported = config.worker.supported_job_types;
  const types = supported.length === 0 ? undefined : supported;
  /** Claimed and not yet committed. */
  const running = new Map<string, Running>();
  /** Of these: whose handler still runs. A slot is free as soon as its handler is done; the commits that wait are bounded by the size of a batch. */
  let busy = 0;
  let draining = false;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;

  const committer = createCommitter({
    ledger,
    workerId,
    size: config.worker.batch.size,
    waitMs: config.worker.batch.wait,
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
    const publishing = [announcer.changed(changes), ...landed.map((message) => bus.publish('data', message))];
    Promise.all(publishing).catch((error: unknown) => log.warn({ code: codeOf(error) }, `not announced: ${messageOf(error)}`));
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
      while (!draining && busy < capacity && running.size - busy < config.worker.batch.size) {
        const { jobs, blocked, undecided } = await claim(ledger, workerId, capacity - busy, types);
        if (failures > 0) log.info('the ledger answers again');
        failures = 0;
        if (blocked.length > 0) log.debug({ jobs: blocked }, 'blocked: their users have no free slot');
        for (const job of jobs) run(job);
        if (undecided) await delay(UNDECIDED_MS);
        else if (jobs.length === 0) return;
      }
    } catch (error) {
      if (failures++ === 0) log.warn({ code: codeOf(error) }, `claiming failed (${messageOf(error)}); trying again with back-off`);
    }
  }

  function run(job: ClaimedJob): void {
    const abort = new AbortController();
    const entry: Running = { job, abort, done: Promise.resolve() };
    running.set(job.id, entry);
    busy++;
    options.onLoad?.(busy);
    tell([{ ...job, state: 'running', worker: workerId }], []);
    entry.done = execute(job, abort).finally(() => {
      running.delete(job.id);
      wake();
    });
  }

  function slotFree(): void {
    busy--;
    options.onLoad?.(busy);
    wake();
  }

  async function execute(job: ClaimedJob, abort: AbortController): Promise<void> {
    const jobLog = log.child({ jobId: job.id, type: job.type, symbol: job.symbol ?? undefined, userId: job.userId ?? undefined });
    const { timeoutSeconds } = rulesOf(ledger, job.type);
    const limit = setTimeout(
      () => abort.abort(new TransientError('job.timeout', `took longer than ${timeoutSeconds} s (jobs.timeouts)`)),
      timeoutSeconds * 1000,
    );
    try {
      const outcome = await handle(job, abort.signal, jobLog).finally(slotFree);
      if (await committer.commit(job, outcome)) jobLog.info({ attempt: job.attempt, result: outcome.result }, `${job.type} completed`);
      else jobLog.warn({ attempt: job.attempt }, 'the lease was lost before the commit: nothing was kept');
    } catch (error) {
      await ended(job, abort.signal.aborted ? abort.signal.reason : error, jobLog);
    } finally {
      clearTimeout(limit);
    }
  }

  async function handle(job: ClaimedJob, signal: AbortSignal, jobLog: Logger): Promise<Outcome> {
    const handler = handlers.get(job.type);
    if (handler === undefined) throw new TransientError('worker.unknown_type', `this worker has no handler for "${job.type}"; start one that has`);
    const { sources, realSources, reader } = options;
    const context: JobContext = {
      job,
      signal,
      sources,
      realSources,
      reader,
      clock: ledger.clock,
      config,
      log: jobLog,
      openItems: (keys) => openItems(ledger, job.id, keys),
      commitItems: (outcomes, effects, landed) => commitItems(job, outcomes, effects, landed),
    };
    return untilAborted(handler.run(job.payload, context), signal);
  }

  async function commitItems(job: ClaimedJob, outcomes: readonly ItemOutcome[], effects: readonly Effect[], landed: readonly Draft<'data'>[]): Promise<void> {
    const held = await commitPart(ledger, workerId, job, async (tx) => {
      await writeEffects(tx, effects);
      await recordItems(tx, ledger, job.id, outcomes);
    });
    if (!held) throw new Stopped('job.lease_lost', 'the lease was lost');
    const { done, failed, skipped, no_data, total } = await countItems(ledger.db, job.id);
    const at = ledger.clock.now().toString({ smallestUnit: 'millisecond' });
    const progress = { done, total, failed, skipped, no_data };
    await bus.publish('status', { id: job.id, type: job.type as Draft<'status'>['type'], state: 'running', attempt: job.attempt, worker: workerId, progress, at });
    tell([], landed);
  }

  async function ended(job: ClaimedJob, error: unknown, jobLog: Logger): Promise<void> {
    if (error instanceof Stopped) {
      jobLog.info({ attempt: job.attempt, code: error.code }, `stopped: ${error.message}`);
      // Cancelled and lost jobs are somebody else's already; one that the shutdown stopped is handed back by `drain`.
      return;
    }
    jobLog.warn({ attempt: job.attempt, code: codeOf(error) }, `${job.type} failed: ${messageOf(error)}`);
    try {
      const { changes } = await fail(ledger, workerId, [{ job, error }]);
      tell(changes, []);
    } catch (writing) {
      // The reaper takes the job back when its lease ends, with the reason that nobody renewed it.
      jobLog.error({ code: codeOf(writing) }, `its failure could not be written: ${messageOf(writing)}`);
    }
  }

  const heart = setInterval(
    async () => {
      const mine = [...running.values()].map(({ job }) => job);
      try {
        for (const id of await heartbeat(ledger, workerId, mine)) abortJob(id, new Stopped('job.lease_lost', 'cancelled, or the lease was lost'));
      } catch (error) {
        log.warn({ code: codeOf(error) }, `heartbeat failed: ${messageOf(error)}`);
      }
    },
    (ledger.leaseSeconds * 1000) / 6,
  );

  function abortJob(id: string, reason: Stopped): void {
    running.get(id)?.abort.abort(reason);
  }

  wake();
  return {
    wake,
    abort: (id, reason) => abortJob(id, new Stopped('job.cancelled', reason)),
    running: () => [...running.values()].map(({ job: { id, type, symbol, attempt, startedAt } }) => ({ id, type, symbol, attempt, startedAt })),
    async drain(graceMs) {
      draining = true;
      clearTimeout(timer);
      // A claim under way may still bring jobs.
      await looking;
      const entries = [...running.values()];
      await Promise.race([Promise.all(entries.map(({ done }) => done)), delay(graceMs, undefined, { ref: false })]);
      const unfinished = [...running.values()];
      for (const { abort } of unfinished) abort.abort(new Stopped('worker.shutdown', 'the worker shuts down'));
      await committer.idle();
      if (unfinished.length > 0) {
        const { changes } = await handBack(
          ledger,
          workerId,
          unfinished.map(({ job }) => job),
          `handed back by ${workerId}, which shuts down`,
        );
        await announcer.changed(changes);
        log.info({ jobs: unfinished.length }, 'handed back what was running');
      }
      clearInterval(heart);
    },
  };
}

/** The handler's answer, or the signal's reason as soon as it aborts: a handler that does not listen cannot hold a slot. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
    work.catch(() => undefined);
  }
}
