/** The stored profiles of users. */
import { fromJson, type Sql, toJson } from '../../platform/database/database.ts';
import { type Profile, ProfileSchema } from '../profile.ts';

/** The profile of a user, with the defaults where none is stored. `changedAt`: null for those. */
export async function readProfile(sql: Sql, user: string): Promise<{ profile: Profile; changedAt: Date | null }> {
  const [row] = await sql.rows<{ profile: unknown; changed_at: Date }>('SELECT profile, changed_at FROM profiles WHERE user_id = ?', [
    user,
  ]);
  return { profile: ProfileSchema.parse(row === undefined ? {} : fromJson(row.profile)), changedAt: row?.changed_at ?? null };
}

/** Replaces the profile of a user. */
export async function storeProfile(sql: Sql, user: string, profile: Profile, now: Date): Promise<void> {
  await sql.run(
    'INSERT INTO profiles (user_id, profile, changed_at) VALUES (?) ON DUPLICATE KEY UPDATE profile = VALUES(profile), changed_at = VALUES(changed_at)',
    [[user, toJson(profile), now]],
  );
}

/** Everybody who gets a weekly report: who has a profile, holds or watches something, or has signed in. Sorted. */
export async function usersOfPicks(sql: Sql): Promise<string[]> {
  const rows = await sql.rows<{ user_id: string }>(
    'SELECT user_id FROM profiles UNION SELECT user_id FROM (SELECT user_id FROM holdings GROUP BY user_id) AS held UNION SELECT user_id FROM logins ORDER BY user_id',
  );
  return rows.map(({ user_id }) => user_id);
}

/** A page of them, behind a name. By the primary keys. */
export async function pageOfPicksUsers(sql: Sql, behind: string, most: number): Promise<string[]> {
  const rows = await sql.rows<{ user_id: string }>(
    `(SELECT user_id FROM profiles WHERE user_id > ? ORDER BY user_id LIMIT ?)
      UNION (SELECT DISTINCT user_id FROM holdings WHERE user_id > ? ORDER BY user_id LIMIT ?)
      UNION (SELECT user_id FROM logins WHERE user_id > ? ORDER BY user_id LIMIT ?) ORDER BY user_id LIMIT ?`,
    [behind, most, behind, most, behind, most, most],
  );
  return rows.map(({ user_id }) => user_id);
}
