/**
 * Names for processes that need the same name at every start, since the broker finds their kept session by it, and still a name of their own each: every process
 * takes the first free slot of its host and data folder. A slot is an operating system's file lock, which ends with its process, also after `kill -9`.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, messageOf } from '../errors.ts';

export interface InstanceSlot {
  /** `{service}-{host}-{data folder}-{slot}`, in letters that a topic level may hold. */
  instance: string;
  /** The end of the process does so too. */
  release(): void;
}

/** More processes of one service than anybody runs over one data folder. */
const SLOTS = 64;
const TRIES = 10;
const PAUSE_MS = 50;
/** SQLite's number for a lock that another connection holds. */
const SQLITE_BUSY = 5;

/**
 * Takes the lowest free slot, after half a second in which the first one did not become free: the lock of a process that was just killed ends a moment later, and its
 * successor must find the same session. Errors: `ConfigError('instance.no_slot')` when the data folder cannot be written to, or all slots are taken.
 */
export async function takeInstanceSlot(dataFolder: string, service: string): Promise<InstanceSlot> {
  // The host and the folder are in the name: several hosts, or several data folders of one host, may share a broker.
  const prefix = `${service}-${hostname().slice(0, 20)}-${digestOf(dataFolder)}`.replace(/[^A-Za-z0-9_-]/g, '-');
  const folder = join(dataFolder, 'instances');
  for (let attempt = 1; ; attempt++) {
    for (let slot = 1; slot <= (attempt < TRIES ? 1 : SLOTS); slot++) {
      const instance = `${prefix}-${slot}`;
      const held = tryLock(folder, instance);
      if (held !== undefined) return { instance, release: () => held.isOpen && held.close() };
    }
    if (attempt === TRIES) break;
    await delay(PAUSE_MS);
  }
  throw new ConfigError(
    'instance.no_slot',
    `${SLOTS} processes of ${service} run over ${dataFolder} already: give this one a name of its own with --instance`,
  );
}

function tryLock(folder: string, instance: string): DatabaseSync | undefined {
  let lock: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    lock = new DatabaseSync(join(folder, `${instance}.lock`));
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw new ConfigError(
      'instance.no_slot',
      `${folder} cannot hold the lock of ${instance} (${messageOf(error)}): name a folder that this user may write to with --data, or give the service a name that stays the same with --instance`,
      { cause: error },
    );
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 6);
