/**
 * The process that runs DuckDB: a crash of it, and the memory that it takes, are not this process's. It is started when it is first asked, answers one question after the
 * other and is ended when it was idle for a while.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { workEnvironment } from '../../platform/machine/environment.ts';
import { plain } from '../../platform/text/characters.ts';
import { ownFolder, removeFolder } from './folder.ts';
import type { Answer, FromProcess, Kind, ProcessSettings, Question } from './messages.ts';

/** How long it is kept without a question, in milliseconds. Its start takes some 150 ms. */
const IDLE_MS = 30_000;
/** Characters of its error output that tell how it ended. */
const LAST_WORDS = 500;

const ENTRY = fileURLToPath(new URL('./process.ts', import.meta.url));

export interface ParquetChildOptions {
  /** DuckDB's memory, such as `250MB`. The process takes some 300 MB more. */
  memory: string;
  threads: number;
  /** A folder for temporary ones, which several processes may share. Created when it is missing. */
  tempFolder: string;
  log: Logger;
  idleMs?: number;
}

export interface ParquetChild {
  /**
   * Asks when those before have their answers. When the signal aborts, the process is killed, and its reason is thrown after the end of the process. Otherwise it throws
   * the error of the process, or `TransientError('history.converter')` when the process ended.
   */
  call<K extends Kind>(question: Question<K>, signal?: AbortSignal): Promise<Answer<K>>;
  /** Kills the process: a question that is under way fails. Resolves when it has ended. */
  close(): Promise<void>;
}

interface Running {
  process: ChildProcess;
  folder: string;
  /** How it ended, once its temporary folder is removed. */
  ended: Promise<string>;
}

export function createParquetChild(options: ParquetChildOptions): ParquetChild {
  let line: Promise<void> = Promise.resolve();
  let current: Running | undefined;
  let idle: NodeJS.Timeout | undefined;
  let closed = false;

  async function start(): Promise<Running> {
    const running = await startProcess(options);
    current = running;
    void running.ended.then(() => {
      if (current === running) current = undefined;
    });
    return running;
  }

  async function end(): Promise<void> {
    clearTimeout(idle);
    const running = current;
    // A question that comes now starts another one.
    current = undefined;
    if (running === undefined) return;
    keepAlive(running.process, true);
    running.process.kill('SIGKILL');
    await running.ended;
  }

  async function ask<K extends Kind>(question: Question<K>, signal: AbortSignal | undefined): Promise<Answer<K>> {
    signal?.throwIfAborted();
    if (closed) throw new TransientError('history.converter', `cannot ${verbOf(question.kind)}: this process is shutting down`);
    clearTimeout(idle);
    const running = current ?? (await start());
    // It was closed while the process was started.
    if (closed) running.process.kill('SIGKILL');
    keepAlive(running.process, true);
    try {
      return await askProcess(running, question, signal, options.log);
    } finally {
      keepAlive(running.process, false);
      if (current !== undefined) idle = setTimeout(() => void end(), options.idleMs ?? IDLE_MS).unref();
    }
  }

  return {
    async call(question, signal) {
      const before = line;
      const turn = Promise.withResolvers<void>();
      line = before.then(() => turn.promise);
      try {
        await unlessAborted(before, signal);
        return await ask(question, signal);
      } finally {
        turn.resolve();
      }
    },
    async close() {
      closed = true;
      await end();
      await line;
    },
  };
}

/** Whether this process waits for the other one before it ends by itself. */
function keepAlive(child: ChildProcess, isNeeded: boolean): void {
  for (const handle of [child, child.channel, child.stderr as Socket | null]) {
    if (isNeeded) handle?.ref();
    else handle?.unref();
  }
}

async function startProcess({ memory, threads, tempFolder }: ParquetChildOptions): Promise<Running> {
  const folder = await ownFolder(tempFolder);
  const settings: ProcessSettings = { memory, threads, folder };
  const child = fork(ENTRY, [JSON.stringify(settings)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: workEnvironment(),
    cwd: folder,
  });
  let lastWords = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = `${lastWords}${text}`.slice(-LAST_WORDS);
  });
  const ended = Promise.withResolvers<string>();
  child.once('close', (code, signal) => {
    const how = signal === null ? `its process ended with exit code ${code}` : `its process was ended by ${signal}`;
    ended.resolve(lastWords.trim() === '' ? how : `${how}: ${plain(lastWords.trim())}`);
  });
  // It could not be started. An error of a message that could not be sent is that of a process that has ended, which `close` reports.
  child.on('error', (error) => child.pid === undefined && ended.resolve(`its process could not be started: ${messageOf(error)}`));
  return {
    process: child,
    folder,
    ended: ended.promise.then(async (how) => {
      await removeFolder(folder);
      return how;
    }),
  };
}

async function askProcess<K extends Kind>(
  { process: child, ended }: Running,
  question: Question<K>,
  signal: AbortSignal | undefined,
  log: Logger,
): Promise<Answer<K>> {
  const answered = Promise.withResolvers<FromProcess>();
  const onAbort = (): void => void child.kill('SIGKILL');
  child.once('message', answered.resolve);
  signal?.addEventListener('abort', onAbort, { once: true });
  child.send(question, () => undefined);
  if (signal?.aborted) onAbort();
  const message = await Promise.race([answered.promise, ended]);
  child.off('message', answered.resolve);
  signal?.removeEventListener('abort', onAbort);
  if (typeof message === 'string') {
    signal?.throwIfAborted();
    log.warn({ how: message, work: question.kind }, 'the process that reads and writes Parquet files has ended');
    throw new TransientError('history.converter', `could not ${verbOf(question.kind)}: ${message}`);
  }
  if (message.kind === 'answer') return message.answer as Answer<K>;
  const { error, code, message: text } = message;
  throw error === 'permanent' ? new PermanentError(code, text) : new TransientError(code, text);
}

const verbOf = (kind: Kind): string => (kind === 'convert' ? 'write the Parquet file' : 'read the Parquet file');

async function unlessAborted(waiting: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return waiting;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([waiting, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
