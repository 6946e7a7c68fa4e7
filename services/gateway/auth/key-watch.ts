/** Ends event streams whose key is in force no more: a stream is one request, which may last for days. */
import type { Clock } from '../../platform/clock.ts';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { App } from '../http/app.ts';
import type { Caller } from './access.ts';
import { keysInForce } from './keys.ts';

/** One read by primary key for all streams, so a stream outlives its key by a second. */
const LOOK_MS = 1_000;

/** Calls `end` when the key was revoked or has expired. Returns the function that stops watching. */
export type WatchKey = (caller: Caller, end: () => void) => () => void;

/** While the database is away, streams go on. */
export function watchKeys(app: App, { db, clock, log }: { db: Sql; clock: Clock; log: Logger }): WatchKey {
  const watched = new Map<string, Set<() => void>>();
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    try {
      const inForce = await keysInForce(db, [...watched.keys()], new Date(clock.now().epochMilliseconds));
      const ids = new Set(inForce.map(({ id }) => id));
      for (const [id, ends] of watched) if (!ids.has(id)) for (const end of ends) end();
    } catch (error) {
      log.debug({ code: codeOf(error) }, `the keys of open event streams could not be checked: ${messageOf(error)}`);
    }
    timer = undefined;
    lookSoon();
  }

  function lookSoon(): void {
    if (watched.size > 0) timer ??= setTimeout(look, LOOK_MS);
  }

  app.addHook('onClose', async () => {
    watched.clear();
    clearTimeout(timer);
  });
  return ({ id }, end) => {
    const ends = watched.getOrInsertComputed(id, () => new Set());
    ends.add(end);
    lookSoon();
    return () => {
      ends.delete(end);
      if (ends.size === 0) watched.delete(id);
    };
  };
}
