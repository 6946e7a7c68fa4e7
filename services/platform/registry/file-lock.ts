/**
 * An operating system's file lock, which Node offers through SQLite. It ends with its process, also by `kill -9` and power cuts, so a lock is never stale, and a
 * process number that was given to another process is never taken for its holder. A note beside the lock, `{file}.json`, names the holder for people.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { codeOf } from '../errors.ts';

export interface FileLock {
  /** The end of the process does so too, however it ends. */
  release(): void;
}

const holderSchema = z.object({ pid: z.number().int().positive(), since: z.string() });
export type Holder = z.infer<typeof holderSchema>;

/** SQLite's number for a lock that another connection holds. */
const SQLITE_BUSY = 5;

const noteOf = (file: string): string => `${file}.json`;

/** Takes the lock; undefined when another holds it. Errors: those of the system where the file cannot be written. */
export function tryFileLock(file: string): FileLock | undefined {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file);
    lock.exec('BEGIN EXCLUSIVE');
    const holder: Holder = { pid: process.pid, since: Temporal.Now.instant().toString({ smallestUnit: 'second' }) };
    writeFileSync(noteOf(file), JSON.stringify(holder), { mode: 0o600 });
  } catch (error) {
    lock?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  const held = lock;
  return {
    release() {
      if (!held.isOpen) return;
      rmSync(noteOf(file), { force: true });
      held.close();
    },
  };
}

/** The process that holds the lock; undefined when it cannot be named. */
export async function holderOf(file: string): Promise<Holder | undefined> {
  // The holder writes its note just after it takes the lock; until then the note is of a process that was killed, and is ignored.
  for (let attempt = 0; attempt < 20; attempt++) {
    const holder = holderSchema.safeParse(readNote(file));
    if (holder.success && isAlive(holder.data.pid)) return holder.data;
    await delay(10);
  }
  return undefined;
}

/** Undefined where there is no note, or half of one. */
function readNote(file: string): unknown {
  try {
    return JSON.parse(readFileSync(noteOf(file), 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
