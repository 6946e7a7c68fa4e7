/** A process that stops does not wait for ever for a database that does not answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from './database.ts';
import { probeWrite } from './suitable.ts';

/** Milliseconds for the answer to a probe, and the probes that must fail in a row: a busy machine may miss one. */
const PROBE_MS = 1_000;
const PROBES = 2;

/** How long it takes at least to find out that the database does not answer. */
export const GIVE_UP_MS = PROBES * PROBE_MS;

/** From `afterMs` on, gives the database up as soon as it has taken no write for `GIVE_UP_MS`. Returns the function that ends the watch. */
export function giveUpWhenSilent(db: Database, afterMs: number): () => void {
  const ended = new AbortController();
  void watch(db, Math.max(afterMs, 0), ended.signal);
  return () => ended.abort();
}

async function watch(db: Database, afterMs: number, ended: AbortSignal): Promise<void> {
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { ref: false, signal: ended }).catch(() => undefined);
  await pause(afterMs);
  for (let missed = 0; !ended.aborted; ) {
    const answers = probeWrite(db).then(
      () => true,
      () => false,
    );
    const [answered] = await Promise.all([Promise.race([answers, pause(PROBE_MS).then(() => false)]), pause(PROBE_MS)]);
    missed = answered ? 0 : missed + 1;
    if (missed < PROBES || ended.aborted) continue;
    db.giveUp();
    return;
  }
}
