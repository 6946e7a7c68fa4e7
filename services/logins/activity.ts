/** How active each user is, and at which hours. Written with each login, read by the score and by the predictive fetch. */

import { fromJson, type Sql, type Transaction } from '../platform/database/database.ts';
import { decay } from './score.ts';

/** A valid login event. */
export interface Login {
  user: string;
  /** When, in epoch milliseconds. */
  atMs: number;
  /** True when the event named its time. Without a plausible time of its own a login counts from its arrival. */
  timed: boolean;
  /** Who has sent it, where that is known. */
  source?: string | undefined;
  /** The context of its span, when it is traced. */
  trace?: string | undefined;
}

/** The days with a login in each of the 24 hours (UTC); days since 1970-01-01, ascending. */
export type Hours = readonly (readonly number[])[];

export interface Activity {
  /** Logins, decayed to `lastMs`. */
  logins: number;
  lastMs: number;
  hours: Hours;
}

export interface ActivityRules {
  halfLifeDays: number;
  lookbackDays: number;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Within this time a second event without a time of its own is the same login: delivered twice, or to two instances. */
const SAME_LOGIN_MS = 60_000;

/**
 * The activity after a login. A login that is not newer than the last one changes nothing (undefined), so an event that is delivered again counts once.
 */
export function countLogin(
  before: Activity | undefined,
  { atMs, timed }: Login,
  { halfLifeDays, lookbackDays }: ActivityRules,
): Activity | undefined {
  if (before !== undefined && atMs <= before.lastMs + (timed ? 0 : SAME_LOGIN_MS)) return undefined;
  const day = Math.floor(atMs / DAY_MS);
  const hour = Math.floor((atMs % DAY_MS) / HOUR_MS);
  const hours = Array.from({ length: 24 }, (_, index) => {
    const kept = (before?.hours[index] ?? []).filter((past) => past > day - lookbackDays);
    return index === hour && kept.at(-1) !== day ? [...kept, day] : kept;
  });
  const logins = before === undefined ? 0 : decay(before.logins, before.lastMs, atMs, halfLifeDays);
  return { logins: logins + 1, lastMs: atMs, hours };
}

/**
 * The hour (0-23, UTC) at which a user usually signs in: where the two hours from it on hold the most days with a login within `lookbackDays`, if these are at
 * least `minLogins`; the earliest of equals. Two hours, because a habit of 14:00 is some days a minute early.
 */
export function usualHour(
  hours: Hours,
  nowMs: number,
  { lookbackDays, minLogins }: { lookbackDays: number; minLogins: number },
): number | undefined {
  const since = Math.floor(nowMs / DAY_MS) - lookbackDays;
  const counts = Array.from({ length: 24 }, (_, hour) => (hours[hour] ?? []).filter((day) => day > since).length);
  let best: number | undefined;
  let most = minLogins - 1;
  for (const [hour, count] of counts.entries()) {
    const near = count + counts[(hour + 1) % 24]!;
    if (count === 0 || near <= most) continue;
    best = hour;
    most = near;
  }
  return best;
}

/** The activity of users, locked until the transaction ends. Users who have never signed in are absent. */
export async function lockActivity(tx: Transaction, users: readonly string[]): Promise<Map<string, Activity>> {
  const rows = await tx.rows<{ user_id: string; activity: number; last_login_at: Date; hours: unknown }>(
    'SELECT user_id, activity, last_login_at, hours FROM logins WHERE user_id IN (?) ORDER BY user_id FOR UPDATE',
    [users],
  );
  return new Map(rows.map((row) => [row.user_id, activityOf(row)]));
}

export interface ActivityRow {
  activity: number;
  last_login_at: Date;
  hours: unknown;
}

export function activityOf({ activity, last_login_at, hours }: ActivityRow): Activity {
  return { logins: activity, lastMs: last_login_at.getTime(), hours: fromJson(hours) as Hours };
}

/** Writes the activity of users whose rows are locked or do not exist yet. Errors: 1062 when another transaction makes the same row. */
export async function saveActivity(sql: Sql, changed: ReadonlyMap<string, Activity>, known: ReadonlyMap<string, unknown>): Promise<void> {
  const row = ([user, { logins, lastMs, hours }]: [string, Activity]) => [user, logins, new Date(lastMs), JSON.stringify(hours)];
  const sorted = [...changed].sort(([a], [b]) => (a < b ? -1 : 1));
  const made = sorted.filter(([user]) => !known.has(user));
  const moved = sorted.filter(([user]) => known.has(user));
  if (made.length > 0) await sql.run('INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES ?', [made.map(row)]);
  if (moved.length > 0)
    await sql.run(
      `INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES ?
       ON DUPLICATE KEY UPDATE activity = VALUES(activity), last_login_at = VALUES(last_login_at), hours = VALUES(hours)`,
      [moved.map(row)],
    );
}
