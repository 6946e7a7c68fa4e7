/** Deletes what nobody needs any more, in batches. */
import { type Ledger, nowOf } from '../jobs/job.ts';
import { deleteEnded } from '../jobs/passage.ts';
import type { Config } from '../platform/config/load.ts';
import type { Duty } from './duties.ts';

/** An instance that gave no sign of life for so long is forgotten; one that is only cut off writes its row again. */
const DEAD_INSTANCE_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Ended jobs and login decisions older than `jobs.cleanup_after_days`, dedupe windows that are over, instances that are dead. */
export function retentionDuty(ledger: Ledger, config: Config): Duty {
  const { interval, batch } = config.scheduler.retention;
  const days = config.jobs.cleanup_after_days;
  return {
    name: 'clean up',
    everySeconds: interval,
    async run(signal) {
      const whileFull = async (remove: () => Promise<number>): Promise<void> => {
        while (!signal.aborted && (await remove()) >= batch);
      };
      const removeOlder = (sql: string, before: Date) => async () => (await ledger.db.run(sql, [before, batch])).affectedRows;
      const now = nowOf(ledger);
      const ago = (ms: number) => new Date(now.getTime() - ms);
      await whileFull(() => deleteEnded(ledger, days, batch));
      // ix_at, ix_until
      await whileFull(removeOlder('DELETE FROM user_portfolio_priority WHERE at < ? ORDER BY at LIMIT ?', ago(days * DAY_MS)));
      await whileFull(removeOlder('DELETE FROM dedupe_windows WHERE until < ? ORDER BY until LIMIT ?', now));
      // A row for each process that runs: a scan of the whole table reads a page.
      await whileFull(removeOlder('DELETE FROM instances WHERE heartbeat_at < ? LIMIT ?', ago(DEAD_INSTANCE_MS)));
    },
  };
}
