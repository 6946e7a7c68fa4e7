/** Deletes old rows, in batches. */
import { giveBackLeft } from '../job-types/history/claims.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import { deleteEnded } from '../ledger/maintain/delete.ts';
import { deleteRuns } from '../market/options/store/runs.ts';
import { RESEARCH_DAYS } from '../market/research/staleness.ts';
import { endAbandoned, feeOf } from '../model/spend.ts';
import type { Config } from '../platform/config/load.ts';
import { HOUR_S, MINUTE_S } from '../platform/monitoring/mesh-stats.ts';
import type { Duty } from './duties.ts';

/** An instance without a heartbeat for so long is deleted; one that was only cut off writes its row again. */
const DEAD_INSTANCE_MS = 3_600_000;
const DAY_MS = 86_400_000;
const UNANSWERED_MS = 3_600_000;

/** Ranks that are deleted with a run, about. */
const ROWS_A_RUN = 100;

/**
 * Ended jobs, ended callbacks and login decisions older than `jobs.cleanup_after_days`, dedupe windows that are over, instances that are dead, claims of downloads that
 * have ended, rankings, chains, research, opinions of a model, audit rows and statistics beyond their days. Ends the paid calls that nobody comes back for.
 */
export function retentionDuty(anyLedger: Ledger, config: Config): Duty {
  const ledger = { ...anyLedger, db: anyLedger.db.long };
  const { interval, batch } = config.scheduler.retention;
  const days = config.jobs.cleanup_after_days;
  const { run_days, chain_days } = config.ranking.retention;
  return {
    name: 'clean up',
    everySeconds: interval,
    async run(signal) {
      const whileFull = async (remove: () => Promise<number>, full = batch): Promise<void> => {
        while (!signal.aborted && (await remove()) >= full);
      };
      const removeOlder = (sql: string, before: Date) => async () => (await ledger.db.run(sql, [before, batch])).affectedRows;
      const now = nowOf(ledger);
      const ago = (ms: number) => new Date(now.getTime() - ms);
      await whileFull(() => deleteEnded(ledger, days, batch));
      // ix_at, ix_until
      await whileFull(removeOlder('DELETE FROM user_portfolio_priority WHERE at < ? ORDER BY at LIMIT ?', ago(days * DAY_MS)));
      await whileFull(removeOlder('DELETE FROM dedupe_windows WHERE until < ? ORDER BY until LIMIT ?', now));
      // ix_due
      for (const state of ['delivered', 'failed'])
        await whileFull(
          removeOlder(`DELETE FROM callbacks WHERE state = '${state}' AND due_at < ? ORDER BY due_at, id LIMIT ?`, ago(days * DAY_MS)),
        );
      const runs = Math.max(1, Math.floor(batch / ROWS_A_RUN));
      await whileFull(() => ledger.db.transaction((tx) => deleteRuns(tx, ago(run_days * DAY_MS), runs)), runs);
      // ix_date
      await whileFull(removeOlder('DELETE FROM chain_days WHERE date < ? ORDER BY date LIMIT ?', ago(chain_days * DAY_MS)));
      // ix_day, ix_published, ix_created
      const research = ago(RESEARCH_DAYS * DAY_MS);
      await whileFull(removeOlder('DELETE FROM fundamentals WHERE day < ? ORDER BY day LIMIT ?', research));
      await whileFull(removeOlder('DELETE FROM news WHERE published_at < ? ORDER BY published_at LIMIT ?', research));
      await whileFull(removeOlder('DELETE FROM model_analyses WHERE created_at < ? ORDER BY created_at LIMIT ?', research));
      // A row for each symbol that was ever researched: a scan reads few pages.
      await whileFull(removeOlder('DELETE FROM news_checks WHERE checked_at < ? LIMIT ?', research));
      await endAbandoned(ledger.db, now, feeOf(config.model));
      // What was not answered within ten minutes never is. The table holds what is being answered: a scan reads a page.
      await whileFull(removeOlder('DELETE FROM login_answers WHERE admitted_at < ? LIMIT ?', ago(UNANSWERED_MS)));
      // The table holds what is downloaded at this moment, and what was left.
      await whileFull(() => giveBackLeft(ledger.db, batch));
      // ix_at, ix_expires
      await whileFull(removeOlder('DELETE FROM audit_log WHERE at < ? ORDER BY at LIMIT ?', ago(config.audit.keep_days * DAY_MS)));
      for (const table of ['stream_tokens', 'sessions', 'session_codes'])
        await whileFull(removeOlder(`DELETE FROM ${table} WHERE expires_at < ? ORDER BY expires_at LIMIT ?`, now));
      // The primary key.
      for (const step of [MINUTE_S, HOUR_S])
        await whileFull(
          removeOlder(
            `DELETE FROM mesh_stats WHERE step_s = ${step} AND at < ? ORDER BY at LIMIT ?`,
            ago(config.scheduler.stats_days * DAY_MS),
          ),
        );
      // A row for each process that runs: a scan of the whole table reads a page.
      await whileFull(removeOlder('DELETE FROM instances WHERE heartbeat_at < ? LIMIT ?', ago(DEAD_INSTANCE_MS)));
    },
  };
}
