/**
 * A process that runs one job at a time and nothing else, for jobs whose worker has died: if a job ends its process, no other job is hurt, and the worker knows
 * which one it was. Started by `isolated.ts`; it commits what it makes as its worker, under the same fence, and ends with its worker.
 */
import { writeFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { configuredHistory } from '../history/configured.ts';
import { loadHandlers } from '../job-types/index.ts';
import { ledgerOf } from '../job-types/ledger.ts';
import { rulesOf } from '../ledger/job.ts';
import { symbolReader } from '../market/bars/reader.ts';
import { configuredChains } from '../market/options/sources/configured.ts';
import { configuredResearch } from '../market/research/configured.ts';
import { configuredSources } from '../market/sources/configured.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import { openDatabase } from '../platform/database/database.ts';
import { createLogger } from '../platform/log/log.ts';
import { LEVELS } from '../platform/log/log-levels.ts';
import { createCommitter } from './committer.ts';
import { type FromProcess, receivedJob, type ToProcess } from './isolated-messages.ts';
import { type JobRunnerOptions, startJob } from './job-runner.ts';
import type { Publisher } from './publisher.ts';
import { createRunningJobs, Stopped, stopJob } from './running-jobs.ts';

/** The system kills this process before its worker when memory runs out (-1000 to 1000). */
const OOM_SCORE = '500';

/** Serves the worker that has started this process until that worker ends it, or ends itself. */
export async function serveIsolatedJobs(chooseSources = configuredSources, chooseChains = configuredChains): Promise<void> {
  // The worker decides when this process ends. A signal to both of them is the worker's to handle.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {});
  process.once('disconnect', () => process.exit());
  endWithWorker();
  // Not on every system.
  await writeFile('/proc/self/oom_score_adj', OOM_SCORE).catch(() => {});
  const started = Promise.withResolvers<Extract<ToProcess, { kind: 'start' }>>();
  process.once('message', started.resolve);
  const runner = await createRunner(await started.promise, chooseSources, chooseChains);
  process.on('message', (message: ToProcess) => {
    if (message.kind === 'run') void runOne(runner, message);
    if (message.kind === 'stop') stopJob(runner.options.jobs, message.id, () => new Stopped(message.code, message.message));
  });
  tell({ kind: 'ready' });
}

const tell = (message: FromProcess): void => void process.send?.(message);

/** The same without files: two processes must not rotate one file. */
export function withoutFiles(logging: Config['logging']): Config['logging'] {
  const levels = Object.entries(logging.component_logs).map(([component, setting]) => [
    component,
    (LEVELS as readonly (string | null)[]).includes(setting) ? setting : null,
  ]);
  return { ...logging, file: null, component_logs: Object.fromEntries(levels) };
}

/** A job that blocks this process keeps it from seeing that its worker is gone. */
function endWithWorker(): void {
  const watch = `const { ppid, pid } = process; setInterval(() => process.ppid === ppid || process.kill(pid, 'SIGKILL'), 1000);`;
  new Worker(watch, { eval: true }).unref();
}

interface Runner {
  options: JobRunnerOptions;
  /** Sets the clock: `now` is the ledger's time in milliseconds since the epoch, and goes on with the monotonic clock, which nobody sets. */
  follow(now: number): void;
}

async function createRunner(
  { config, database, workerId }: Extract<ToProcess, { kind: 'start' }>,
  chooseSources: typeof configuredSources,
  chooseChains: typeof configuredChains,
): Promise<Runner> {
  let startMs = Date.now() - performance.now();
  const clock: Clock = { now: () => Temporal.Instant.fromEpochMilliseconds(Math.floor(startMs + performance.now())) };
  const log = createLogger({ ...withoutFiles(config.logging), service: 'worker', instance: workerId });
  const db = openDatabase({ ...database, maxConnections: 4 });
  const ledger = ledgerOf(db, clock, config);
  const { all, real } = await chooseSources({ config, clock, db, log });
  const history = configuredHistory({ config, clock, db, log, dataFolder: config.storage.data_folder });
  const chains = await chooseChains({ config, clock, db, log });
  const handlers = await loadHandlers({
    sql: db,
    db,
    chains,
    history: history.parts,
    research: configuredResearch({ config, clock, db, log }),
  });
  const jobs = createRunningJobs({ capacity: 1, batchSize: 1 });
  const publisher: Publisher = {
    committed: async (changes, dataMessages = []) => tell({ kind: 'committed', changes, dataMessages }),
    progress: async () => tell({ kind: 'progress' }),
  };
  const committer = createCommitter({
    ...{ ledger, workerId, size: 1, waitMs: 0, signal: jobs.stopped.signal },
    onCommitted: (changes, kept) =>
      void publisher.committed(
        changes,
        kept.flatMap(({ dataMessages }) => dataMessages),
      ),
  });
  const types = new Map(handlers.map((handler) => [handler.type, { handler, rules: rulesOf(ledger, handler.type) }]));
  const shared = { sources: all, realSources: real, reader: symbolReader(db), config };
  const nothing = (): void => {};
  return {
    options: {
      ...{ jobs, ledger, workerId, log, types, committer, publisher, shared },
      ...{ onLoad: nothing, onSlotFree: nothing, onWaiting: nothing, onBacklogShorter: nothing },
    },
    follow(now) {
      startMs = now - performance.now();
    },
  };
}

async function runOne({ options, follow }: Runner, { job, now }: Extract<ToProcess, { kind: 'run' }>): Promise<void> {
  follow(now);
  tell({ kind: 'running', id: job.id });
  await startJob(options, receivedJob(job)).done;
  tell({ kind: 'ended', id: job.id });
}

if (import.meta.main) await serveIsolatedJobs();
