/** What one round of a fault counted, in the database. */
export interface Round {
  /** Jobs, logins, or services that were told to stop. */
  sent: number;
  done: number;
  /** Neither done nor ended with a reason when the patience ended. */
  lost: number;
  /** Done twice: jobs beyond one of each symbol, or attempts beyond one of a job. */
  doubled: number;
  /** Failed, expired or taken away although nothing was wrong with them. */
  failed: number;
  /** From the fault, or from the moment at which what was away is back, until work goes on or has ended: each case says which. */
  recoverySeconds: number;
}
