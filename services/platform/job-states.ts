/** The states of a job, as stored in the ledger and published on `jobs/{id}/status`. */
export const LIVE_STATES = ['scheduled', 'blocked', 'ready', 'running'] as const;
/** The states in which a job has ended. */
export const END_STATES = ['completed', 'completed_with_errors', 'failed', 'cancelled', 'expired'] as const;
/** The end states after which dependents may run: the job's work is done, perhaps not all of it. */
export const DONE_STATES = ['completed', 'completed_with_errors'] as const satisfies (typeof END_STATES)[number][];
export const JOB_STATES = [...LIVE_STATES, ...END_STATES] as const;
/** The states from which `redrive` starts jobs again. */
export const REDRIVABLE_STATES = [
  'failed',
  'expired',
  'cancelled',
  'completed_with_errors',
] as const satisfies (typeof END_STATES)[number][];

/** States of the items of a job that a retry of the job makes pending again. */
export const RETRYABLE_ITEM_STATES = ['failed', 'not_entitled', 'not_yet'] as const;
