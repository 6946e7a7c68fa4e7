/**
 * Leader election: one row of `leases` a name, held by the process that renews it. Two processes may both believe for a moment that they lead (after a pause longer
 * than the lease), so everything that a leader does must be harmless when done twice.
 */

import type { Sql } from '../database/database.ts';

/**
 * Takes or renews a lease for `seconds` from `now`: true when `holder` has it afterwards. It can be taken when it is free, when it has run out, and by its
 * own holder. Without `mayTakeOver` one that has run out is left to its holder. Errors: those of the database; whether the lease was taken is then unknown, and asking again is safe.
 */
export async function tryLead(
  db: Sql,
  name: string,
  holder: string,
  seconds: number,
  now: Date,
  { mayTakeOver = true }: { mayTakeOver?: boolean } = {},
): Promise<boolean> {
  // Assignments run from left to right: `until` moves only when the first one has made us the holder.
  await db.run(
    `INSERT INTO leases (name, holder, until) VALUES (?, ?, ?)
     ON DUPLICATE KEY UPDATE holder = IF(until <= ? OR holder = VALUES(holder), VALUES(holder), holder), until = IF(holder = VALUES(holder), VALUES(until), until)`,
    [name, holder, new Date(now.getTime() + seconds * 1000), mayTakeOver ? now : new Date(0)],
  );
  const [held] = await db.rows('SELECT holder FROM leases WHERE name = ? AND holder = ?', [name, holder]);
  return held !== undefined;
}

/** Ends the lease of `holder`, its own or that of a process that is known to be gone: the next `tryLead` succeeds. Nothing happens when another process holds it. */
export async function resign(db: Sql, name: string, holder: string): Promise<void> {
  await db.run('DELETE FROM leases WHERE name = ? AND holder = ?', [name, holder]);
}
