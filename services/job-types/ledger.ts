import type { Ledger, TypeRules } from '../ledger/job.ts';
import type { Clock } from '../platform/clock.ts';
import { type Config, leaseSeconds } from '../platform/config/load.ts';
import type { Database } from '../platform/database/database.ts';
import { JOB_TYPES } from './index.ts';
import type { JobType } from './job-type.ts';

/** The ledger with the rules of this deployment. It takes jobs of the listed types only: for any other type `rulesOf` throws. */
export function ledgerOf(db: Database, clock: Clock, config: Config, types: readonly JobType[] = JOB_TYPES): Ledger {
  return { db, clock, ...ledgerRules(config, types) };
}

/** What a ledger goes by beside its database and its clock. */
export function ledgerRules(config: Config, types: readonly JobType[] = JOB_TYPES): Omit<Ledger, 'db' | 'clock'> {
  const { foreground, background_fetch, background_analysis } = config.queue.priority_queues;
  const limitsOf = ({ max_jobs, ttl }: { max_jobs: number; ttl: number }) => ({ maxJobs: max_jobs, ttlSeconds: ttl });
  return {
    queues: {
      foreground: limitsOf(foreground),
      background_fetch: limitsOf(background_fetch),
      background_analysis: limitsOf(background_analysis),
    },
    loginReserve: config.queue.login_reserve,
    types: Object.fromEntries(types.map((type) => [type.name, rulesFor(type, config)])),
    slotsPerUser: config.stock_jobs.portfolio_priority.max_concurrent_per_user,
    leaseSeconds: leaseSeconds(config),
    tells: wantedEnds(config, types),
  };
}

/** The ends that a route of the configuration wants; undefined where none does. */
function wantedEnds({ notify: { routes } }: Config, types: readonly JobType[]): Ledger['tells'] {
  const wanted = new Set<string>(routes.flatMap(({ on }) => on));
  const ended = types.flatMap(({ name, endEvent }) => (endEvent !== undefined && wanted.has(endEvent) ? [[name, endEvent] as const] : []));
  const failed = wanted.has('job.failed');
  return failed || ended.length > 0 ? { failed, ended: new Map(ended) } : undefined;
}

function rulesFor(
  {
    retries,
    timeLimit,
    waitsSeconds,
    capability,
    mostPerWorker,
    takesNoSlot,
    mayCompleteWithErrors,
    needsMayFail,
    measuresSource,
  }: JobType,
  config: Config,
): TypeRules {
  const { jobs, stock_jobs, worker } = config;
  const { maxRetries, backoffSeconds } =
    typeof retries === 'object'
      ? { maxRetries: retries.most, backoffSeconds: retries.delaysSeconds }
      : retries === 'sources'
        ? { maxRetries: stock_jobs.data_fetch.max_retries, backoffSeconds: stock_jobs.data_fetch.retry_backoff }
        : { maxRetries: jobs.max_retries, backoffSeconds: [jobs.retry_delay] };
  return {
    maxAttempts: maxRetries + 1,
    backoffSeconds,
    timeoutSeconds: Math.min(timeLimit?.(config) ?? Number.POSITIVE_INFINITY, worker.max_execution_time),
    ttlSeconds: waitsSeconds,
    capabilityOf: capability && ((payload) => capability(config, payload)),
    mostPerWorker: mostPerWorker?.(config),
    takesNoSlot,
    mayCompleteWithErrors,
    needsMayFail,
    measuresSource,
  };
}
