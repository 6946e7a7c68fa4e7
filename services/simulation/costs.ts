/**
 * Processor time that each step takes in all processes together: portfolio-priority, worker, database, broker. Measured by `npm run simulate:check -- --measure`
 * (docs/sizing.md says on which machine); times grow to twice these beside other load.
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
  batchMs: 3.5,
  loginMs: 0.6,
  symbolMs: 0.02,
  requestMs: 0.03,
  claimMs: 2.5,
  commitMs: 2.5,
  fetchMs: 2.5,
  analysisMs: 2,
  idleMsPerSecond: 34,
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
  fetchJob: 1_500,
  analysisJob: 1_500,
  answer: 2_000,
  bar: 120,
  symbol: 2_000,
  holding: 100,
  user: 500,
};
