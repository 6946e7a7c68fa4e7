import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '../services/platform/errors.ts';

/** A running database server, as its command line describes it. */
export interface RunningServer {
  readonly pid: number;
  readonly socket: string;
  readonly port: number;
}

const serverName = /(^|\/)(mariadbd|mysqld)$/;

/** Empty for a process that has just ended, and for a zombie. */
function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(codeOf(error))) return [];
    throw error;
  }
}

function processes(): { pid: number; args: string[] }[] {
  if (existsSync('/proc/self/cmdline'))
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), args: argumentsOf(name) }));
  // macOS: arguments come joined by spaces. Each of ours begins with `--`, so a space before that ends an argument.
  return execFileSync('ps', ['-axww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 64 << 20 })
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ pid: Number(match[1]), args: match[2]!.split(/ (?=--)/) }));
}

/**
 * The server that works on `dataDir` now. Reads the process list and not a pid file: a pid file may be missing (its writer was
 * killed first) or name a process that has long been another one.
 */
export function findServer(dataDir: string): RunningServer | undefined {
  for (const { pid, args } of processes()) {
    if (!serverName.test(args[0] ?? '') || !args.includes(`--datadir=${dataDir}`)) continue;
    const value = (name: string) => args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
    return { pid, socket: value('socket'), port: Number(value('port')) };
  }
  return undefined;
}

/** Whether `pid` still is the server of `dataDir`. */
export function isServerOf(pid: number, dataDir: string): boolean {
  return findServer(dataDir)?.pid === pid;
}

/** Milliseconds for a clean end: InnoDB writes its dirty pages. After that the server is killed and recovers at its next start. */
const STOP_TIMEOUT = 20_000;

/** Ends the server `pid` of `dataDir`, one that was frozen (SIGSTOP) too: SIGTERM, after 20 s SIGKILL. Resolves when the process is gone, at once if it already is. */
export async function stopServer(pid: number, dataDir: string): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isServerOf(pid, dataDir)) return;
    process.kill(pid, signal);
    // A stopped process gets the signal only when it goes on; to one that runs this does nothing.
    if (isServerOf(pid, dataDir)) process.kill(pid, 'SIGCONT');
    const deadline = performance.now() + STOP_TIMEOUT;
    while (performance.now() < deadline) {
      await delay(20);
      if (!isServerOf(pid, dataDir)) return;
    }
  }
  throw new Error(`the database server ${pid} of ${dataDir} does not end, not even by SIGKILL`);
}
