/** The states of a job, each once: what the ledger's column holds and `jobs/{id}/status` says. */
export const LIVE_STATES = ['scheduled', 'blocked', 'ready', 'running'] as const;
/** How a job ends. */
export const END_STATES = ['completed', 'completed_with_errors', 'failed', 'cancelled', 'expired'] as const;
/** How a job ends whose dependents may run: its work is done, perhaps not all of it. */
export const DONE_STATES = ['completed', 'completed_with_errors'] as const satisfies (typeof END_STATES)[number][];
export const JOB_STATES = [...LIVE_STATES, ...END_STATES] as const;
/** The states from which `redrive` starts jobs again. */
export const REDRIVABLE_STATES = [
  'failed',
  'expired',
  'cancelled',
  'completed_with_errors',
] as const satisfies (typeof END_STATES)[number][];
