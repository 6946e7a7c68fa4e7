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
        // The head of the queue first, the time afterwards: a comparison of times inside would walk the whole queue when all of it is new.
        const rows = await ledger.db.rows<{ id: Buffer }>(
          `SELECT j.id FROM (SELECT priority, job_id FROM ready FORCE INDEX (PRIMARY) WHERE queue = ? ORDER BY priority, job_id LIMIT ${MOST}) head
             JOIN jobs j ON j.id = head.job_id WHERE j.enqueued_at <= ? ORDER BY head.priority, head.job_id`,
          [queue, before],
        );
        await announcer.ring(rows.map(({ id }) => idFromBytes(id)));
      }
    },
  };
}
