/**
 * Names for processes that need the same name at every start, since the broker finds their kept session by it, and still a name of their own each: every process
 * takes the first free slot of its host and data folder. A slot is a file lock, which ends with its process, also after `kill -9`.
 */
import { createHash } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, messageOf } from '../errors.ts';
import { makeFolder } from '../machine/make-folder.ts';
import { type FileLock, tryFileLock } from './file-lock.ts';

export interface InstanceSlot {
  /** `{service}-{host}-{data folder}-{slot}`, in letters that a topic level may hold. */
  instance: string;
  /** Gives the slot free, as the end of the process does. `left`: nothing is kept for it, so that the next process need not take this one first. */
  release(how?: { left?: boolean }): void;
}

/** More processes of one service than anybody runs over one data folder. */
const SLOTS = 64;
const TRIES = 10;
const PAUSE_MS = 50;

/**
 * Takes a free slot: first one whose process ended without leaving, since the broker keeps messages for it, then the lowest one. Waits half a second for a slot that is
 * in use before it takes a new one: the lock of a process that was just killed ends a moment later. Errors: `ConfigError('instance.no_slot')` when the data folder
 * cannot be written to, or all slots are taken.
 */
export async function takeInstanceSlot(dataFolder: string, service: string): Promise<InstanceSlot> {
  // The host and the folder are in the name: several hosts, or several data folders of one host, may share a broker.
  const prefix = `${service}-${hostname().slice(0, 20)}-${digestOf(dataFolder)}`.replace(/[^A-Za-z0-9_-]/g, '-');
  const folder = join(dataFolder, 'instances');
  const all = Array.from({ length: SLOTS }, (_, index) => `${prefix}-${index + 1}`);
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const kept = all.filter((instance) => existsSync(sessionFile(folder, instance)));
    for (const instance of attempt < TRIES && kept.length > 0 ? kept : [...kept, ...all]) {
      const lock = tryLock(folder, instance);
      if (lock !== undefined) return slotOf(folder, instance, lock);
    }
    await delay(PAUSE_MS);
  }
  throw new ConfigError(
    'instance.no_slot',
    `${SLOTS} processes of ${service} run over ${dataFolder} already: give this one a name of its own with --instance`,
  );
}

/** Exists while the broker may keep a session for the slot. */
const sessionFile = (folder: string, instance: string): string => join(folder, `${instance}.session`);

function slotOf(folder: string, instance: string, lock: FileLock): InstanceSlot {
  let released = false;
  writeFileSync(sessionFile(folder, instance), '', { mode: 0o600 });
  return {
    instance,
    release({ left = false } = {}) {
      // By then the slot may be another's.
      if (released) return;
      released = true;
      if (left) rmSync(sessionFile(folder, instance), { force: true });
      lock.release();
    },
  };
}

function tryLock(folder: string, instance: string): FileLock | undefined {
  try {
    makeFolder(folder);
    return tryFileLock(join(folder, `${instance}.lock`));
  } catch (error) {
    throw new ConfigError(
      'instance.no_slot',
      `${folder} cannot hold the lock of ${instance} (${messageOf(error)}): name a folder that this user may write to with --data, or give the service a name that stays the same with --instance`,
      { cause: error },
    );
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 6);
