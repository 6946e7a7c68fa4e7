/** The half of enqueueing that meets work which is there already: found by its dedupe key, locked, joined, made more urgent. */
import type { Transaction } from '../platform/database.ts';
import type { Place } from './capacity.ts';
import type { Group, Need } from './enqueue.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import {
  bandStart,
  expiryOf,
  type Ledger,
  LIVE_STATES,
  levelOf,
  priorityOf,
  QUEUES,
  type Queue,
  queueOfLevel,
  type State,
  scoreOf,
} from './job.ts';
import { withLiveNeeds } from './settle.ts';
import { passSlotsOn, stopWaiting } from './slots.ts';
import { updateEach } from './update-each.ts';

export interface LiveJob {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  priority: number;
  attempt: number;
  blockedOn: 'slot' | 'dependency' | null;
  dueAt: Date;
  enqueuedAt: Date;
}

interface Row {
  id: Buffer;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  priority: number;
  attempt: number;
  blocked_on: 'slot' | 'dependency' | null;
  due_at: Date;
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
    'SELECT id, type, symbol, state, queue, priority, attempt, blocked_on, due_at, dedupe_key, enqueued_at FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state IN (?) ORDER BY id FOR UPDATE',
    [found.map(({ id }) => id).sort(Buffer.compare), LIVE_STATES],
  );
  return new Map(rows.map((row) => [row.dedupe_key, liveJob(row)]));
}

/** Requests whose key has a dedupe window that is still open get the completed job that stands for it. */
export async function joinCompleted(tx: Transaction, groups: readonly Group[], now: Date): Promise<void> {
  const windowed = new Map(groups.flatMap((group) => (group.key !== undefined && group.windowSeconds > 0 ? [[group.key, group]] : [])));
  if (windowed.size === 0) return;
  const rows = await tx.rows<Row>(
    `SELECT j.id, j.type, j.symbol, j.state, j.queue, j.priority, j.attempt, j.blocked_on, j.due_at, w.dedupe_key, j.enqueued_at
       FROM dedupe_windows w JOIN jobs j ON j.id = w.job_id
      WHERE w.dedupe_key IN (?) AND w.until > ? AND j.state IN ('completed', 'completed_with_errors')`,
    [[...windowed.keys()].sort(), now],
  );
  for (const row of rows) {
    const group = windowed.get(row.dedupe_key) as Group;
    answerJoined(group, liveJob(row), false);
  }
}

export interface Joined {
  group: Group;
  row: LiveJob;
}

/** The queues that a joined job could rise to, the one it is asked for first; none when it is asked for in its own or a lower one. */
export function queuesAbove({ group, row }: Joined): Queue[] {
  if (row.state === 'running' || group.priority >= row.priority) return [];
  const target = QUEUES.indexOf(queueOfLevel(levelOf(group.priority)));
  const above = QUEUES.slice(target, QUEUES.indexOf(row.queue));
  return group.best.whenFull === 'refuse' ? above.slice(0, 1) : above;
}

/**
 * Joins live jobs. Each becomes as urgent as the most urgent request for it (`places`: the higher queue that had room, for those with `queuesAbove`); waits for
 * dependencies that it did not have; does not wait for a slot any more, since a new subscriber may have one, nor for a start later than the one asked for, unless it
 * rests between two attempts; and may wait as long again as its queue allows, once half of that is over. A running job is only subscribed to. Returns the new dependencies.
 */
