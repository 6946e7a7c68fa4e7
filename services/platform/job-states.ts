/** The states of a job: what the ledger's column holds and `jobs/{id}/status` says. */
export const JOB_STATES = [
  'scheduled',
  'blocked',
  'ready',
  'running',
  'completed',
  'completed_with_errors',
  'failed',
  'cancelled',
  'expired',
] as const;
