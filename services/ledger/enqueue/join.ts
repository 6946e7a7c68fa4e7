/** Joins requests to the live jobs of their dedupe keys: finds and locks those jobs, subscribes to them and raises their priority. */
import { type Sql, type Transaction, toJson } from '../../platform/database/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import {
  bandStart,
  expiryOf,
  isDone,
  isLive,
  type Ledger,
  levelOf,
  priorityOf,
  QUEUES,
  type Queue,
  queueOfLevel,
  scoreOf,
} from '../job.ts';
import { withLiveNeeds } from '../run/dependents.ts';
import { offerFreeSlots } from '../run/slots.ts';
import { move } from '../states/move.ts';
import { idOf, lockJobs, readJobs, readJobsOfKeys, type Standing } from '../states/standing.ts';
import type { QueueChoice } from './capacity.ts';
import type { Enqueued, Group, JobRequest } from './enqueue.ts';
import type { Need } from './needs.ts';

type Known =
  | 'type'
  | 'symbol'
  | 'capability'
  | 'state'
  | 'queue'
  | 'priority'
  | 'attempt'
  | 'has_dependents'
  | 'blocked_on'
  | 'due_at'
  | 'enqueued_at';

/** What a request that joins a job knows of it. */
export interface LiveJob extends Pick<Standing, Known> {
  id: string;
}

const liveJob = (row: Standing): LiveJob => ({ ...row, id: idOf(row) });

/** The keys of the groups and of their dependencies. */
export function keysOf(groups: readonly Group[]): Set<string> {
  return new Set(groups.flatMap(({ key, after }) => (key === undefined ? [...after] : [key, ...after])));
}

/**
 * The live job of each key, not locked: a request that joins a job just before its end has joined it. A caller that decides by the results of jobs reads the live
 * jobs first and the results afterwards, so that it sees the result of a job that ended in between.
 */
export async function readLive(sql: Sql, keys: ReadonlySet<string>): Promise<Map<string, LiveJob>> {
  const rows = await readJobsOfKeys(sql, keys);
  return new Map(rows.map((row) => [row.dedupe_key, liveJob(row)]));
}

/** The jobs of keys that are not `live` any more, as their callers saw them. Not those that were cancelled: nobody may wait for the result of such a job. */
export async function endedSince(
  sql: Sql,
  groups: readonly Group[],
  live: ReadonlyMap<string, LiveJob>,
): Promise<ReadonlyMap<string, LiveJob>> {
  const seen = new Map(
    groups.flatMap(({ key, best }) => (key !== undefined && best.seen !== undefined && !live.has(key) ? [[key, best.seen]] : [])),
  );
  if (seen.size === 0) return seen;
  const ids = sortedBytes([...seen.values()].map(({ id }) => id));
  const cancelled = await sql.rows<{ id: Buffer }>(
    "SELECT job_id AS id FROM ended FORCE INDEX (PRIMARY) WHERE job_id IN (?) AND state = 'cancelled'",
    [ids],
  );
  const gone = new Set(cancelled.map(({ id }) => idFromBytes(id)));
  return new Map([...seen].filter(([, { id }]) => !gone.has(id)));
}

/**
 * Locks the live jobs that joining will change, and those that new jobs will depend on. All others are joined without a lock, since a login of thousands
 * would delay every claim and completion until its commit. Returns the live needs that the joined jobs did not have before. In `live` the locked ones stand as they are
 * now, even if they have ended meanwhile. Found first and locked by id then: locking through `live_keys` would take the key before the job, the reverse of what an ending job
 * does, and that is a deadlock.
 */
