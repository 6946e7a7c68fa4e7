/** What a service's last will sets in motion: a dead worker's jobs are ready again within milliseconds, a dead leader is followed at once. */
import type { Change, Ledger } from '../jobs/job.ts';
import { rescue } from '../jobs/lease.ts';
import { BATCH } from '../jobs/passage.ts';
import type { Bus, Subscription } from '../platform/bus.ts';
import { codeOf, messageOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';
import { watchPresence } from '../platform/presence.ts';

export interface Rescuer {
  /** Tries again what an outage of the database prevented. */
  retry(): Promise<void>;
  close(): Promise<void>;
}

export interface RescueOptions {
  bus: Pick<Bus, 'subscribe'>;
  ledger: Ledger;
  log: Logger;
  /** Announces what is committed. */
  tell: (changes: readonly Change[]) => void;
  /** A scheduler has ended. */
  schedulerEnded: (instance: string) => Promise<void>;
}

/**
 * Watches who is there and takes the jobs of a worker back whose newest session is offline. Every scheduler does, leading or not: doing it twice changes
 * nothing, and a worker that only lost its connection finds its leases gone at its next write and drops what it made (fencing). Workers that die without a will
 * (the broker died with them) are left to the reaper.
 */
export function watchForDeaths({ bus, ledger, log, tell, schedulerEnded }: RescueOptions): Rescuer {
  /** Workers whose jobs are still to be taken back: instance → session. */
  const gone = new Map<string, string>();

  async function takeBack(instance: string, session: string): Promise<void> {
    const [row] = await ledger.db.rows<{ session: string }>('SELECT session FROM instances WHERE instance = ?', [instance]);
    // The broker remembers the death of a life that has ended; the next one has begun, and took its jobs back itself.
    if (row !== undefined && row.session !== session) return;
    let changes: Change[];
    do {
      changes = await rescue(ledger, instance, `worker ${instance} went offline`);
      tell(changes);
      if (changes.length > 0) log.warn({ worker: instance, jobs: changes.length }, `worker ${instance} went offline: its jobs go back`);
    } while (changes.length >= BATCH);
    await ledger.db.run('DELETE FROM instances WHERE instance = ? AND session = ?', [instance, session]);
  }

  async function retry(): Promise<void> {
    for (const [instance, session] of [...gone]) {
      await takeBack(instance, session);
      if (gone.get(instance) === session) gone.delete(instance);
    }
  }

  const watching: Subscription = watchPresence(bus, async ({ service, instance, state, session }) => {
    if (service === 'scheduler' && state === 'offline') return await schedulerEnded(instance);
    if (service !== 'worker') return;
    if (state === 'online') {
      gone.delete(instance);
      return;
    }
    gone.set(instance, session);
    try {
      await retry();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      log.warn({ code: codeOf(error), worker: instance }, `worker ${instance} went offline, its jobs wait for the database: ${messageOf(error)}`);
    }
  });
  return { retry, close: () => watching.close() };
}
