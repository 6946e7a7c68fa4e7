/** What new jobs need, and what they are made of: their dependencies, parts and items. */
import type { Transaction } from '../../platform/database/database.ts';
import { idToBytes, sortedBytes } from '../id.ts';
import type { Accepted, Group } from './enqueue.ts';
import type { LiveJob } from './join.ts';

export interface Need {
  jobId: string;
  needsId: string;
  isPart: boolean;
}

/** Of the new jobs. */
export function needsOfNew(accepted: readonly Accepted[], idOfKey: ReadonlyMap<string, string>): Need[] {
  return accepted.flatMap(({ group, id: jobId }) =>
    [...group.after].flatMap((key) => {
      const needsId = idOfKey.get(key);
      return needsId === undefined || needsId === jobId ? [] : [{ jobId, needsId, isPart: group.parts.has(key) }];
    }),
  );
}

/** A job whose dependency or part was refused in the same call is refused as well: it would run without it. The parts of a refused job are refused with it: nobody else wants them. */
export function withoutNeedsRefused(accepted: readonly Accepted[], refusedGroups: readonly Group[]): Accepted[] {
  const refused = new Map(
    refusedGroups.flatMap(({ key, answer }) => (key !== undefined && answer?.outcome === 'refused' ? [[key, answer.reason]] : [])),
  );
  const partsRefused = new Set(refusedGroups.flatMap(({ parts, answer }) => (answer?.outcome === 'refused' ? [...parts] : [])));
  let left = [...accepted];
  for (let found = refused.size > 0 || partsRefused.size > 0; found; ) {
    const before = left.length;
    left = left.filter(({ group }) => {
      const need = [...group.after].find((key) => refused.has(key));
      const isPartOfRefused = group.key !== undefined && partsRefused.has(group.key);
      if (need === undefined && !isPartOfRefused) return true;
      const reason =
        need === undefined ? 'it is a part of a job that was refused' : `needs ${need}, which was refused: ${refused.get(need)}`;
      group.answer = { outcome: 'refused', code: 'queue.full', reason };
      if (group.key !== undefined) refused.set(group.key, reason);
      for (const part of group.parts) partsRefused.add(part);
      return false;
    });
    found = left.length < before;
  }
  return left;
}

/**
 * Parts that have ended, of live jobs that are only joined: their job has them already, and is the answer. Without this a download that is asked for twice would do its
 * finished parts again.
 */
export function endedPartsOf(joined: Iterable<Group>, groups: readonly Group[], live: ReadonlyMap<string, LiveJob>): Map<Group, Group> {
  const jobOf = new Map([...joined].flatMap((group) => [...group.parts].map((key): [string, Group] => [key, group])));
  if (jobOf.size === 0) return new Map();
  return new Map(
    groups.flatMap((group): [Group, Group][] => {
      const job = group.key === undefined || live.has(group.key) ? undefined : jobOf.get(group.key);
      return job === undefined ? [] : [[group, job]];
    }),
  );
}

/** New jobs are inserted with `has_dependents` when a job of the same call depends on them; older jobs get the flag here. */
export function insertDependencies(tx: Transaction, needs: readonly Need[], live: Iterable<LiveJob>): void {
  if (needs.length === 0) return;
  tx.later('INSERT IGNORE INTO job_dependencies (job_id, needs_id, is_part) VALUES ?', [
    needs.map(({ jobId, needsId, isPart }) => [idToBytes(jobId), idToBytes(needsId), isPart ? 1 : 0]),
  ]);
  const needed = new Set(needs.map(({ needsId }) => needsId));
  const unaware = [...live].flatMap(({ id, has_dependents }) => (needed.has(id) && has_dependents === 0 ? [id] : []));
  if (unaware.length === 0) return;
  const ids = sortedBytes(unaware);
  tx.later('UPDATE jobs FORCE INDEX (PRIMARY) SET has_dependents = 1 WHERE id IN (?)', [ids]);
  tx.later('UPDATE running FORCE INDEX (PRIMARY) SET has_dependents = 1 WHERE job_id IN (?)', [ids]);
}

/** Item rows of one statement, some 100 bytes each. */
const ITEMS_AT_ONCE = 5_000;

export function insertItems(tx: Transaction, accepted: readonly Accepted[], now: Date): void {
  const rows = accepted.flatMap(({ group: { best }, id }) => {
    const key = best.items === undefined ? undefined : idToBytes(id);
    return best.items?.map((item) => [key, item, now]) ?? [];
  });
  for (let start = 0; start < rows.length; start += ITEMS_AT_ONCE)
    tx.later('INSERT INTO job_items (job_id, item_key, updated_at) VALUES ?', [rows.slice(start, start + ITEMS_AT_ONCE)]);
}
