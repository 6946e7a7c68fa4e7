/** Services and brokers as processes of their own, which a test may kill, freeze and stop. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The command `stockmesh`. */
export const MAIN = fileURLToPath(new URL('../../services/main.ts', import.meta.url));

/** Resolves when the process has sent its first message: it is ready. Rejects with what it wrote to standard error when it ends before. `env`: beside this process's own. */
export async function startProcess(script: string, args: readonly string[], env: Record<string, string> = {}): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...process.env, ...env } });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk).slice(-4000);
  });
  const ready = await Promise.race([once(child, 'message').then(() => true), once(child, 'exit').then(() => false)]);
  if (!ready) throw new Error(`${script} ${args[1] ?? ''} did not start: ${errors}`);
  return child;
}

/** Sends the signal and resolves when the process is gone; at once when it has ended before. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
