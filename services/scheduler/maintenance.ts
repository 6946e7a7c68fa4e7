/** The leader's duties that move jobs as time passes, each a batch at a time until none is full. */

import type { Change, Ledger } from '../ledger/job.ts';
import { age, type ConfiguredAgeing, configuredAgeing } from '../ledger/maintain/age.ts';
import { BATCH, walkOfReady } from '../ledger/maintain/due.ts';
import { expire } from '../ledger/maintain/expire.ts';
import { promote } from '../ledger/maintain/promote.ts';
import { reap } from '../ledger/maintain/rescue.ts';
import { healSlots } from '../ledger/run/slots.ts';
import { isSettled } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Sql } from '../platform/database/database.ts';
import { probeWrite } from '../platform/database/suitable.ts';
import type { Duty } from './duties.ts';

export interface MaintenanceOptions {
  ledger: Ledger;
  config: Config;
  /** Announces what is committed. */
  announce: (changes: readonly Change[]) => void;
  /** What else of this process has seen outages. */
  outages?: Outages;
}

/** The ledger frees each slot itself: this is for rows changed by hand and for a lowered limit. */
const HEAL_SECONDS = 5;
/** Times the length of a walk over all waiting jobs that follows it as a rest: it takes a twentieth of the time of one core at most. */
const REST = 20;

export function maintenanceDuties({ ledger, config, announce, outages = watchOutages(ledger.leaseSeconds) }: MaintenanceOptions): Duty[] {
  const { promote_interval, reap_interval, ageing } = config.scheduler;
  const settleSeconds = Math.max(ledger.leaseSeconds, config.database.clock_interval);
  const repeated = (name: string, everySeconds: number, batch: () => Promise<Change[]>): Duty => ({
    name,
    everySeconds,
    async run(signal) {
      let changes: Change[];
      do {
        changes = await batch();
        announce(changes);
      } while (changes.length >= BATCH && !signal.aborted);
    },
  });
  const duties = [
    repeated('promote', promote_interval, () => promote(ledger)),
    repeated('reap', reap_interval, async () =>
      isSettled(ledger.clock, settleSeconds) && (await mayReap(ledger.db, outages)) ? reap(ledger) : [],
    ),
    paced({
      name: 'expire ready jobs',
      everySeconds: reap_interval,
      async run(signal) {
        const walk = walkOfReady();
        let expired = 0;
        while (walk.from !== undefined && !signal.aborted) {
          const changes = await expire(ledgerWithoutJump(ledger), 'ready', walk);
          announce(changes);
          expired += changes.length;
        }
        return expired;
      },
    }),
    repeated('expire blocked jobs', reap_interval, () => expire(ledgerWithoutJump(ledger), 'blocked')),
    repeated('heal slots', HEAL_SECONDS, () => ledger.db.transaction((tx) => healSlots(tx, ledger))),
  ];
  const { background, foreground } = configuredAgeing(ageing);
  if (background !== undefined) duties.push(ageingDuty(ledger, 'age', background));
  if (foreground !== undefined) duties.push(ageingDuty(ledger, 'age foreground', foreground));
  return duties;
}

export interface Outages {
  /** The database has taken a write, or did not. */
  saw(written: boolean): void;
  /** Whether leases that have run out may be judged now. */
  mayJudge(): boolean;
}

/**
 * While the database is away no worker can renew its leases, and the jobs run on. So after an outage they get a third of a lease, in which they renew them twice, before
 * anybody is judged. A scheduler that does not lead watches too: after an outage in which the leader's lease has run out it may be the next leader.
 */
export function watchOutages(leaseSeconds: number): Outages {
  const graceMs = (leaseSeconds * 1000) / 3;
  let lastAnswer = performance.now();
  let away = false;
  let judgedFrom = 0;
  return {
    saw(written) {
      if (written) {
        const now = performance.now();
        if (away && now - lastAnswer > graceMs) judgedFrom = now + graceMs;
        lastAnswer = now;
      }
      away = !written;
    },
    mayJudge: () => performance.now() >= judgedFrom,
  };
}

async function mayReap(sql: Sql, outages: Outages): Promise<boolean> {
  try {
    await probeWrite(sql);
  } catch (error) {
    outages.saw(false);
    throw error;
  }
  outages.saw(true);
  return outages.mayJudge();
}

/** After a jump forward: on the time as it was before, until no job waits any more that began to wait before it. Such a job has not waited for as long as the jump says. */
function ledgerWithoutJump(ledger: Ledger): Ledger {
  const { clock, queues } = ledger;
  const { lastJump } = clock;
  const longestWaitMs = Math.max(...Object.values(queues).map(({ ttlSeconds }) => ttlSeconds)) * 1000;
  if (lastJump === undefined || lastJump.byMs < 0 || lastJump.agoMs > longestWaitMs) return ledger;
  return { ...ledger, clock: { now: () => clock.now().subtract({ milliseconds: Math.round(lastJump.byMs) }) } };
}

/** A duty that walks over all waiting jobs, which of a million takes a second or more. After a walk that has found nothing to do it rests for `REST` times as long as the walk took. */
function paced({ run, ...duty }: Omit<Duty, 'run'> & { run: (signal: AbortSignal) => Promise<number> }): Duty {
  let restsUntil = 0;
  return {
    ...duty,
    async run(signal) {
      const started = performance.now();
      if (started < restsUntil) return;
      const changed = await run(signal);
      const ended = performance.now();
      if (changed === 0) restsUntil = ended + REST * (ended - started);
    },
  };
}

function ageingDuty(ledger: Ledger, name: string, { queues, ageing, everySeconds }: ConfiguredAgeing): Duty {
  return paced({
    name,
    everySeconds,
    async run(signal) {
      let risen = 0;
      for (const queue of queues) {
        let from: Awaited<ReturnType<typeof age>>['next'];
        do {
          const { raised, next } = await age(ledger, ageing, queue, from);
          risen += raised;
          from = next;
        } while (from !== undefined && !signal.aborted);
      }
      return risen;
    },
  });
}
