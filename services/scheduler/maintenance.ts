/** The leader's duties that move jobs as time passes, each a batch at a time until none is full. */

import { bandStart, type Change, type Ledger } from '../ledger/job.ts';
import { AGED_QUEUES, age } from '../ledger/maintain/age.ts';
import { BATCH } from '../ledger/maintain/due.ts';
import { expire } from '../ledger/maintain/expire.ts';
import { promote } from '../ledger/maintain/promote.ts';
import { reap } from '../ledger/maintain/rescue.ts';
import { changesOf } from '../ledger/run/dependents.ts';
import { healSlots } from '../ledger/run/slots.ts';
import type { Config } from '../platform/config/load.ts';
import type { Sql } from '../platform/database/database.ts';
import { probeWrite } from '../platform/database/suitable.ts';
import type { Duty } from './duties.ts';

export interface MaintenanceOptions {
  ledger: Ledger;
  config: Config;
  /** Announces what is committed. */
  announce: (changes: readonly Change[]) => void;
}

/** The ledger frees each slot itself: this is for rows changed by hand and for a lowered limit. */
const HEAL_SECONDS = 5;
/** Looks within one ageing interval: a job rises at most a fifth of it late. */
const LOOKS_PER_AGEING = 5;

export function maintenanceDuties({ ledger, config, announce }: MaintenanceOptions): Duty[] {
  const { promote_interval, reap_interval, ageing } = config.scheduler;
  const mayReap = afterOutage(ledger.leaseSeconds);
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
    repeated('reap', reap_interval, async () => ((await mayReap(ledger.db)) ? reap(ledger) : [])),
    repeated('expire ready jobs', reap_interval, () => expire(ledger, 'ready')),
    repeated('expire blocked jobs', reap_interval, () => expire(ledger, 'blocked')),
    repeated('heal slots', HEAL_SECONDS, () => ledger.db.transaction(async (tx) => changesOf(tx, await healSlots(tx, ledger)))),
  ];
  if (ageing.levels > 0) duties.push(ageingDuty(ledger, ageing));
  return duties;
}

/**
 * While the database is away no worker can renew its leases, and the jobs run on. So after an outage they get a third of a lease, in which they renew them twice, before
 * anybody is judged. Gives a function that says whether leases may be judged now.
 */
function afterOutage(leaseSeconds: number): (sql: Sql) => Promise<boolean> {
  const graceMs = (leaseSeconds * 1000) / 3;
  let lastAnswer = performance.now();
  let away = false;
  let judgedFrom = 0;
  return async (sql) => {
    try {
      await probeWrite(sql);
    } catch (error) {
      away = true;
      throw error;
    }
    const now = performance.now();
    if (away && now - lastAnswer > graceMs) judgedFrom = now + graceMs;
    away = false;
    lastAnswer = now;
    return now >= judgedFrom;
  };
}

function ageingDuty(ledger: Ledger, { interval, levels }: Config['scheduler']['ageing']): Duty {
  return {
    name: 'age',
    everySeconds: interval / LOOKS_PER_AGEING,
    async run(signal) {
      const ageing = { intervalSeconds: interval, levels, highestLevel: bandStart('background_fetch') };
      for (const queue of AGED_QUEUES) {
        let from: Awaited<ReturnType<typeof age>>['next'];
        do from = (await age(ledger, ageing, queue, from)).next;
        while (from !== undefined && !signal.aborted);
      }
    },
  };
}
