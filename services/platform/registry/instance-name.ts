/**
 * A name that was given to a process with `--instance` or `worker.worker_id` is held by that process alone. Two processes of one name would take each other's kept
 * session at the broker, row of `instances` and orders.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, lstatSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, messageOf } from '../errors.ts';
import { makeFolder } from '../machine/make-folder.ts';
import { type FileLock, holderOf, tryFileLock } from './file-lock.ts';

const TRIES = 10;
const PAUSE_MS = 50;

/**
 * Takes the name among the processes of this host and data folder. Waits half a second for a name that is in use: the lock of a process that was just killed ends a
 * moment later. Errors: `ConfigError` `instance.in_use`, `instance.no_lock`.
 */
export async function takeInstanceName(dataFolder: string, instance: string): Promise<FileLock> {
  const folder = lockFolder(dataFolder, instance);
  // A name may have any characters.
  const file = join(folder, `named-${digestOf(instance)}.lock`);
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const lock = tryFileLock(file);
    if (lock !== undefined) return lock;
    await delay(PAUSE_MS);
  }
  const holder = await holderOf(file);
  const who = holder === undefined ? 'another process' : `another process (${holder.pid}, since ${holder.since})`;
  const stop = holder === undefined ? 'stop it' : `stop it with \`kill ${holder.pid}\``;
  throw new ConfigError(
    'instance.in_use',
    `${who} runs as "${instance}" over ${dataFolder}: ${stop}, or give this one another name with --instance (for workers worker.worker_id), or no name: each process then gets its own`,
  );
}

/** The data folder, or where this user may not write to it a folder of the user's own below the system's temporary folder. */
function lockFolder(dataFolder: string, instance: string): string {
  const { uid } = userInfo();
  const ofUser = join(tmpdir(), `stockmesh-instances-${uid}-${digestOf(dataFolder)}`);
  const refusals: string[] = [];
  for (const folder of [join(dataFolder, 'instances'), ofUser]) {
    try {
      makeFolder(folder);
      // Anybody may make a folder or a link of this name in the temporary folder; a lock there would write where another user points.
      if (folder === ofUser && lstatSync(folder).uid !== uid) throw new Error(`${folder} belongs to another user`);
      accessSync(folder, constants.W_OK);
      return folder;
    } catch (error) {
      refusals.push(messageOf(error));
    }
  }
  throw new ConfigError(
    'instance.no_lock',
    `the name "${instance}" cannot be reserved (${refusals.join('; ')}): name a folder that this user may write to with --data, or with the variable TMPDIR`,
  );
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
