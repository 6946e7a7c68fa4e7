/** One of the schedulers leads. The others take over when its lease ends, or at once when its last will says that it is offline. */
import { after } from '../ledger/job.ts';
import { type Clock, isSettled } from '../platform/clock.ts';
import type { Database } from '../platform/database/database.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { resign, tryLead } from '../platform/registry/leases.ts';
import { type Duties, pause } from './duties.ts';

/** The lease that all schedulers of one database compete for. */
const LEASE = 'scheduler';

export interface Leadership {
  readonly leads: boolean;
  /** Another scheduler has ended: ends its lease now. */
  ended(holder: string): Promise<void>;
  /** Stops the duties and gives the lease up. */
  stop(): Promise<void>;
}

/**
 * Competes for the lease until stopped. `lead` starts the leader's duties. They are stopped when another scheduler has the lease, or when it could not be
 * renewed in time.
 */
export function competeForLead(options: {
  db: Database;
  clock: Clock;
  log: Logger;
  holder: string;
  seconds: number;
  /** Seconds after a jump of the clock for which a lease that has run out is left to its holder, who renews it. */
  settleSeconds?: number;
  lead: () => Duties;
  /** Told after each look whether the database took it. */
  onLook?: (written: boolean) => void;
}): Leadership {
  const { db, clock, log, holder, seconds, settleSeconds = seconds, onLook = () => {} } = options;
  const stopping = new AbortController();
  let duties: Duties | undefined;
  let until = new Date(0);
  let look = new AbortController();
  let unreachable = false;

  async function lookOnce(): Promise<void> {
    const now = new Date(clock.now().epochMilliseconds);
    try {
      const leads = await tryLead(db, LEASE, holder, seconds, now, { mayTakeOver: isSettled(clock, settleSeconds) });
      unreachable = false;
      onLook(true);
      if (!leads) return await stepDown('another scheduler has the lease');
      until = after(now, seconds);
      if (duties !== undefined) return;
      log.info({ holder }, 'this scheduler leads');
      duties = options.lead();
    } catch (error) {
      if (!unreachable) log.warn({ code: codeOf(error) }, `could not renew the leader's lease: ${messageOf(error)}`);
      unreachable = true;
      onLook(false);
      if (clock.now().epochMilliseconds >= until.getTime()) await stepDown('the lease has run out');
    }
  }

  async function stepDown(why: string): Promise<void> {
    if (duties === undefined) return;
    log.warn({ holder, why }, `this scheduler no longer leads: ${why}`);
    const ending = duties;
    duties = undefined;
    await ending.stop();
  }

  async function compete(): Promise<void> {
    while (!stopping.signal.aborted) {
      look = new AbortController();
      await lookOnce();
      // The leader renews three times within a lease. The others look ten times, so they take over within a tenth of a lease.
      await pause(seconds / (duties === undefined ? 10 : 3), AbortSignal.any([stopping.signal, look.signal]));
    }
  }

  const competing = compete();
  return {
    get leads() {
      return duties !== undefined;
    },
    async ended(other) {
      if (other === holder) return;
      await resign(db, LEASE, other);
      look.abort();
    },
    async stop() {
      stopping.abort();
      await competing;
      await duties?.stop();
      duties = undefined;
      await resign(db, LEASE, holder).catch((error: unknown) =>
        log.warn({ code: codeOf(error) }, `could not give up the leader's lease, it ends in ${seconds} s: ${messageOf(error)}`),
      );
    },
  };
}
