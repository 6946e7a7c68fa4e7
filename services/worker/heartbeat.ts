/** Renews the leases of the running jobs, and stops those that are no longer ours: cancelled, or taken back after a lost lease. */
import type { Ledger } from '../ledger/job.ts';
import { heartbeat } from '../ledger/run/heartbeat.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { type RunningJobs, Stopped } from './running-jobs.ts';

export interface HeartbeatOptions {
  jobs: RunningJobs;
  ledger: Ledger;
  workerId: string;
  log: Logger;
}

/** Renews every sixth of the lease, so several beats may fail before a lease ends. Returns the function that stops it. */
export function startHeartbeat(options: HeartbeatOptions): () => void {
  let renewing = false;
  let failures = 0;
  const timer = setInterval(
    async () => {
      // A database that is slow to answer gets one request at a time.
      if (renewing) return;
      renewing = true;
      try {
        await renew(options);
        failures = 0;
      } catch (error) {
        // Once an outage.
        if (failures++ === 0) options.log.warn({ code: codeOf(error) }, `could not renew the leases, trying again: ${messageOf(error)}`);
      }
      renewing = false;
    },
    (options.ledger.leaseSeconds * 1000) / 6,
  );
  return () => clearInterval(timer);
}

async function renew({ jobs: { claimed }, ledger, workerId }: HeartbeatOptions): Promise<void> {
  const lost = new Set(
    await heartbeat(
      ledger,
      workerId,
      [...claimed].map(({ job }) => job),
    ),
  );
  for (const { job, abort } of claimed)
    if (lost.has(job)) abort.abort(new Stopped('job.lease_lost', 'the job was cancelled, or its lease was lost'));
}
