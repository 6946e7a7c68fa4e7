/** The heartbeat row of a running service: written at its start and at an interval, removed when it stops. */
import { randomUUID } from 'node:crypto';
import type { Bus } from '../bus/bus.ts';
import { type Clock, offsetSeconds } from '../clock.ts';
import type { Config } from '../config/load.ts';
import type { Database } from '../database/database.ts';
import { codeOf, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { reportInstance, retireInstance } from './instances.ts';

export interface Heartbeat {
  /** Writes the row now. Errors: those of the database. */
  beat(): Promise<void>;
  /**
   * Ends the heartbeat, removes the row, and says whether another instance of the service is alive that has not retired, and takes work where this one did. Of instances that retire at the same moment
   * the last one gets false. False too when the database does not answer: a row that is left behind is removed as that of a dead instance.
   */
  retire(): Promise<boolean>;
}

/** The largest number that the columns hold. */
const MOST = 65_535;

/** Writes the first heartbeat, then one every third of `worker.heartbeat_interval`. Capacity and running are those of the presence (`bus.updatePresence`), 0 without. */
export async function startHeartbeat(context: {
  service: string;
  instance: string;
  config: Config;
  clock: Clock;
  db: Database;
  bus: Bus;
  log: Logger;
}): Promise<Heartbeat> {
  const { service, instance, config, clock, db, bus, log } = context;
  const session = bus.session ?? randomUUID();
  const now = (): Date => new Date(clock.now().epochMilliseconds);
  const startedAt = now();
  const beat = (): Promise<void> => {
    const { capacity = 0, running = 0, capabilities = [] } = bus.load;
    return reportInstance(db, {
      ...{ instance, service, session, capabilities },
      ...{ capacity: Math.min(capacity, MOST), running: Math.min(running, MOST) },
      ...{ started_at: startedAt, heartbeat_at: now(), clock_offset_s: offsetSeconds(clock) },
    });
  };
  await beat();
  const intervalMs = config.worker.heartbeat_interval * 1000;
  let beating = Promise.resolve();
  const timer = setInterval(() => {
    beating = beat().catch((error: unknown) => log.warn({ code: codeOf(error) }, `heartbeat not written: ${messageOf(error)}`));
  }, intervalMs / 3);

  async function retire(): Promise<boolean> {
    clearInterval(timer);
    // A heartbeat under way would write the row again.
    await beating;
    try {
      const { capacity = 0 } = bus.load;
      return await retireInstance(db, { instance, service, session, capacity }, new Date(now().getTime() - intervalMs));
    } catch (error) {
      log.warn({ code: codeOf(error) }, `own heartbeat row not removed: ${messageOf(error)}`);
      return false;
    }
  }
  let retired: Promise<boolean> | undefined;
  return {
    beat() {
      const written = beat();
      beating = Promise.allSettled([beating, written]).then(() => undefined);
      return written;
    },
    retire() {
      retired ??= retire();
      return retired;
    },
  };
}