export async function joinLive(
  tx: Transaction,
  ledger: Ledger,
  joined: readonly Joined[],
  places: ReadonlyMap<string, Place>,
  idOfKey: ReadonlyMap<string, string>,
  now: Date,
): Promise<Need[]> {
  const changed: LiveJob[] = [];
  const raised: Joined[] = [];
  const needs: Need[] = [];
  const leftSlotQueue: string[] = [];
  const leavesSlot: string[] = [];
  const early = joined.filter(({ group, row }) => startsEarlier(row, group, now)).map(({ row }) => row.id);
  const notYet = new Set(await withLiveNeeds(tx, early, 'locked'));
  for (const one of joined) {
    const { group, row } = one;
    if (row.state === 'running') {
      answerJoined(group, row, false);
      continue;
    }
    const before = { ...row };
    const asked = queueOfLevel(levelOf(group.priority));
    if (group.priority < row.priority) {
      raise(row, group, places.get(row.id));
      raised.push(one);
    }
    const newNeeds = [...group.after].flatMap((key) => idOfKey.get(key) ?? []).filter((id) => id !== row.id);
    needs.push(...newNeeds.map((needsId) => ({ jobId: row.id, needsId })));
    if (startsEarlier(row, group, now)) row.state = 'ready';
    else if (row.state === 'scheduled' && row.attempt === 0 && group.startAt !== undefined && group.startAt < row.dueAt)
      row.dueAt = group.startAt;
    if (row.state !== 'scheduled') {
      if (newNeeds.length > 0 || notYet.has(row.id)) Object.assign(row, { state: 'blocked', blockedOn: 'dependency' });
      else if (row.state === 'blocked' && row.blockedOn === 'slot') Object.assign(row, { state: 'ready', blockedOn: null });
      const expiry = expiryOf(ledger, row.queue, now);
      if (
        before.state === 'scheduled' ||
        row.queue !== before.queue ||
        (row.dueAt.getTime() - now.getTime()) * 2 < expiry.getTime() - now.getTime()
      )
        row.dueAt = expiry;
    }
    if (before.blockedOn === 'slot' && row.blockedOn !== 'slot') (before.state === 'blocked' ? leftSlotQueue : leavesSlot).push(row.id);
    if ((['priority', 'queue', 'state', 'blockedOn', 'dueAt'] as const).some((field) => row[field] !== before[field])) changed.push(row);
    answerJoined(group, row, QUEUES.indexOf(row.queue) > QUEUES.indexOf(asked));
  }
  await updateEach(
    tx,
    ['priority', 'queue', 'state', 'blocked_on', 'due_at'],
    changed.map(({ id, priority, queue, state, blockedOn, dueAt }) => ({
      id: idToBytes(id),
      values: [priority, queue, state, blockedOn, dueAt],
    })),
  );
  await writeWhy(tx, raised);
  await stopWaiting(tx, sortedBytes(leftSlotQueue));
  await passSlotsOn(tx, ledger, leavesSlot, { claimed: false });
  return needs;
}

/** Up to the place found in a higher queue; to the top of its own one when all above are full. */
function raise(row: LiveJob, group: Group, place: Place | undefined): void {
  const asked = queueOfLevel(levelOf(group.priority));
  const queue = place !== undefined && 'queue' in place ? place.queue : row.queue;
  row.priority = queue === asked ? group.priority : Math.min(row.priority, priorityOf(bandStart(queue), group.best.score));
  row.queue = queue;
}

/** A job that waits for its first start begins when the earliest request wants it; one that rests between two attempts goes on resting. */
function startsEarlier(row: LiveJob, { startAt }: Group, now: Date): boolean {
  return row.state === 'scheduled' && row.attempt === 0 && (startAt === undefined || startAt <= now);
}

/** The reason goes with the priority. */
async function writeWhy(tx: Transaction, raised: readonly Joined[]): Promise<void> {
  if (raised.length === 0) return;
  const ordered = raised.toSorted((a, b) => (a.row.id < b.row.id ? -1 : 1));
  await tx.run(
    'INSERT INTO job_details (job_id, payload, why, triggered_by) VALUES ? ON DUPLICATE KEY UPDATE why = VALUES(why), triggered_by = VALUES(triggered_by)',
    [
      ordered.map(({ row, group: { best } }) => [
        idToBytes(row.id),
        JSON.stringify(best.payload),
        JSON.stringify(best.why),
        best.triggeredBy,
      ]),
    ],
  );
}

function answerJoined(group: Group, row: LiveJob, demoted: boolean): void {
  const { id, type, symbol, state, queue, priority, enqueuedAt } = row;
  group.answer = {
    outcome: 'joined',
    id,
    type,
    symbol,
    state,
    queue,
    level: levelOf(priority),
    score: scoreOf(priority),
    demoted,
    enqueuedAt,
    request: group.best,
  };
}

function liveJob(row: Row): LiveJob {
  const { id, type, symbol, state, queue, priority, attempt } = row;
  return {
    id: idFromBytes(id),
    type,
    symbol,
    state,
    queue,
    priority,
    attempt,
    blockedOn: row.blocked_on,
    dueAt: row.due_at,
    enqueuedAt: row.enqueued_at,
  };
}
