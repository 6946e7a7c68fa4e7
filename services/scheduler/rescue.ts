/** Acts on the last wills of services: a dead worker's jobs become ready within milliseconds, and a dead leader is replaced at once. */
import type { Change, Ledger } from '../ledger/job.ts';
import { rescue } from '../ledger/maintain/rescue.ts';
import type { Bus, Subscription } from '../platform/bus/bus.ts';
import { watchPresence } from '../platform/bus/presence.ts';
import { TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';

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
  announce: (changes: readonly Change[]) => void;
  /** A scheduler has ended. */
  schedulerEnded: (instance: string) => Promise<void>;
}

/**
 * Watches which instances are online and takes back the jobs of a worker whose newest session is offline. Every scheduler does so: doing it twice changes nothing.
 * A worker that only lost its connection finds its leases lost at its next write and discards its results (fencing). A worker that dies together with the broker
 * leaves no will; its leases expire.
 */
export function watchForDeaths({ bus, ledger, log, announce, schedulerEnded }: RescueOptions): Rescuer {
  /** Workers whose jobs are still to be taken back: instance → session. */
  const gone = new Map<string, string>();

  async function takeBack(instance: string, session: string): Promise<void> {
    if (await livesOn(instance, session)) return;
    const changes = await rescue(ledger, instance, `worker ${instance} went offline`);
    announce(changes);
    if (changes.length > 0)
      log.warn({ worker: instance, jobs: changes.length }, `worker ${instance} went offline: its ${changes.length} jobs are ready again`);
    await ledger.db.run('DELETE FROM instances WHERE instance = ? AND session = ?', [instance, session]);
  }

  /** The broker remembers the death of a life that has ended; the next one has begun, and took its jobs back itself. */
  async function livesOn(instance: string, session: string): Promise<boolean> {
    const [row] = await ledger.db.rows<{ session: string }>('SELECT session FROM instances WHERE instance = ?', [instance]);
    return row !== undefined && row.session !== session;
  }

  async function retry(): Promise<void> {
    for (const [instance, session] of [...gone]) {
      await takeBack(instance, session);
      if (gone.get(instance) === session) gone.delete(instance);
    }
  }

  async function died(service: string, instance: string, session: string): Promise<void> {
    if (service === 'scheduler') {
      if (!(await livesOn(instance, session))) await schedulerEnded(instance);
      return;
    }
    gone.set(instance, session);
    await retry();
  }

  const watching: Subscription = watchPresence(bus, async ({ service, instance, state, session }) => {
    if (service !== 'worker' && service !== 'scheduler') return;
    if (state === 'online') {
      gone.delete(instance);
      return;
    }
    try {
      await died(service, instance, session);
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      log.warn(
        { code: error.code, service, died: instance },
        `${service} ${instance} went offline, its jobs are taken back when the database answers: ${error.message}`,
      );
    }
  });
  return { retry, close: () => watching.close() };
}
