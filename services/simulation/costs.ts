/**
 * Processor time that each step takes in all processes together: portfolio-priority, worker, database, broker. Fitted to the runs of `npm run simulate:check` in
 * docs/sizing.md, on two cores beside a load of 12 to 25: in bulk a quiet machine takes a third to a half of it, and where each job comes alone up to twice as much.
 */
export interface Costs {
  /** Milliseconds of one core. A transaction of logins, whatever its size. */
  batchMs: number;
  /** A login: its message, its answer, the activity of its user. */
  loginMs: number;
  /** A symbol of a login: reading and judging it. */
  symbolMs: number;
  /** A request for a job: its score, its subscription, joining. */
  requestMs: number;
  /** A transaction in which workers take jobs, and one in which jobs end, however many. */
  claimMs: number;
  commitMs: number;
  /** A job from its insert to its end, with the rows that it writes and its messages. */
  fetchMs: number;
  analysisMs: number;
  /** Of all processes, in a second without work. */
  idleMsPerSecond: number;
}

export const MEASURED_COSTS: Costs = {
  batchMs: 5.5,
  loginMs: 1,
  symbolMs: 0.03,
  requestMs: 0.05,
  claimMs: 4,
  commitMs: 4,
  fetchMs: 4,
  analysisMs: 3.2,
  idleMsPerSecond: 36,
};

/** Bytes of the database, indexes included, by what makes them. Measured by the same command. */
export interface StoredBytes {
  /** An ended job with all its rows: job, end, attempt, subscribers. */
  fetchJob: number;
  analysisJob: number;
  /** What was decided for a login. */
  answer: number;
  /** A daily bar. */
  bar: number;
  /** State, analysis and actions of a symbol. */
  symbol: number;
  holding: number;
  /** The activity and the slots of a user. */
  user: number;
}

export const MEASURED_BYTES: StoredBytes = {
  fetchJob: 2_070,
  analysisJob: 2_240,
  answer: 5_750,
  bar: 118,
  symbol: 3_800,
  holding: 152,
  user: 430,
};
