/** Ends event streams whose key or session is in force no more: a stream is one request, which may last for days. */
import type { Clock } from '../../platform/clock.ts';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { App } from '../http/app.ts';
import type { Caller } from './access.ts';
import { keysInForce } from './keys.ts';
import { sessionsInForce } from './sessions.ts';

/** One read by primary key for all keys and one for all sessions, so a stream outlives its key by a second. */
const LOOK_MS = 1_000;

/** Calls `end` when the key was revoked or has expired, or the session was closed or has expired. Returns the function that stops watching. */
export type WatchKey = (caller: Caller, end: () => void) => () => void;

/** While the database is away, streams go on. */
export function watchKeys(app: App, { db, clock, log }: { db: Sql; clock: Clock; log: Logger }): WatchKey {
  const keys = new Map<string, Set<() => void>>();
  const sessions = new Map<string, Set<() => void>>();
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    try {
      const now = new Date(clock.now().epochMilliseconds);
      const [inForce, signedIn] = await Promise.all([
        keysInForce(db, [...keys.keys()], now),
        sessionsInForce(db, [...sessions.keys()], now),
      ]);
      endOthers(keys, new Set(inForce.map(({ id }) => id)));
      endOthers(sessions, signedIn);
    } catch (error) {
      log.debug({ code: codeOf(error) }, `the keys of open event streams could not be checked: ${messageOf(error)}`);
    }
    timer = undefined;
    lookSoon();
  }

  function lookSoon(): void {
    if (keys.size > 0) timer ??= setTimeout(look, LOOK_MS);
  }

  app.addHook('onClose', async () => {
    keys.clear();
    sessions.clear();
    clearTimeout(timer);
  });
  return ({ id, session }, end) => {
    const unwatch = [watch(keys, id, end), ...(session === undefined ? [] : [watch(sessions, session.hash, end)])];
    lookSoon();
    return () => {
      for (const stop of unwatch) stop();
    };
  };
}

function watch(watched: Map<string, Set<() => void>>, of: string, end: () => void): () => void {
  const ends = watched.getOrInsertComputed(of, () => new Set());
  ends.add(end);
  return () => {
    ends.delete(end);
    if (ends.size === 0) watched.delete(of);
  };
}

function endOthers(watched: ReadonlyMap<string, ReadonlySet<() => void>>, inForce: ReadonlySet<string>): void {
  for (const [of, ends] of watched) if (!inForce.has(of)) for (const end of ends) end();
}
