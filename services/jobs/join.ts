/** The half of enqueueing that meets work which is there already: found by its dedupe key, locked, joined, made more urgent. */
import type { Transaction } from '../platform/database.ts';
import type { Group, Need } from './enqueue.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import { LIVE_STATES, levelOf, type Queue, queueOfLevel, type State, scoreOf } from './job.ts';

export interface LiveJob {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  priority: number;
  blockedOn: 'slot' | 'dependency' | null;
  enqueuedAt: Date;
}

interface Row {
  id: Buffer;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  priority: number;
  blocked_on: 'slot' | 'dependency' | null;
  dedupe_key: string;
  enqueued_at: Date;
}

/** The live job of each key that the groups name, locked so that none can end before it was joined. */
export async function lockLive(tx: Transaction, groups: readonly Group[]): Promise<Map<string, LiveJob>> {
  const keys = new Set<string>();
  for (const group of groups) {
    if (group.key !== undefined) keys.add(group.key);
    for (const key of group.after) keys.add(key);
  }
  if (keys.size === 0) return new Map();
  // Two steps: locking through ux_active would take its entry before the row, the reverse of what an ending job does, and that is a deadlock.
  const found = await tx.rows<{ id: Buffer }>('SELECT id FROM jobs FORCE INDEX (ux_active) WHERE active_key IN (?)', [[...keys].sort()]);
  if (found.length === 0) return new Map();
  const rows = await tx.rows<Row>(
    'SELECT id, type, symbol, state, queue, priority, blocked_on, dedupe_key, enqueued_at FROM jobs WHERE id IN (?) AND state IN (?) ORDER BY id FOR UPDATE',
    [found.map(({ id }) => id).sort(Buffer.compare), LIVE_STATES],
  );
  return new Map(rows.map((row) => [row.dedupe_key, liveJob(row)]));
}

/** Requests whose key has a dedupe window that is still open get the completed job that stands for it. */
export async function joinCompleted(tx: Transaction, groups: readonly Group[], now: Date): Promise<void> {
  const windowed = new Map(groups.flatMap((group) => (group.key !== undefined && group.best.dedupeWindowSeconds !== undefined ? [[group.key, group]] : [])));
  if (windowed.size === 0) return;
  const rows = await tx.rows<Row>(
    `SELECT j.id, j.type, j.symbol, j.state, j.queue, j.priority, j.blocked_on, w.dedupe_key, j.enqueued_at
       FROM dedupe_windows w JOIN jobs j ON j.id = w.job_id
      WHERE w.dedupe_key IN (?) AND w.until > ? AND j.state IN ('completed', 'completed_with_errors')`,
    [[...windowed.keys()].sort(), now],
  );
  for (const row of rows) answerJoined(windowed.get(row.dedupe_key) as Group, liveJob(row));
}

/**
 * Joins live jobs: each becomes as urgent as the most urgent request for it, waits for dependencies that it did not have, and stops waiting for a slot, since
 * a new subscriber may have one. A running job is only subscribed to. Returns the new dependencies.
 */
export async function joinLive(tx: Transaction, joined: readonly { group: Group; row: LiveJob }[], idOfKey: ReadonlyMap<string, string>): Promise<Need[]> {
  const raised: { id: string; priority: number; group: Group }[] = [];
  const needs: Need[] = [];
  const blocked: string[] = [];
  const unblocked: string[] = [];
  for (const { group, row } of joined) {
    if (row.state !== 'running') {
      if (group.priority < row.priority) {
        row.priority = group.priority;
        row.queue = queueOfLevel(levelOf(group.priority));
        raised.push({ id: row.id, priority: group.priority, group });
      }
      const needsIds = row.state === 'scheduled' ? [] : [...group.after].flatMap((key) => idOfKey.get(key) ?? []).filter((id) => id !== row.id);
      needs.push(...needsIds.map((needsId) => ({ jobId: row.id, needsId })));
      if (needsIds.length > 0) {
        if (row.blockedOn !== 'dependency') blocked.push(row.id);
        row.state = 'blocked';
      } else if (row.blockedOn === 'slot') {
        unblocked.push(row.id);
        row.state = 'ready';
      }
    }
    answerJoined(group, row);
  }
  await raise(tx, raised);
  if (blocked.length > 0) await tx.run("UPDATE jobs SET state = 'blocked', blocked_on = 'dependency' WHERE id IN (?)", [sortedBytes(blocked)]);
  if (unblocked.length > 0) await tx.run("UPDATE jobs SET state = 'ready', blocked_on = NULL WHERE id IN (?)", [sortedBytes(unblocked)]);
  if (blocked.length + unblocked.length > 0) await tx.run('DELETE FROM slot_waits WHERE job_id IN (?)', [sortedBytes([...blocked, ...unblocked])]);
  return needs;
}

/** Sets a new priority (and so queue) on each job, and the reason that goes with it. */
async function raise(tx: Transaction, raised: readonly { id: string; priority: number; group: Group }[]): Promise<void> {
  if (raised.length === 0) return;
  const whens = raised.map(() => 'WHEN ? THEN ?').join(' ');
  await tx.run(`UPDATE jobs SET priority = CASE id ${whens} END, queue = CASE id ${whens} END WHERE id IN (?)`, [
    ...raised.flatMap(({ id, priority }) => [idToBytes(id), priority]),
    ...raised.flatMap(({ id, priority }) => [idToBytes(id), queueOfLevel(levelOf(priority))]),
    sortedBytes(raised.map(({ id }) => id)),
  ]);
  await tx.run(
    'INSERT INTO job_details (job_id, payload, why, triggered_by) VALUES ? ON DUPLICATE KEY UPDATE why = VALUES(why), triggered_by = VALUES(triggered_by)',
    [raised.map(({ id, group: { best } }) => [idToBytes(id), JSON.stringify(best.payload), JSON.stringify(best.why), best.triggeredBy])],
  );
}

function answerJoined(group: Group, row: LiveJob): void {
  const { id, type, symbol, state, queue, priority, enqueuedAt } = row;
  group.answer = { outcome: 'joined', id, type, symbol, state, queue, level: levelOf(priority), score: scoreOf(priority), demoted: false, enqueuedAt, request: group.best };
}

function liveJob(row: Row): LiveJob {
  const { id, type, symbol, state, queue, priority } = row;
  return { id: idFromBytes(id), type, symbol, state, queue, priority, blockedOn: row.blocked_on, enqueuedAt: row.enqueued_at };
}
