/** Which jobs a caller may see. */
import { type JobDetail, readJob } from '../../ledger/read/jobs.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { type Caller, mayFor } from './access.ts';

/**
 * The job as this caller may see it. A key of a user sees the jobs that this user waits for, without their other subscribers. Errors: `InputError('job.unknown')`,
 * also for a job that exists but that the caller may not see.
 */
export async function visibleJob(db: Sql, caller: Caller, id: string): Promise<JobDetail> {
  const job = await readJob(db, id);
  const seesAll = mayFor(caller, 'read', undefined);
  const subscribers = job?.subscribers.filter((user) => seesAll || mayFor(caller, 'read', user)) ?? [];
  if (job === undefined || !(seesAll || subscribers.length > 0))
    throw new InputError('job.unknown', `there is no job ${id}; ended jobs are deleted after jobs.cleanup_after_days`);
  return { ...job, subscribers };
}
