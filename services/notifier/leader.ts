/** Tells that no scheduler leads. All other alerts are the leader's to raise; of its own absence somebody else must tell. */
import { after } from '../ledger/job.ts';
import type { Config } from '../platform/config/load.ts';
import type { Database, Sql } from '../platform/database/database.ts';
import { type Alert, NO_LEADER, writeAlert } from '../platform/registry/alerts.ts';

/** Looks at the lease of the schedulers. Any number of notifiers may look: the row of the alert is locked, so one of them raises it and one clears it. */
export function watchLeader(db: Database, { monitoring }: Pick<Config, 'monitoring'>): (now: Date) => Promise<void> {
  const { max_leaderless } = monitoring.thresholds;
  /** A lease that was given up leaves no row, so nobody else knows since when there is none. */
  let missingSince: Date | undefined;

  return async (now) => {
    if (!monitoring.enabled) return;
    const [lease] = await db.rows<{ until: Date }>("SELECT until FROM leases WHERE name = 'scheduler'");
    const isLed = lease !== undefined && lease.until > now;
    if (isLed) missingSince = undefined;
    else if (lease !== undefined && (missingSince === undefined || lease.until > missingSince)) missingSince = lease.until;
    else missingSince ??= now;
    const seconds = missingSince === undefined ? 0 : (now.getTime() - missingSince.getTime()) / 1000;
    // Between the two the present state stays.
    if (!isLed && seconds < max_leaderless) return;
    const state = isLed ? 'cleared' : 'raised';
    if (state === (await stateOf(db))) return;
    await db.transaction(async (tx) => {
      // Of two notifiers that see it at once the second one waits here, also where the alert has no row yet.
      await tx.run(
        "INSERT INTO alerts (name, state, value, threshold, since, text) VALUES (?, 'cleared', 0, ?, ?, '') ON DUPLICATE KEY UPDATE name = VALUES(name)",
        [NO_LEADER, max_leaderless, now],
      );
      if (state === (await stateOf(tx, 'FOR UPDATE'))) return;
      const text = isLed
        ? `a scheduler leads again; the limit is ${max_leaderless} s without one (monitoring.thresholds.max_leaderless)`
        : `no scheduler has led for ${Math.round(seconds)} s, since ${after(now, -seconds).toISOString()}; the limit is ${max_leaderless} s (monitoring.thresholds.max_leaderless)`;
      await writeAlert(tx, { name: NO_LEADER, state, value: seconds, threshold: max_leaderless, since: now, text }, now, 'critical');
    });
  };
}

async function stateOf(sql: Sql, locked: '' | 'FOR UPDATE' = ''): Promise<Alert['state']> {
  const [row] = await sql.rows<Pick<Alert, 'state'>>(`SELECT state FROM alerts WHERE name = ? ${locked}`, [NO_LEADER]);
  return row?.state ?? 'cleared';
}