export async function lockChanging(
  tx: Transaction,
  ledger: Ledger,
  groups: readonly Group[],
  live: Map<string, LiveJob>,
  now: Date,
): Promise<{ newNeeds: Need[]; locked: Map<string, Standing> }> {
  const idOfKey = idsOf(live);
  const joined = joinedOf(groups, live);
  const needs = joined.flatMap((one) => needsOf(one, idOfKey));
  const newNeeds = await withoutKnown(tx, needs);
  const fresh = groups.filter(({ key, answer }) => answer === undefined && (key === undefined || !live.has(key)));
  const freshKeys = new Set(fresh.map(({ key }) => key));
  const gaining = new Set(newNeeds.map(({ jobId }) => jobId));
  for (const { group, row } of joined) if (waits(row) && [...group.after].some((key) => freshKeys.has(key))) gaining.add(row.id);
  const rows = await lockJobs(
    tx,
    new Set([
      ...newNeeds.map(({ needsId }) => needsId),
      ...joined.flatMap((one) => (gaining.has(one.row.id) || changes(ledger, one, now) ? [one.row.id] : [])),
      ...fresh.flatMap(({ after }) => [...after].flatMap((key) => idOfKey.get(key) ?? [])),
    ]),
  );
  for (const row of rows) live.set(row.dedupe_key as string, liveJob(row));
  const alive = new Set(idsOf(live).values());
  // One that was claimed meanwhile runs without them.
  const waiting = new Set([...live.values()].filter(waits).map(({ id }) => id));
  return {
    newNeeds: newNeeds.filter(({ jobId, needsId }) => waiting.has(jobId) && alive.has(needsId)),
    locked: new Map(rows.map((row) => [idOf(row), row])),
  };
}

/** Of those that are live. */
export function idsOf(live: ReadonlyMap<string, LiveJob>): Map<string, string> {
  return new Map([...live].flatMap(([key, { id, state }]) => (isLive(state) ? [[key, id]] : [])));
}

async function withoutKnown(tx: Transaction, needs: readonly Need[]): Promise<Need[]> {
  if (needs.length === 0) return [];
  const rows = await tx.rows<{ job_id: Buffer; needs_id: Buffer }>('SELECT job_id, needs_id FROM job_dependencies WHERE job_id IN (?)', [
    sortedBytes(new Set(needs.map(({ jobId }) => jobId))),
  ]);
  const known = new Set(rows.map(({ job_id, needs_id }) => `${idFromBytes(job_id)} ${idFromBytes(needs_id)}`));
  return needs.filter(({ jobId, needsId }) => !known.has(`${jobId} ${needsId}`));
}

/** Requests whose key has an open dedupe window get the completed job of that window. */
export async function joinCompleted(tx: Transaction, groups: readonly Group[], now: Date): Promise<void> {
  const windowed = new Map(groups.flatMap((group) => (group.key !== undefined && group.windowSeconds > 0 ? [[group.key, group]] : [])));
  if (windowed.size === 0) return;
  const open = await tx.rows<{ dedupe_key: string; id: Buffer }>(
    'SELECT dedupe_key, job_id AS id FROM dedupe_windows FORCE INDEX (PRIMARY) WHERE dedupe_key IN (?) AND until > ?',
    [[...windowed.keys()].sort(), now],
  );
  const rows = await readJobs(tx, open);
  const done = new Map(rows.flatMap((row) => (isDone(row.state) ? [[idOf(row), row]] : [])));
  for (const one of open) {
    const row = done.get(idOf(one));
    if (row !== undefined) answerWith(windowed.get(one.dedupe_key) as Group, 'joined', liveJob(row), false);
  }
}

export interface Joined {
  group: Group;
  row: LiveJob;
}

/** The groups whose key has a live job. */
export function joinedOf(groups: readonly Group[], live: ReadonlyMap<string, LiveJob>): Joined[] {
  return groups.flatMap((group) => {
    const row = group.key === undefined ? undefined : live.get(group.key);
    return row === undefined ? [] : [{ group, row }];
  });
}

/** The queues that a joined job could rise to, the one it is asked for first; none when it is asked for in its own or a lower one. */
export function queuesAbove({ group, row }: Joined): Queue[] {
  if (!waits(row) || group.priority >= row.priority) return [];
  const target = QUEUES.indexOf(queueOfLevel(levelOf(group.priority)));
  const above = QUEUES.slice(target, QUEUES.indexOf(row.queue));
  return group.best.whenFull === 'refuse' ? above.slice(0, 1) : above;
}

/** Running and ended jobs are only subscribed to. */
function waits({ state }: LiveJob): boolean {
  return isLive(state) && state !== 'running';
}

/** Whether joining changes more of the job than its priority, so that it must be locked. New needs are not looked at. */
function changes(ledger: Ledger, one: Joined, now: Date): boolean {
  const { row } = one;
  if (!waits(row)) return false;
  return (
    queuesAbove(one).length > 0 ||
    row.state === 'scheduled' ||
    (row.state === 'blocked' && row.blocked_on === 'slot') ||
    isHalfOver(row, expiryOf(ledger, row, now), now)
  );
}

