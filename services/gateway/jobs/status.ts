/** A job in the terms of clients: its state, and how far it is. */
import type { State } from '../../ledger/job.ts';
import type { JobDetail } from '../../ledger/read/jobs.ts';

export interface JobStatus {
  job_id: string;
  status: State;
  progress: {
    completed: number;
    skipped: number;
    no_data: number;
    failed: number;
    not_entitled: number;
    not_yet: number;
    total: number;
    /** 0-100, with one decimal. */
    percentage: number;
  };
  eta_seconds: number | null;
  created_at: Date;
  updated_at: Date;
  error_message: string | null;
}

type Job = Pick<JobDetail, 'id' | 'state' | 'items' | 'enqueued_at' | 'updated_at' | 'ended_at' | 'reason'>;

/** A job without items is one item. `etaSeconds`: until it is done, by what was measured. */
export function jobStatus(job: Job, etaSeconds: number | null): JobStatus {
  const { done, skipped, no_data, failed, not_entitled, not_yet, total } = job.items;
  const alone = job.items.total === 0;
  const ended = job.ended_at !== null;
  const completed = alone ? Number(job.state === 'completed') : done;
  const broken = alone ? Number(ended && job.state !== 'completed') : failed;
  const all = alone ? 1 : total;
  return {
    job_id: job.id,
    status: job.state,
    progress: {
      completed,
      skipped,
      no_data,
      failed: broken,
      not_entitled,
      not_yet,
      total: all,
      percentage: Number(((100 * (completed + skipped + no_data + broken + not_entitled + not_yet)) / all).toFixed(1)),
    },
    eta_seconds: etaSeconds,
    created_at: job.enqueued_at,
    updated_at: job.updated_at,
    error_message: job.reason,
  };
}
