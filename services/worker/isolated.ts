/**
 * Runs jobs whose worker has died before in a process of their own, one after the other. A job that ends that process hurts nobody else, and is known as the cause.
 * The process is started when the first such job comes and kept for a while, since its start takes longer than most jobs.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Change, Ledger } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import type { Config } from '../platform/config/load.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { workEnvironment } from '../platform/machine/environment.ts';
import type { Draft } from '../platform/messages.ts';
import { type FromProcess, sentJob, type ToProcess } from './isolated-messages.ts';
import type { RunningJob } from './running-jobs.ts';

/** How long the process is kept without a job, in milliseconds. */
const IDLE_MS = 10_000;
/** How long a job may take to stop before its process is killed, in milliseconds. */
const STOP_MS = 2_000;

export interface IsolationOptions {
  /** The module that the process runs: it calls `serveIsolatedJobs`. */
  entry: URL;
  config: Config;
  ledger: Ledger;
  workerId: string;
  log: Logger;
  /** The process has committed changes. */
  committed(changes: readonly Change[], dataMessages: readonly Draft<'data'>[]): void;
  /** A part of the job is committed. */
  progress(job: ClaimedJob): void;
}

/** `ended`: the process has written how the attempt ended. `died`: the process died while it ran the job; `not_run`: before. */
export type Outcome = { kind: 'ended' } | { kind: 'died' | 'not_run'; how: string };

export interface Isolation {
  /** Runs the job when those before it have ended. When its signal aborts it is stopped, after two seconds by the end of its process. Never rejects. */
  run(running: RunningJob): Promise<Outcome>;
  /** Ends the process. */
  close(): void;
}

export function createIsolation(options: IsolationOptions): Isolation {
  let line: Promise<unknown> = Promise.resolve();
  let current: { child: ChildProcess; ready: Promise<void> } | undefined;
  let idle: NodeJS.Timeout | undefined;

  function close(): void {
    clearTimeout(idle);
    current?.child.kill('SIGKILL');
    current = undefined;
  }

  function start(): { child: ChildProcess; ready: Promise<void> } {
    const { ledger, config, workerId, entry } = options;
    // The configuration comes as a message, so that nothing secret of the environment is needed.
    const child = fork(fileURLToPath(entry), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: workEnvironment() });
    const ready = Promise.withResolvers<void>();
    child.once('message', () => ready.resolve());
    const gone = (how: string): void => {
      ready.reject(new Error(how));
      if (current?.child === child) current = undefined;
    };
    child.once('exit', (code, signal) => gone(howItEnded(code, signal)));
    // It could not be started, or a message could not be sent because it has just ended.
    child.on('error', (error) => gone(`${codeOf(error)}: ${messageOf(error)}`));
    ready.promise.catch(() => undefined);
    send(child, { kind: 'start', config, database: ledger.db.options, workerId });
    return { child, ready: ready.promise };
  }

  async function runNext(running: RunningJob): Promise<Outcome> {
    if (running.abort.signal.aborted) return { kind: 'ended' };
    clearTimeout(idle);
    current ??= start();
    const { child, ready } = current;
    try {
      await ready;
    } catch (error) {
      return { kind: 'not_run', how: messageOf(error) };
    }
    const outcome = await runIn(child, options, running);
    idle = setTimeout(close, IDLE_MS).unref();
    return outcome;
  }

  return {
    run(running) {
      const turn = line.then(() => runNext(running));
      line = turn;
      return turn;
    },
    close,
  };
}

async function runIn(child: ChildProcess, options: IsolationOptions, { job, abort }: RunningJob): Promise<Outcome> {
  const ended = Promise.withResolvers<Outcome>();
  let isRunning = false;
  let killing: NodeJS.Timeout | undefined;
  const onMessage = (message: FromProcess): void => {
    if (message.kind === 'running') isRunning = true;
    else if (message.kind === 'committed') options.committed(message.changes, message.dataMessages);
    else if (message.kind === 'progress') options.progress(job);
    else if (message.kind === 'ended') ended.resolve({ kind: 'ended' });
  };
  const onExit = (code: number | null, signal: NodeJS.Signals | null): void =>
    ended.resolve({ kind: isRunning ? 'died' : 'not_run', how: howItEnded(code, signal) });
  const onAbort = (): void => {
    send(child, { kind: 'stop', id: job.id, code: codeOf(abort.signal.reason), message: messageOf(abort.signal.reason) });
    killing = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  };
  child.on('message', onMessage).once('exit', onExit);
  abort.signal.addEventListener('abort', onAbort, { once: true });
  send(child, { kind: 'run', job: sentJob(job), now: options.ledger.clock.now().epochMilliseconds });
  if (abort.signal.aborted) onAbort();
  if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode);
  const outcome = await ended.promise;
  clearTimeout(killing);
  child.off('message', onMessage).off('exit', onExit);
  abort.signal.removeEventListener('abort', onAbort);
  return outcome;
}

/** The error of a message that cannot be sent is that of a process that has ended, which its event `exit` reports. */
function send(child: ChildProcess, message: ToProcess): void {
  child.send(message, () => undefined);
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `its process ended with exit code ${code}` : `its process was ended by ${signal}`;
}
