/** Ends event streams whose key or session is in force no more: a stream is one request, which may last for days. */
import type { Clock } from '../../platform/clock.ts';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { App } from '../http/app.ts';
import type { Caller } from './access.ts';
import { type ApiKey, type FoundKey, keysInForce } from './keys.ts';
import { sessionsInForce } from './sessions.ts';

/** One read by primary key for all keys and one for all sessions, so a stream outlives its key by a second. */
const LOOK_MS = 1_000;

/** Calls `end` when the key was revoked or has expired, its secret was replaced and is over, or the session was closed or has expired. Returns the function that stops watching. */
export type WatchKey = (caller: Caller, end: () => void) => () => void;

/** While the database is away, streams go on. */
export function watchKeys(app: App, { db, clock, log }: { db: Sql; clock: Clock; log: Logger }): WatchKey {
  const keys = new Map<string, Set<Watched>>();
  const sessions = new Map<string, Set<Watched>>();
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    try {
      const now = new Date(clock.now().epochMilliseconds);
      const [inForce, signedIn] = await Promise.all([
        keysInForce(db, [...keys.keys()], now),
        sessionsInForce(db, [...sessions.keys()], now),
      ]);
      const byId = new Map(inForce.map((key) => [key.id, key]));
      endOthers(keys, (id, stream) => isInForce(stream, byId.get(id), now));
      endOthers(sessions, (hash) => signedIn.has(hash));
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
  return ({ id, session, rotated_at = null, valid_until = null }, end) => {
    const stream = { rotated_at, valid_until, end };
    const unwatch = [watch(keys, id, stream), ...(session === undefined ? [] : [watch(sessions, session.hash, stream)])];
    lookSoon();
    return () => {
      for (const stop of unwatch) stop();
    };
  };
}

/** An open stream, with what its key was when it was looked up: whoever has another secret by now has it from another rotation. */
interface Watched extends Pick<FoundKey, 'rotated_at' | 'valid_until'> {
  end(): void;
}

function watch(watched: Map<string, Set<Watched>>, of: string, stream: Watched): () => void {
  const streams = watched.getOrInsertComputed(of, () => new Set());
  streams.add(stream);
  return () => {
    streams.delete(stream);
    if (streams.size === 0) watched.delete(of);
  };
}

function endOthers(watched: ReadonlyMap<string, ReadonlySet<Watched>>, holds: (of: string, stream: Watched) => boolean): void {
  for (const [of, streams] of watched) for (const stream of streams) if (!holds(of, stream)) stream.end();
}

/** Whether the key, and the secret that opened the stream, are in force. `key`: as it is now. */
function isInForce({ rotated_at, valid_until }: Watched, key: ApiKey | undefined, now: Date): boolean {
  if (key === undefined || (valid_until !== null && valid_until <= now)) return false;
  return key.rotated_at?.getTime() === rotated_at?.getTime() || (key.old_until !== null && key.old_until > now);
}
