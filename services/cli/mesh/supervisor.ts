/** Runs services as child processes: starts them, hands on their output, starts again what dies, and stops all. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../../platform/errors.ts';
import { EXIT_RELOAD } from '../../platform/lifecycle.ts';
import { readLines, shownText } from './log-lines.ts';
import { createRestarts } from './restarts.ts';

export interface Supervised {
  /** `worker` or, of several, `worker-2`: for people. */
  label: string;
  args: readonly string[];
  /** By default that of this process. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Megabytes of V8's young space; `YOUNG_SPACE` by default. */
  youngSpace?: number | undefined;
}

export interface Supervisor {
  /** Resolves when every service has said that it hears the broker (`subscribed`). Rejects with the last line of a service that ended before. */
  ready: Promise<void>;
  /** SIGTERM to all, SIGKILL to those that are still there after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** A burst of jobs is much short-lived data: with Node's default of 16 MB garbage collection took a quarter of the time. The process holds up to three times as much. */
const YOUNG_SPACE = 64;

export function supervise(
  services: readonly Supervised[],
  options: { main: string; onLine: (label: string, line: string) => void; onNews: (text: string) => void },
): Supervisor {
  const children = new Map<string, ChildProcess>();
  let stopping = false;

  const keep = async (
    { label, args, env, youngSpace = YOUNG_SPACE }: Supervised,
    firstReady: PromiseWithResolvers<void>,
  ): Promise<void> => {
    const restarts = createRestarts();
    while (!stopping) {
      restarts.born();
      const { child, ended, lastLine } = spawnService(label, [`--max-semi-space-size=${youngSpace}`, options.main, ...args], {
        ...options,
        env,
      });
      children.set(label, child);
      child.on('message', (message) => {
        if (typeof message === 'object' && message !== null && 'subscribed' in message) firstReady.resolve();
      });
      const how = await ended;
      children.delete(label);
      // A service that was killed while it started can start. One that ended by itself says why it cannot.
      if (!how.startsWith('signal'))
        firstReady.reject(
          new ConfigError('mesh.service_failed', `${label} did not start (${how})${lastLine() === '' ? '' : `: ${shownText(lastLine())}`}`),
        );
      if (stopping) return;
      const pause = how === `exit code ${EXIT_RELOAD}` ? 0 : restarts.pause();
      options.onNews(`${label} ended (${how}); it is started again${pause === 0 ? '' : ` in ${pause / 1000} s`}`);
      await delay(pause);
    }
  };

  const lives: Promise<void>[] = [];
  const ready = Promise.all(
    services.map((service) => {
      const firstReady = Promise.withResolvers<void>();
      lives.push(keep(service, firstReady));
      return firstReady.promise;
    }),
  ).then(() => undefined);

  return {
    ready,
    async stop(graceMs) {
      stopping = true;
      for (const child of children.values()) child.kill('SIGTERM');
      const late = setTimeout(() => {
        for (const [label, child] of children) {
          options.onNews(`${label} did not stop within ${graceMs / 1000} s; killed`);
          child.kill('SIGKILL');
        }
      }, graceMs);
      await Promise.all(lives);
      clearTimeout(late);
    },
  };
}

function spawnService(
  label: string,
  args: readonly string[],
  { onLine, env }: { onLine: (label: string, line: string) => void; env: NodeJS.ProcessEnv | undefined },
) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env });
  let last = '';
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null)
      readLines(stream, (line) => {
        last = line;
        onLine(label, line);
      });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    // "close" and not "exit": by then all output has been read.
    child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  return { child, ended, lastLine: () => last };
}
