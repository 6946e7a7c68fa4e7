/** What a worker and the process that runs its isolated jobs say to each other. Both run the same build, so nothing is checked. */
import type { Change } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import type { Config } from '../platform/config/load.ts';
import type { DatabaseOptions } from '../platform/database/database.ts';
import type { Draft } from '../platform/messages.ts';

/** Dates travel as numbers. */
export type SentJob = Omit<ClaimedJob, 'enqueuedAt' | 'startedAt'> & { enqueuedAt: number; startedAt: number };

export type ToProcess =
  | { kind: 'start'; config: Config; database: DatabaseOptions; workerId: string }
  /** `now`: the ledger's time in epoch milliseconds, which the process follows. */
  | { kind: 'run'; job: SentJob; now: number }
  | { kind: 'stop'; id: string; code: string; message: string };

export type FromProcess =
  | { kind: 'ready' }
  /** From here on the job is the only one that runs in the process. */
  | { kind: 'running'; id: string }
  | { kind: 'committed'; changes: readonly Change[]; dataMessages: readonly Draft<'data'>[] }
  | { kind: 'progress' }
  | { kind: 'ended'; id: string };

export function sentJob({ enqueuedAt, startedAt, ...job }: ClaimedJob): SentJob {
  return { ...job, enqueuedAt: enqueuedAt.getTime(), startedAt: startedAt.getTime() };
}

export function receivedJob({ enqueuedAt, startedAt, ...job }: SentJob): ClaimedJob {
  return { ...job, enqueuedAt: new Date(enqueuedAt), startedAt: new Date(startedAt) };
}