/** The dependencies that this request adds to the joined job. It has its parts already. */
export function needsOf({ group, row }: Joined, idOfKey: ReadonlyMap<string, string>): Need[] {
  if (!waits(row)) return [];
  return [...group.after].flatMap((key) => {
    const needsId = group.parts.has(key) ? undefined : idOfKey.get(key);
    return needsId === undefined || needsId === row.id ? [] : [{ jobId: row.id, needsId, isPart: false }];
  });
}

/**
 * Joins live jobs. Each becomes as urgent as the most urgent request for it (`choices`: the higher queue that had room, for those with `queuesAbove`); waits for its
 * new `needs`; does not wait for a slot any more, since a new subscriber may have one, nor for a start later than the one asked for, unless it rests between two
 * attempts; and may wait as long again as its queue allows, once half of that is over. A running job is only subscribed to. Returns other jobs that it made ready, for slots
 * that joined jobs leave.
 */
export async function joinLive(
  tx: Transaction,
  ledger: Ledger,
  joined: readonly Joined[],
  { choices, needs, locked }: { choices: ReadonlyMap<string, QueueChoice>; needs: readonly Need[]; locked: ReadonlyMap<string, Standing> },
  now: Date,
): Promise<string[]> {
  const early = joined.filter((one) => startsNow(one, now)).map(({ row }) => row.id);
  const waiting = new Set([...needs.map(({ jobId }) => jobId), ...(await withLiveNeeds(tx, early, { locked: true }))]);
  const changed = new Map<Standing, LiveJob>();
  const rising: LiveJob[] = [];
  const raised: Joined[] = [];
  const leavesSlot: string[] = [];
  for (const one of joined) {
    const { group, row } = one;
    const next = moved(ledger, one, choices.get(row.id), waiting.has(row.id), now);
    if (next.priority < row.priority) raised.push(one);
    if (row.state === 'ready' && row.blocked_on === 'slot' && next.blocked_on !== 'slot') leavesSlot.push(row.id);
    if ((['priority', 'queue', 'state', 'blocked_on', 'due_at'] as const).some((field) => next[field] !== row[field])) {
      const own = locked.get(row.id);
      if (own === undefined) rising.push(next);
      else changed.set(own, next);
    }
    const asked = queueOfLevel(levelOf(group.priority));
    answerWith(group, 'joined', next, waits(next) && QUEUES.indexOf(next.queue) > QUEUES.indexOf(asked));
    one.row = next;
  }
  await move(tx, ledger, [...changed.keys()], (row) => {
    const { state, queue, priority, blocked_on, due_at } = changed.get(row) as LiveJob;
    return { state, queue, priority, blocked_on, due_at };
  });
  raise(tx, rising);
  writeWhy(tx, raised);
  return (await offerFreeSlots(tx, ledger, leavesSlot, { claimed: false })).map(({ id }) => id);
}

/** The job as it is after it was joined. */
export function moved(
  ledger: Pick<Ledger, 'queues' | 'types'>,
  { group, row }: Joined,
  choice: QueueChoice | undefined,
  hasNeeds: boolean,
  now: Date,
): LiveJob {
  if (!waits(row)) return row;
  const next = { ...row };
  if (group.priority < row.priority) {
    const asked = queueOfLevel(levelOf(group.priority));
    if (choice !== undefined && 'queue' in choice) next.queue = choice.queue;
    // To the top of its own queue when all above are full.
    next.priority = next.queue === asked ? group.priority : Math.min(row.priority, priorityOf(bandStart(next.queue), group.best.score));
  }
  if (row.state === 'scheduled' && !startsNow({ group, row }, now)) {
    if (row.attempt === 0 && group.startAt !== undefined && group.startAt < row.due_at) next.due_at = group.startAt;
    return next;
  }
  if (hasNeeds) {
    next.state = 'blocked';
    next.blocked_on = 'dependency';
  } else if (row.state === 'scheduled' || (row.state === 'blocked' && row.blocked_on === 'slot')) {
    next.state = 'ready';
    next.blocked_on = null;
  }
  const expiry = expiryOf(ledger, next, now);
  if (row.state === 'scheduled' || next.queue !== row.queue || isHalfOver(row, expiry, now)) next.due_at = expiry;
  return next;
}

function isHalfOver({ due_at }: LiveJob, expiry: Date, now: Date): boolean {
  return (due_at.getTime() - now.getTime()) * 2 < expiry.getTime() - now.getTime();
}

