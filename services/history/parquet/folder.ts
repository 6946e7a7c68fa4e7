/** Temporary folders of one process beside those of others, which do not stay behind when a process is killed. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

const NAME = /^parquet-(\d+)-(.*)-[A-Za-z0-9]{6}$/;
const HOST = encodeURIComponent(hostname());

/** Makes an empty folder for this process alone, and removes those of processes of this machine that are gone. */
export async function ownFolder(base: string): Promise<string> {
  await mkdir(base, { recursive: true });
  for (const name of await readdir(base)) {
    const [, pid, host] = NAME.exec(name) ?? [];
    if (host === HOST && !isAlive(Number(pid))) await removeFolder(join(base, name));
  }
  return mkdtemp(join(base, `parquet-${process.pid}-${HOST}-`));
}

export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs as somebody else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
