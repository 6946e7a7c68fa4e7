/** The command `stockmesh`, as a person types it without a terminal. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { run } from '../../services/cli/program.ts';

const MAIN = fileURLToPath(new URL('../../services/main.ts', import.meta.url));

// What the developer has set for an own mesh or terminal must not decide what a test sees.
for (const name of ['STOCKMESH_DATA', 'STOCKMESH_ENV', 'STOCKMESH_CONFIG', 'FORCE_COLOR']) vi.stubEnv(name, undefined);

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command in this process, which saves the start of one. One at a time: what is written meanwhile is taken for the command's. */
export async function stockmesh(args: readonly string[]): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text;
      return true;
    }),
  );
  try {
    return { code: await run(['node', 'stockmesh', ...args]), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Runs a command as a process of its own, for what only a process shows: that it ends, and with which code. `input` goes to its standard input. */
export function stockmeshProcess(
  args: readonly string[],
  { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {}).end(input);
  });
}
