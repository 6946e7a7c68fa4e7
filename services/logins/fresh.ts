/**
 * How long it takes from a login to fresh data. The jobs of a login end in workers that know nothing of it, so the leading scheduler follows the newest logins until the last
 * of their jobs has ended, and writes when that was.
 */
import { idFromBytes, sortedBytes } from '../ledger/id.ts';
import { isDone, type State } from '../ledger/job.ts';
import type { Sql } from '../platform/database/database.ts';
import { keptOf } from './kept-decisions.ts';

/** Logins that begin to be followed at one look, and that are followed at once. Beyond it some are left out: the others stand for them. */
const MOST_NEW = 200;
const MOST_FOLLOWED = 1_000;
/** Jobs that are asked for at one look. */
const MOST_JOBS = 5_000;
/** A login that is written later than others of the same moment is met within so much. */
const OVERLAP_MS = 10_000;
/** What was not fresh after so long is followed no further. */
const LONGEST_MS = 3_600_000;

interface Followed {
  user: string;
  at: Date;
  open: Set<string>;
  last: Date;
}

export interface FreshLogins {
  /** Looks once. Seconds from the login to its fresh data, of the logins that became fresh since the look before. */
  look(sql: Sql, now: Date): Promise<number[]>;
}

export function followLogins(): FreshLogins {
  const followed = new Map<string, Followed>();
  /** Logins that were met within the overlap, so that none is followed again. */
  const met = new Map<string, number>();
  let from: Date | undefined;

  async function meet(sql: Sql, now: Date): Promise<void> {
    const since = from ?? new Date(now.getTime() - OVERLAP_MS);
    // ix_at
    const rows = await sql.rows<{ user_id: string; at: Date; decisions: unknown }>(
      `SELECT user_id, at, decisions FROM user_portfolio_priority FORCE INDEX (ix_at)
        WHERE at > ? AND queued > 0 AND fresh_at IS NULL ORDER BY at LIMIT ?`,
      [since, MOST_NEW],
    );
    for (const { user_id: user, at, decisions } of rows) {
      const key = `${at.getTime()} ${user}`;
      if (met.has(key) || followed.size >= MOST_FOLLOWED) continue;
      met.set(key, at.getTime());
      const ids = keptOf(decisions).flatMap(({ fetch, analysis }) => [fetch?.id ?? [], analysis?.id ?? []].flat());
      if (ids.length > 0) followed.set(key, { user, at, open: new Set(ids), last: at });
    }
    // A full page may have more behind it; those that come faster than they are looked at are left out.
    const newest = rows.at(-1)?.at;
    const isFull = rows.length === MOST_NEW && newest !== undefined && newest.getTime() > now.getTime() - OVERLAP_MS * 6;
    from = isFull ? newest : new Date(Math.max(since.getTime(), now.getTime() - OVERLAP_MS));
    for (const [key, atMs] of met) if (atMs <= from.getTime() && !followed.has(key)) met.delete(key);
  }

  /** By primary key. */
  async function ended(sql: Sql): Promise<Map<string, { state: State; ended_at: Date | null }>> {
    const ids = [...new Set([...followed.values()].flatMap(({ open }) => [...open]))].slice(0, MOST_JOBS);
    if (ids.length === 0) return new Map();
    const rows = await sql.rows<{ id: Buffer; state: State; ended_at: Date | null }>(
      'SELECT job_id AS id, state, ended_at FROM ended WHERE job_id IN (?)',
      [sortedBytes(ids)],
    );
    return new Map(rows.map(({ id, ...row }) => [idFromBytes(id), row]));
  }

  return {
    async look(sql, now) {
      await meet(sql, now);
      const ends = await ended(sql);
      const fresh = new Map<string, Followed>();
      for (const [key, login] of followed) {
        for (const id of login.open) {
          const end = ends.get(id);
          if (end === undefined) continue;
          login.open.delete(id);
          if (!isDone(end.state)) followed.delete(key);
          else if (end.ended_at !== null && end.ended_at > login.last) login.last = end.ended_at;
        }
        if (login.open.size === 0 && followed.has(key)) fresh.set(key, login);
        else if (now.getTime() - login.at.getTime() > LONGEST_MS) followed.delete(key);
      }
      await write(sql, [...fresh.values()]);
      // Not before it is written: what the database refused is written at the next look.
      for (const key of fresh.keys()) followed.delete(key);
      return Array.from(fresh.values(), ({ at, last }) => Math.max(0, (last.getTime() - at.getTime()) / 1000));
    },
  };
}

/** A statement for a hundred logins: the server looks through a CASE from its beginning for every row. */
async function write(sql: Sql, fresh: readonly Followed[]): Promise<void> {
  for (let start = 0; start < fresh.length; start += 100) {
    const some = fresh.slice(start, start + 100);
    await sql.run(
      `UPDATE user_portfolio_priority SET fresh_at = CASE ${some.map(() => 'WHEN user_id = ? AND at = ? THEN ?').join(' ')} END
        WHERE ${some.map(() => '(user_id = ? AND at = ?)').join(' OR ')}`,
      [...some.flatMap(({ user, at, last }) => [user, at, last]), ...some.flatMap(({ user, at }) => [user, at])],
    );
  }
}
