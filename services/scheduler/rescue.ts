/** Acts on the last wills of services: a dead worker's jobs become ready within milliseconds, and a dead leader is replaced at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { after, type Change, type Ledger } from '../ledger/job.ts';
import { latestStart, rescue } from '../ledger/maintain/rescue.ts';
import { endedLately } from '../ledger/read/ended-lately.ts';
import type { Bus, Subscription } from '../platform/bus/bus.ts';
import { watchPresence } from '../platform/bus/presence.ts';
import { codeOf, messageOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';

export interface Rescuer {
  /** Looks no more for jobs of dead workers; resolves when the look under way has ended. */
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

/** First pause before a dead worker's jobs are looked for again, in milliseconds; it doubles up to the longest one. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/**
 * Attempts that begin so long after the death was noticed still count as the dead worker's, in milliseconds: two clocks that follow the database's differ by less,
 * and no process starts under the same name and claims within that time.
 */
const CLOCK_TOLERANCE_MS = 250;

/** A worker announces what it has committed within a few milliseconds; so many seconds before its death are told again. */
const UNTOLD_SECONDS = 5;

/** The end of a worker's process. */
interface Death {
  session: string;
  /** Attempts that began until then are taken back. */
  until: Date;
  /** Removed from the list of instances; a row that stands there afterwards is that of a process that lives. */
  removed: boolean;
}

/**
 * Watches which instances are online and takes back the jobs of a worker whose newest session is offline. Every scheduler does so: doing it twice changes nothing.
 * A worker that only lost its connection finds its leases lost at its next write and discards its results (fencing). A worker that dies together with the broker
 * leaves no will; its leases expire.
 *
 * Looks again, with back-off, for as long as a lease lasts: another transaction may have locked some of the jobs, the database may be away, and a claim that the
 * worker had sent may be committed after its death.
 */
export function watchForDeaths(options: RescueOptions): Rescuer {
  const { bus, ledger, log, schedulerEnded } = options;
  const stopping = new AbortController();
  /** Workers whose jobs are looked for. */
  const gone = new Map<string, Death>();
  const looking = new Set<Promise<void>>();

  async function lookForJobs(instance: string, death: Death): Promise<void> {
    const end = performance.now() + ledger.leaseSeconds * 1000;
    let troubled = false;
    for (let pause = FIRST_PAUSE_MS; gone.get(instance) === death; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        const { lives, left } = await takeBack(options, instance, death);
        if (lives || (left === 0 && performance.now() > end)) gone.delete(instance);
        if (left > 0 && !troubled)
          log.warn(
            { worker: instance, jobs: left },
            `${left} jobs of the dead worker ${instance} are locked by other transactions; looking again`,
          );
        troubled = left > 0;
      } catch (error) {
        // Once for each outage. Any other error may be of this one moment too: the jobs must not stay where they are.
        if (!troubled)
          log.warn(
            { code: codeOf(error), died: instance },
            `the jobs of the dead worker ${instance} are not yet taken back, trying again: ${messageOf(error)}`,
          );
        troubled = true;
      }
      await delay(pause, undefined, { signal: stopping.signal }).catch(() => gone.clear());
    }
  }

  const watching: Subscription = watchPresence(bus, async ({ service, instance, state, session }) => {
    if (service === 'scheduler' && state === 'offline') {
      try {
        if (!(await livesOn(ledger, instance, session))) await schedulerEnded(instance);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        log.warn({ code: error.code, died: instance }, `scheduler ${instance} went offline; its lease ends by itself: ${error.message}`);
      }
    }
    if (service !== 'worker') return;
    if (state === 'online') {
      gone.delete(instance);
      return;
    }
    const death = { session, until: after(latestStart(ledger), CLOCK_TOLERANCE_MS / 1000), removed: false };
    gone.set(instance, death);
    // Not awaited: the next death must not wait for the rows of this one.
    const look = lookForJobs(instance, death);
    looking.add(look);
    void look.finally(() => looking.delete(look));
  });
  return {
    async close() {
      stopping.abort();
      gone.clear();
      await watching.close();
      await Promise.all(looking);
    },
  };
}

/** Takes back what can be taken now. `lives`: the worker runs, under a new session or still under its old one. */
async function takeBack(
  { ledger, log, announce }: RescueOptions,
  instance: string,
  death: Death,
): Promise<{ lives: boolean; left: number }> {
  // The broker remembers the death of a life that has ended; the next one has begun, and takes its jobs back itself.
  if (await livesOn(ledger, instance, death.removed ? undefined : death.session)) return { lives: true, left: 0 };
  const { changes, left } = await rescue(ledger, instance, `worker ${instance} went offline`, death.until);
  announce(changes);
  if (changes.length > 0)
    log.warn({ worker: instance, jobs: changes.length }, `worker ${instance} went offline: took back ${changes.length} jobs`);
  // Told twice is told; what the worker committed and did not announce nobody would hear of.
  if (!death.removed) announce(await endedLately(ledger, instance, after(death.until, -UNTOLD_SECONDS)));
  if (!death.removed) await ledger.db.run('DELETE FROM instances WHERE instance = ? AND session = ?', [instance, death.session]);
  death.removed = true;
  return { lives: false, left };
}

/** Whether the instance is registered under another session than the one that `ended`. */
async function livesOn(ledger: Ledger, instance: string, ended: string | undefined): Promise<boolean> {
  const [row] = await ledger.db.rows<{ session: string }>('SELECT session FROM instances WHERE instance = ?', [instance]);
  return row !== undefined && row.session !== ended;
}
