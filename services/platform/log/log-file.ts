import { appendFileSync, closeSync, existsSync, fchmodSync, fstatSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError, codeOf, messageOf } from '../errors.ts';
import { makeFolder } from '../machine/make-folder.ts';

/**
 * A log file of at most `maxSize` bytes: when a line would not fit, `app.log` becomes `app.log.1`, `app.log.1` becomes `app.log.2`, …, and the oldest of
 * `backups` goes. Each line is on its way to the disk when the call returns. Several processes may share one file: each looks at the path before it writes,
 * and follows when another one has set the file aside. Only its owner may open it, or those set aside. Errors, at first: the system's, when the file cannot be opened;
 * `ConfigError('log.not_private')`, when it is somebody else's and others can open it.
 * (pino-roll 4 was tried: it numbers the live file, rolls only between two turns of the event loop, so that a burst outgrew a limit of 10,000 bytes by half,
 * and is for one process.)
 */
export function rotatingFile(path: string, maxSize: number, backups: number): (line: string) => void {
  for (let number = 1; number <= backups; number++) if (existsSync(`${path}.${number}`)) closeSync(open(`${path}.${number}`).descriptor);
  let file = open(path);
  let failed = false;
  return (line) => {
    try {
      const now = statSync(path, { throwIfNoEntry: false });
      const full = now !== undefined && now.size > 0 && now.size + Buffer.byteLength(line) > maxSize;
      if (full) setAside(path, backups);
      if (full || now?.ino !== file.inode) {
        const next = open(path);
        closeSync(file.descriptor);
        file = next;
      }
      appendFileSync(file.descriptor, line);
      failed = false;
    } catch (error) {
      // A full disk must not stop the work: the error is written once, and the lines still reach the terminal.
      if (!failed)
        process.stderr.write(`log file ${path} cannot be written (${codeOf(error)}: ${messageOf(error)}); lines are lost until it can\n`);
      failed = true;
    }
  };
}

function open(path: string): { descriptor: number; inode: number } {
  makeFolder(dirname(path));
  const descriptor = openSync(path, 'a', 0o600);
  const found = fstatSync(descriptor);
  // Not those of a terminal or a pipe.
  if (found.isFile() && (found.mode & 0o077) !== 0)
    try {
      fchmodSync(descriptor, 0o600);
    } catch (error) {
      closeSync(descriptor);
      throw new ConfigError(
        'log.not_private',
        `the log file ${path} can be opened by others, and that cannot be changed (${messageOf(error)}): give it to this user (chown), or name another one`,
        { cause: error },
      );
    }
  return { descriptor, inode: found.ino };
}

function setAside(path: string, backups: number): void {
  if (backups === 0) rmSync(path, { force: true });
  for (let number = backups; number >= 1; number--) {
    const from = number === 1 ? path : `${path}.${number - 1}`;
    if (existsSync(from)) renameSync(from, `${path}.${number}`);
  }
}
