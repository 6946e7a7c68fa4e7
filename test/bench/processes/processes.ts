/** Child processes of the bench: started with one message, ended with another. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LedgerAddress } from '../contenders/ledger.ts';
import type { Sample } from '../memory.ts';
import type { BareCopy, BareOrder } from './bare-copy-process.ts';
import type { FloodOrder } from './flood-process.ts';
import type { MemoryOrder } from './memory-process.ts';
import type { PeerOrder, PeerReport } from './peer-process.ts';
import { atEnd } from './servers.ts';
import type { Order, Report } from './worker-process.ts';

function start(file: string, execArgv: readonly string[] = []): { child: ChildProcess; stop: () => Promise<void> } {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
    execArgv: [...execArgv],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (!stopped && child.connected) child.send('stop');
    stopped = true;
    await ended;
  };
  atEnd(stop);
  return { child, stop };
}

/** Resolves with the first message that fits; rejects when the process ends before. */
export async function message<T>(child: ChildProcess, fits: (message: unknown) => message is T): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const listen = (text: unknown): void => {
    if (fits(text)) resolve(text);
  };
  const gone = (code: number | null): void => reject(new Error(`a process of the bench ended with code ${code}`));
  child.on('message', listen).once('exit', gone);
  try {
    return await promise;
  } finally {
    child.off('message', listen).off('exit', gone);
  }
}

export async function startBrokerProcess(): Promise<NonNullable<LedgerAddress['broker']>> {
  const { child } = start('broker-process.ts');
  const { port } = await message(child, (text): text is { port: number } => typeof (text as { port?: unknown }).port === 'number');
  return { host: '127.0.0.1', port, username: 'bench', password: 'bench-broker' };
}

const hasAlive = (text: unknown): text is { alive: number } => typeof (text as { alive?: unknown }).alive === 'number';

/** Resolves when its clients are connected. `stop` resolves with how many still are. */
export async function startFloodProcess(order: FloodOrder): Promise<{ stop: () => Promise<number> }> {
  const { child, stop } = start('flood-process.ts');
  child.send(order);
  await message(child, (text): text is { ready: true } => (text as { ready?: unknown }).ready === true);
  return {
    async stop() {
      const answer = message(child, hasAlive);
      await stop();
      return (await answer).alive;
    },
  };
}

export interface WorkerProcess {
  readonly pid: number;
  onReport(listener: (report: Report) => void): void;
  stop(): Promise<void>;
}

const isReady = (text: unknown): text is Report => (text as Report).kind === 'ready';

/** Resolves when the worker takes jobs. */
export async function startWorkerProcess(order: Order, onReport: (report: Report) => void = () => {}): Promise<WorkerProcess> {
  const { child, stop } = start('worker-process.ts');
  child.on('message', onReport);
  const ready = message(child, isReady);
  child.send(order);
  await ready;
  return {
    pid: child.pid as number,
    onReport: (listener) => {
      child.on('message', listener);
    },
    stop,
  };
}

const hasSamples = (text: unknown): text is { samples: Sample[] } => Array.isArray((text as { samples?: unknown }).samples);

/** Resolves when the process has done all its jobs. */
export async function startMemoryProcess(order: MemoryOrder): Promise<Sample[]> {
  const { child } = start('memory-process.ts', ['--expose-gc']);
  const answer = message(child, hasSamples);
  child.send(order);
  return (await answer).samples;
}

/** Runs a bare conversion of DuckDB in a process of its own. */
export async function runBareCopy(order: BareOrder): Promise<BareCopy> {
  const { child } = start('bare-copy-process.ts');
  child.send(order);
  return message(child, (text): text is BareCopy => typeof (text as BareCopy).seconds === 'number');
}

/** An application or a worker of a peer. Resolves when it is ready. */
export async function startPeerProcess(order: PeerOrder): Promise<{ child: ChildProcess; stop: () => Promise<void> }> {
  const started = start('peer-process.ts');
  const ready = message(started.child, (text): text is PeerReport => (text as PeerReport).kind === 'ready');
  started.child.send(order);
  await ready;
  return started;
}
