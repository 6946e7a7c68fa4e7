import type { Clock } from '../platform/clock.ts';
import { type Config, leaseSeconds } from '../platform/config/load.ts';
import type { Database } from '../platform/database/database.ts';
import type { Ledger, TypeRules } from './job.ts';

/** The ledger with this deployment's rules. A job type that is not configured by name has the general retries and the time limit of `worker.max_execution_time`. */
export function ledgerOf(db: Database, clock: Clock, config: Config): Ledger {
  const { jobs, queue, ranking, stock_jobs, worker } = config;
  const fetching = { maxAttempts: stock_jobs.data_fetch.max_retries + 1, backoffSeconds: stock_jobs.data_fetch.retry_backoff };
  const general = { maxAttempts: jobs.max_retries + 1, backoffSeconds: [jobs.retry_delay] };
  const within = (seconds: number): number => Math.min(seconds, worker.max_execution_time);
  const types: Record<string, TypeRules> = {
    fetch: { ...fetching, timeoutSeconds: within(jobs.timeouts.stock_fetch), mayCompleteWithErrors: false },
    batch_fetch: { ...fetching, timeoutSeconds: within(jobs.timeouts.portfolio_fetch), mayCompleteWithErrors: true },
    analysis: { ...general, timeoutSeconds: within(jobs.timeouts.stock_analysis), mayCompleteWithErrors: false },
    // It asks sources like a fetch, and a chain may lack a part that no retry brings.
    rank: { ...fetching, timeoutSeconds: within(ranking.timeout), mayCompleteWithErrors: true },
  };
  const limits = queue.priority_queues;
  const limitsOf = ({ max_jobs, ttl }: { max_jobs: number; ttl: number }) => ({ maxJobs: max_jobs, ttlSeconds: ttl });
  return {
    db,
    clock,
    queues: {
      foreground: limitsOf(limits.foreground),
      background_fetch: limitsOf(limits.background_fetch),
      background_analysis: limitsOf(limits.background_analysis),
    },
    types,
    slotsPerUser: stock_jobs.portfolio_priority.max_concurrent_per_user,
    leaseSeconds: leaseSeconds(config),
  };
}
