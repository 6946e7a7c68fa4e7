/** Announces waiting jobs again: their message may have been lost, and a worker that polls rarely would find them late. */
import type { Announcer } from '../ledger/announce.ts';
import { idFromBytes } from '../ledger/id.ts';
import { after, type Ledger, nowOf, QUEUES } from '../ledger/job.ts';
import type { Config } from '../platform/config/load.ts';
import type { Duty } from './duties.ts';

/** Jobs a queue and run: a message wakes the worker, which then claims from the whole queue, so the first jobs are enough. */
const MOST = 100;

/** Announces the most urgent ready jobs of each queue again that were enqueued longer ago than `announce_interval`. */
export function reannounceDuty(ledger: Ledger, announcer: Pick<Announcer, 'ring'>, config: Config): Duty {
  const seconds = config.scheduler.announce_interval;
  return {
    name: 'announce again',
    everySeconds: seconds,
    async run() {
      const before = after(nowOf(ledger), -seconds);
      for (const queue of QUEUES) {
        // The head of ix_claim first, the time afterwards: a comparison of times inside would walk the whole queue when all of it is new.
        const rows = await ledger.db.rows<{ id: Buffer }>(
          `SELECT id FROM (SELECT id, enqueued_at FROM jobs FORCE INDEX (ix_claim) WHERE queue = ? AND state = 'ready' ORDER BY priority, id LIMIT ${MOST}) head
            WHERE enqueued_at <= ?`,
          [queue, before],
        );
        await announcer.ring(rows.map(({ id }) => idFromBytes(id)));
      }
    },
  };
}
