/** Runs services as child processes: starts them, keeps their log, starts anew what dies, and stops all. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../../platform/errors.ts';
import { EXIT_RELOAD } from '../../platform/lifecycle.ts';

export interface Supervised {
  /** `worker` or, of several, `worker-2`: for people. */
  label: string;
  args: readonly string[];
}

export interface Supervisor {
  /** Resolves when every service has said that it is ready. Rejects when one ended before, with its last words. */
  ready: Promise<void>;
  /** SIGTERM to all, SIGKILL to those that are still there after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/** Pauses before a service that died is started again; the longest one repeats. A minute of life starts over. */
const RESTART_MS = [200, 1_000, 5_000, 15_000];
const SETTLED_MS = 60_000;
/** A burst of logins is much short-lived data: with Node's default of 16 MB garbage collection took a quarter of the time. */
const YOUNG_SPACE = '--max-semi-space-size=64';

export function supervise(
  services: readonly Supervised[],
  options: { main: string; onLine: (label: string, line: string) => void; onNews: (text: string) => void },
): Supervisor {
  const children = new Map<string, ChildProcess>();
  let stopping = false;

  const keep = async ({ label, args }: Supervised, firstReady: PromiseWithResolvers<void>): Promise<void> => {
    for (let deaths = 0; !stopping; deaths++) {
      const bornAt = performance.now();
      const { child, ended, lastWords } = spawnService(label, args, options);
      children.set(label, child);
      child.once('message', () => firstReady.resolve());
      const how = await ended;
      children.delete(label);
      firstReady.reject(
        new ConfigError('mesh.service_failed', `${label} did not start (${how})${lastWords() === '' ? '' : `: ${lastWords()}`}`),
      );
      if (stopping) return;
      if (performance.now() - bornAt > SETTLED_MS) deaths = 0;
      const pause = how === `exit code ${EXIT_RELOAD}` ? 0 : (RESTART_MS[Math.min(deaths, RESTART_MS.length - 1)] as number);
      options.onNews(`${label} ended (${how}); started again${pause === 0 ? '' : ` in ${pause / 1000} s`}`);
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
  { main, onLine }: { main: string; onLine: (label: string, line: string) => void },
) {
  const child = spawn(process.execPath, [YOUNG_SPACE, main, ...args], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let last = '';
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null)
      createInterface({ input: stream }).on('line', (line) => {
        last = line;
        onLine(label, line);
      });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    // "close" and not "exit": the last words have been read by then.
    child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  return { child, ended, lastWords: () => last };
}
