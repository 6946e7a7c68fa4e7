import type { Sql } from '../../platform/database/database.ts';
import { idFromBytes, sortedBytes } from '../id.ts';
import { partsAmong } from '../parts.ts';

export interface Asked {
  /** The users who wait for it. None for a part of another job, whose end tells of it. */
  users: string[];
  isPart: boolean;
}

/** Who is to be told of jobs, by id; without those that were deleted. By primary key. */
export async function readAsked(sql: Sql, ids: readonly string[]): Promise<Map<string, Asked>> {
  if (ids.length === 0) return new Map();
  const keys = sortedBytes(ids);
  const jobs = await sql.rows<{ id: Buffer; user_id: string | null }>(
    'SELECT id, user_id FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?)',
    [keys],
  );
  const others = await sql.rows<{ job_id: Buffer; user_id: string }>(
    'SELECT job_id, user_id FROM job_subscribers FORCE INDEX (PRIMARY) WHERE job_id IN (?)',
    [keys],
  );
  const parts = await partsAmong(sql, keys);
  const othersOf = Map.groupBy(others, ({ job_id }) => idFromBytes(job_id));
  return new Map(
    jobs.map(({ id: key, user_id }) => {
      const id = idFromBytes(key);
      const users = new Set([...(user_id === null ? [] : [user_id]), ...(othersOf.get(id) ?? []).map((other) => other.user_id)]);
      const isPart = parts.has(id);
      return [id, { users: isPart ? [] : [...users], isPart }];
    }),
  );
}
