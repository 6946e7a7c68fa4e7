import { hostname, userInfo } from 'node:os';
import type { Actor } from '../platform/registry/audit.ts';

/** The person at the command line, as the operating system knows the account: for the audit log. */
export function cliActor(): Actor {
  return { source: 'cli', actor: `${account()}@${hostname()}`.slice(0, 128), name: null, address: null };
}

/** In a container the account may have a number and no name. */
function account(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
