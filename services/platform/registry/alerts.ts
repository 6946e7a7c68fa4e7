/** The table of alerts: one row a name, with its present state. */
import type { Transaction } from '../database/database.ts';
import { type Severity, tell } from '../outbox.ts';

export interface Alert {
  name: string;
  state: 'raised' | 'cleared';
  value: number;
  threshold: number;
  since: Date;
  text: string;
}

/** Characters of a text that the table holds. */
export const LONGEST_TEXT = 500;
/** The one alert that no scheduler can raise: a notifier does. */
export const NO_LEADER = 'no_leader';

/** Commits a state. With a severity it is written to the outbox too. */
export async function writeAlert(tx: Transaction, alert: Alert, now: Date, severity: Severity | undefined): Promise<void> {
  const { name, state, value, threshold, since, text } = alert;
  // Before its event: the notifier locks this row to see whether the alert lasts.
  await tx.run(
    `INSERT INTO alerts (name, state, value, threshold, since, text) VALUES (?)
     ON DUPLICATE KEY UPDATE state = VALUES(state), value = VALUES(value), threshold = VALUES(threshold), since = VALUES(since), text = VALUES(text)`,
    [[name, state, value, threshold, since, text]],
  );
  if (severity === undefined) return;
  tell(tx, [
    { name: `alert.${state}`, severity, subject: `alert:${name}`, details: { alert: name, value, threshold, since, text }, at: now },
  ]);
}
