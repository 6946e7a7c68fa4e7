/** Runs the command `stockmesh` as a person would, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../services/main.ts', import.meta.url));

export interface Command {
  child: ChildProcess;
  /** What it has printed so far, both streams. */
  output(): string;
  /** Resolves when the output matches; rejects with the output when it ends before. */
  until(pattern: RegExp): Promise<void>;
  exited: Promise<number | null>;
}

export function stockmesh(
  args: readonly string[],
  program: string = process.execPath,
  script: readonly string[] = [MAIN],
  more: Record<string, string> = {},
): Command {
  const { STOCKMESH_ENV: _, STOCKMESH_DATA: __, STOCKMESH_CONFIG: ___, ...env } = process.env;
  const child = spawn(program, [...script, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...env, ...more } });
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
      for (const listener of listeners) listener();
    });
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    child,
    output: () => output,
    exited,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(output)) resolve();
        };
        listeners.add(look);
        look();
        void exited.then((code) => reject(new Error(`ended with ${code} before ${pattern} was printed:\n${output}`)));
      }),
  };
}

/** The processes whose command line names a folder. */
export function processesNaming(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(folder) ? [line] : [];
      } catch {
        // It has ended since the folder was listed.
        return [];
      }
    });
}
