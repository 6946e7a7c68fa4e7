/** Files that only their owner may open. */
import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, codeOf, messageOf } from '../errors.ts';

const OTHERS = 0o077;

/**
 * Takes all rights of others from a folder and everything in it. Links are not followed. Of `sealed`, a folder in it, only the folder itself is closed: nobody reaches what is
 * in there, and 100,000 files would take seconds. Errors: `ConfigError('data.not_private')` for what belongs to somebody else.
 */
export function closeToOthers(path: string, sealed?: string): void {
  const found = lstatIfThere(path);
  if (found === undefined || found.isSymbolicLink()) return;
  if ((found.mode & OTHERS) !== 0) close(path, found.mode & 0o7777 & ~OTHERS);
  if (found.isDirectory() && path !== sealed) for (const name of readdirSync(path)) closeToOthers(join(path, name), sealed);
}

function close(path: string, mode: number): void {
  try {
    chmodSync(path, mode);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw new ConfigError(
      'data.not_private',
      `${path} can be opened by others, and that cannot be changed (${messageOf(error)}): give it to this user (chown), or run chmod go= on it as its owner`,
      { cause: error },
    );
  }
}

/** A server that still runs over the folder removes files of its own. */
function lstatIfThere(path: string) {
  try {
    return lstatSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