/** A job that waits for its first start begins when the earliest request wants it; one that waits for its next attempt keeps waiting. */
function startsNow({ group: { startAt }, row }: Joined, now: Date): boolean {
  return row.state === 'scheduled' && row.attempt === 0 && (startAt === undefined || startAt <= now);
}

/**
 * Runs the transaction again when one of the jobs that it joined was cancelled meanwhile: the next run makes a new job. Behind the inserts of those who join, which wait for a
 * withdrawal under way. A scalar subquery of two rows is error 1242, a conflict to `Database.transaction`; that costs no round trip, and as a plain read no lock.
 */
export function startAgainIfCancelled(tx: Transaction, joined: ReadonlySet<string>): void {
  if (joined.size === 0) return;
  // Without a name the column is called by its whole text, and the driver keeps a row parser for each name.
  tx.last(
    "SELECT (SELECT 1 UNION ALL SELECT 1 FROM ended FORCE INDEX (PRIMARY) WHERE job_id IN (?) AND state = 'cancelled') AS cancelled",
    [sortedBytes(joined)],
  );
}

/**
 * Makes jobs that were not locked more urgent, if they still wait: their rows are locked for the moment of the commit and not for the whole of a burst of logins. The priority
 * in the key of `ready` and the one in `jobs`, by which that row is found, change in one statement. In the order of the ids, `jobs` first, as everywhere.
 */
function raise(tx: Transaction, rising: readonly LiveJob[]): void {
  if (rising.length === 0) return;
  const ordered = rising.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ id, priority }) => [id.replaceAll('-', ''), priority]);
  for (const [table, key] of [
    ['ready', 'w.queue = j.queue AND w.priority = j.priority AND w.job_id = j.id'],
    ['blocked', 'w.job_id = j.id'],
  ])
    tx.last(
      `UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) CHARACTER SET ascii PATH '$[0]', priority INT UNSIGNED PATH '$[1]')) k
         STRAIGHT_JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = UNHEX(k.id) AND j.priority > k.priority
         STRAIGHT_JOIN ${table} w FORCE INDEX (PRIMARY) ON ${key}
          SET w.priority = k.priority, j.priority = k.priority`,
      [JSON.stringify(ordered)],
    );
}

/** The reason as it is stored: with the user of the request that gave the priority, who alone may see it. It may be another than the one who asked first. */
export function whyOf({ why, user }: Pick<JobRequest, 'why' | 'user'>): Record<string, unknown> {
  return user === undefined ? why : { ...why, user };
}

/** The reason changes with the priority, and only where this call's priority stands: a more urgent join may have committed meanwhile, or a claim. Runs after `raise`. */
function writeWhy(tx: Transaction, raised: readonly Joined[]): void {
  const ordered = raised
    .toSorted((a, b) => (a.row.id < b.row.id ? -1 : 1))
    .map(({ row, group }) => ({ row, best: group.best, id: idToBytes(row.id) }));
  for (let start = 0; start < ordered.length; start += WHYS_A_STATEMENT) {
    const some = ordered.slice(start, start + WHYS_A_STATEMENT);
    const byId = `CASE id ${some.map(() => 'WHEN ? THEN ?').join(' ')} END`;
    tx.last(`UPDATE jobs FORCE INDEX (PRIMARY) SET why = ${byId}, triggered_by = ${byId} WHERE id IN (?) AND priority = ${byId}`, [
      ...some.flatMap(({ id, best }) => [id, toJson(whyOf(best))]),
      ...some.flatMap(({ id, best }) => [id, best.triggeredBy]),
      some.map(({ id }) => id),
      ...some.flatMap(({ id, row }) => [id, row.priority]),
    ]);
  }
}

/** The server searches a CASE from its beginning for every row. For texts it still costs half of a join with a JSON_TABLE: 33 and 60 µs a row. */
const WHYS_A_STATEMENT = 100;

export function answerWith(
  group: Group,
  outcome: Enqueued['outcome'],
  { id, type, symbol, state, queue, priority, enqueued_at }: Omit<LiveJob, 'attempt' | 'has_dependents' | 'blocked_on' | 'due_at'>,
  demoted: boolean,
): void {
  const [level, score] = [levelOf(priority), scoreOf(priority)];
  group.answer = { outcome, id, type, symbol, state, queue, level, score, demoted, enqueuedAt: enqueued_at, request: group.best };
}
