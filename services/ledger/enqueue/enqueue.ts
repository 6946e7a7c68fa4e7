/**
 * How work gets into the ledger. All requests of one call are one transaction: afterwards every one of them is a committed row, has joined one, or was refused
 * with the limit named. Requests for the same live work (`dedupeKey`) become one job: it gets the most urgent of their priorities, and all their
 * users are its subscribers.
 */
import { escape as quoted } from 'mysql2';
import { type Transaction, toJson } from '../../platform/database/database.ts';
import { joinWithin } from '../../platform/database/packets.ts';
import type { Cause } from '../../platform/job-causes.ts';
import { idToBytes, newJobId, sortedBytes } from '../id.ts';
import {
  after,
  bandStart,
  expiryOf,
  type Ledger,
  nowOf,
  priorityOf,
  QUEUES,
  type Queue,
  queueOfLevel,
  rulesOf,
  type State,
} from '../job.ts';
import { enterWaiting, move } from '../states/move.ts';
import { chooseQueues, type QueueChoice } from './capacity.ts';
import {
  answerWith,
  endedSince,
  idsOf,
  joinCompleted,
  joinedOf,
  joinLive,
  keysOf,
  type LiveJob,
  lockChanging,
  needsOf,
  queuesAbove,
  readLive,
  startAgainIfCancelled,
  whyOf,
} from './join.ts';
import { endedPartsOf, insertDependencies, insertItems, type Need, needsOfNew, withoutNeedsRefused } from './needs.ts';
import { retryOnDuplicateKey } from './retry-on-duplicate-key.ts';

export interface JobRequest {
  type: string;
  symbol?: string | undefined;
  payload: Record<string, unknown>;
  /** 1-10, the smallest is the most urgent. */
  level: number;
  /** 0-1, orders jobs of one level. */
  score: number;
  /** Factors, weights and result: shown as the reason of the priority. */
  why: Record<string, unknown>;
  triggeredBy: string;
  user?: string | undefined;
  /** Others who want it, less urgently: they are told as well. */
  alsoFor?: readonly string[] | undefined;
  /** Live work with the same key is the same job. */
  dedupeKey?: string | undefined;
  /** For so many seconds later requests of this key get this job, also after it completed. */
  dedupeWindowSeconds?: number | undefined;
  /** The live job of the key as the caller read it (`readLive`) before it decided; when it has ended since, it answers the request, unless it was cancelled. */
  seen?: LiveJob | undefined;
  /** The earliest start. */
  runAt?: Date | undefined;
  /** Dedupe keys of the live jobs (of this call or earlier ones) that must complete first; a key without a live job is met already. */
  after?: readonly string[] | undefined;
  /**
   * Dedupe keys of the jobs (of this call or live ones) that do the work of this one, which sums them up when all have ended, however they ended. They are cancelled
   * and started again with it, and their items count as items of it. A request that joins a live job starts none of its parts again.
   */
  parts?: readonly string[] | undefined;
  /** The keys of its items, where they are known beforehand: they count as pending from the beginning. */
  items?: readonly string[] | undefined;
  /** The trace that its job belongs to (`platform/monitoring/traces.ts`), when it makes one: a job that is there keeps its own. */
  trace?: string | undefined;
  /** What happens when the queue of `level` holds `max_jobs`: go to the next queue down, or be refused. */
  whenFull: 'next_queue' | 'refuse';
}

export interface Enqueued {
  outcome: 'queued' | 'joined';
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  queue: Queue;
  level: number;
  score: number;
  /** True when the request went to a lower queue than its level's, because that one was full. */
  demoted: boolean;
  enqueuedAt: Date;
  /** The most urgent request of this call for the job. */
  request: JobRequest;
}

export interface Refused {
  outcome: 'refused';
  code: string;
  reason: string;
}

export type EnqueueAnswer = Enqueued | Refused;

/** How many of each outcome. */
export function countOutcomes(answers: readonly EnqueueAnswer[]): Record<EnqueueAnswer['outcome'], number> {
  const counts = { queued: 0, joined: 0, refused: 0 };
  for (const { outcome } of answers) counts[outcome]++;
  return counts;
}

/** All requests of one call that mean the same work. */
export interface Group {
  key: string | undefined;
  best: JobRequest;
  priority: number;
  users: Set<string>;
  /** Whether one of the requests names no user, such as that of a schedule. */
  unnamed: boolean;
  /** The keys of the jobs that must end first, the parts among them. */
  after: Set<string>;
  parts: Set<string>;
  /** The earliest start asked for; undefined = now. */
  startAt: Date | undefined;
  /** The longest dedupe window asked for. */
  windowSeconds: number;
  answer: EnqueueAnswer | undefined;
}

/** Enqueues all requests in one transaction; the answers stand in the order of the requests. Errors: those of `Database.transaction`. */
export function enqueue(ledger: Ledger, requests: readonly JobRequest[]): Promise<EnqueueAnswer[]> {
  return ledger.db.transaction((tx) => enqueueWith(tx, ledger, requests));
}

/**
 * The same in a transaction of the caller's, for effects that must commit with the jobs. `live`: the live jobs of the keys, if the caller read them with `readLive`
 * before it decided; a request for one that has ended since is answered with that job. Errors: as above, and the driver's 1062 after five lost races for a key
 * (see `retryOnDuplicateKey`).
 */
export async function enqueueWith(
  tx: Transaction,
  ledger: Ledger,
  requests: readonly JobRequest[],
  live?: ReadonlyMap<string, LiveJob>,
): Promise<EnqueueAnswer[]> {
  if (requests.length === 0) return [];
  const { groups, groupOf } = merge(requests);
  let known = live;
  // Nothing is written before the insert that may be refused.
  await retryOnDuplicateKey(async () => {
    const seen = new Map(known ?? (await readLive(tx, keysOf(groups))));
    for (const [key, job] of await endedSince(tx, groups, seen)) seen.set(key, job);
    // Another try must see the job that this one lost its race to.
    known = undefined;
    await answer(tx, ledger, groups, seen);
  });
  return groupOf.map((group) => group.answer as EnqueueAnswer);
}

async function answer(tx: Transaction, ledger: Ledger, groups: readonly Group[], live: Map<string, LiveJob>): Promise<void> {
  for (const group of groups) group.answer = undefined;
  const now = nowOf(ledger);
  await joinCompleted(tx, groups, now);
  const { newNeeds, locked } = await lockChanging(tx, ledger, groups, live, now);
  // A live job of the same key comes before a completed one: its answer is written over that.
  const joined = joinedOf(groups, live);
  const rising = joined.filter((one) => queuesAbove(one).length > 0);
  const joinedGroups = new Set(joined.map(({ group }) => group));
  const endedParts = endedPartsOf(joinedGroups, groups, live);
  const fresh = groups.filter((group) => group.answer === undefined && !joinedGroups.has(group) && !endedParts.has(group));

  const choices = await chooseQueues(tx, ledger, [
    ...fresh.map((group) => ({ queues: queuesFor(group), isLogin: isLogin(group) })),
    ...rising.map((one) => ({ queues: queuesAbove(one), isLogin: isLogin(one.group) })),
  ]);
  const accepted = withoutNeedsRefused(accept(fresh, choices, now), fresh);
  const newIds = new Map(accepted.flatMap(({ group: { key }, id }) => (key === undefined ? [] : [[key, id]])));
  const idOfKey = new Map([...idsOf(live), ...newIds]);
  const needs = [...needsOfNew(accepted, idOfKey), ...newNeeds, ...joined.flatMap((one) => needsOf(one, newIds))];
  await insertJobs(tx, ledger, accepted, needs, now);
  const choiceOf = new Map(rising.map(({ row }, index) => [row.id, choices[fresh.length + index] as QueueChoice]));
  const woken = await joinLive(tx, ledger, joined, { choices: choiceOf, needs, locked }, now);
  const joinedIds = new Set(joined.map(({ row }) => row.id));
  // Locked only as dependencies. A slot that became free meanwhile has skipped them: the claim decides whether one is free.
  const passedOver = [...locked].flatMap(([id, row]) =>
    !joinedIds.has(id) && !woken.includes(id) && row.state === 'blocked' && row.blocked_on === 'slot' ? [row] : [],
  );
  await move(tx, ledger, passedOver, () => ({ state: 'ready' }));
  insertDependencies(tx, needs, live.values());
  insertItems(tx, accepted, now);
  subscribe(tx, groups);
  recordUnnamed(tx, groups);
  for (const [part, { answer }] of endedParts)
    if (answer !== undefined) part.answer = { ...answer, ...('id' in answer && { request: part.best }) };
  startAgainIfCancelled(tx, joinedIds);
}

/** Requests for the same work as one group, and the group of each request. */
export function merge(requests: readonly JobRequest[]): { groups: Group[]; groupOf: Group[] } {
  const groups: Group[] = [];
  const byKey = new Map<string, Group>();
  const groupOf = requests.map((request) => {
    const priority = priorityOf(request.level, request.score);
    let group = request.dedupeKey === undefined ? undefined : byKey.get(request.dedupeKey);
    if (group === undefined) {
      group = {
        ...{ key: request.dedupeKey, best: request, priority, startAt: request.runAt, windowSeconds: 0, answer: undefined },
        ...{ users: new Set(), unnamed: false, after: new Set(), parts: new Set() },
      };
      groups.push(group);
      if (request.dedupeKey !== undefined) byKey.set(request.dedupeKey, group);
    } else if (priority < group.priority) {
      group.best = request;
      group.priority = priority;
    }
    if (request.runAt === undefined || (group.startAt !== undefined && request.runAt < group.startAt)) group.startAt = request.runAt;
    group.windowSeconds = Math.max(group.windowSeconds, request.dedupeWindowSeconds ?? 0);
    if (request.user === undefined) group.unnamed = true;
    else group.users.add(request.user);
    for (const user of request.alsoFor ?? []) group.users.add(user);
    for (const key of request.after ?? []) group.after.add(key);
    for (const key of request.parts ?? []) group.parts.add(key);
    for (const key of group.parts) group.after.add(key);
    return group;
  });
  return { groups, groupOf };
}

/** Whether the most urgent of the requests comes from a login. */
export function isLogin({ best }: Group): boolean {
  return best.triggeredBy === ('user_login' satisfies Cause);
}

/** Where a new job may go: the queue of its level, and those below it if it wants. */
export function queuesFor({ best }: Group): Queue[] {
  const queue = queueOfLevel(best.level);
  return best.whenFull === 'next_queue' ? QUEUES.slice(QUEUES.indexOf(queue)) : [queue];
}

/** A new job. */
export interface Accepted {
  group: Group;
  id: string;
  queue: Queue;
  priority: number;
  demoted: boolean;
}

/** Gives each new job its id and its queue with room, or its refusal. In a lower queue than its level's it is the most urgent of its score. */
function accept(fresh: readonly Group[], choices: readonly QueueChoice[], now: Date): Accepted[] {
  return fresh.flatMap((group, index) => {
    const choice = choices[index] as QueueChoice;
    if ('reason' in choice) {
      group.answer = { outcome: 'refused', code: 'queue.full', reason: choice.reason };
      return [];
    }
    const { queue } = choice;
    const demoted = queue !== queueOfLevel(group.best.level);
    const priority = demoted ? priorityOf(bandStart(queue), group.best.score) : group.priority;
    return [{ group, id: newJobId(now.getTime()), queue, priority, demoted }];
  });
}

async function insertJobs(tx: Transaction, ledger: Ledger, accepted: readonly Accepted[], needs: readonly Need[], now: Date) {
  if (accepted.length === 0) return;
  const waiting = new Set(needs.map(({ jobId }) => jobId));
  const needed = new Set(needs.map(({ needsId }) => needsId));
  // In the order of the keys, so two enqueuers of the same keys wait for each other instead of crosswise.
  const ordered = accepted.toSorted((a, b) => compareKeys(a.group.key ?? '', b.group.key ?? ''));
  const keys = ordered.flatMap(({ group: { key }, id }) => (key === undefined ? [] : [[key, idToBytes(id)]]));
  // The only insert that can be refused. Awaited, so that it can run again.
  if (keys.length > 0) await tx.run('INSERT INTO live_keys (dedupe_key, job_id) VALUES ?', [keys]);
  const rows = accepted.map(({ group, id, queue, priority, demoted }) => {
    const { best, startAt = now } = group;
    const { type, symbol = null } = best;
    const capability = rulesOf(ledger, type).capabilityOf?.(best.payload) ?? null;
    // One that starts later looks at its dependencies then.
    const state = startAt > now ? 'scheduled' : waiting.has(id) ? 'blocked' : 'ready';
    answerWith(group, 'queued', { id, type, symbol, capability, state, queue, priority, enqueued_at: now }, demoted);
    const due_at = state === 'scheduled' ? startAt : expiryOf(ledger, { type, queue }, now);
    return {
      id: idToBytes(id),
      type,
      capability,
      state,
      queue,
      priority,
      attempt: 0,
      due_at,
      blocked_on: state === 'blocked' ? 'dependency' : null,
    } as const;
  });
  const isTraced = accepted.some(({ group }) => group.best.trace !== undefined);
  const isTied = rows.some(({ capability }) => capability !== null);
  tx.later(
    `INSERT INTO jobs (id, queue, priority, max_attempts, has_dependents, type, symbol, user_id, dedupe_key, enqueued_at, payload, why, triggered_by${isTraced ? ', trace' : ''}${isTied ? ', capability' : ''}) VALUES ?`,
    [
      accepted.map(({ group: { key, best }, id, queue, priority }, index) => [
        idToBytes(id),
        queue,
        priority,
        rulesOf(ledger, best.type).maxAttempts,
        needed.has(id) ? 1 : 0,
        best.type,
        best.symbol ?? null,
        best.user ?? null,
        key ?? null,
        now,
        toJson(best.payload),
        toJson(whyOf(best)),
        best.triggeredBy,
        ...(isTraced ? [best.trace ?? null] : []),
        ...(isTied ? [rows[index]?.capability] : []),
      ]),
    ],
  );
  enterWaiting(tx, rows);
  if (ledger.coming !== undefined && rows.some(({ state }) => state === 'ready')) tx.committing(ledger.coming);
  const windows = ordered.filter(({ group }) => group.windowSeconds > 0 && group.key !== undefined);
  if (windows.length > 0)
    tx.later(
      'INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES ? ON DUPLICATE KEY UPDATE job_id = VALUES(job_id), until = VALUES(until)',
      [windows.map(({ group, id }) => [group.key, idToBytes(id), after(now, group.windowSeconds)])],
    );
}

function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const isTaken = (answer: EnqueueAnswer | undefined): answer is Enqueued => answer !== undefined && answer.outcome !== 'refused';

/** In the order of the primary key. Written out by hand: a login burst has 40,000 of these rows, and as parameters they were a tenth of its service's time. */
function subscribe(tx: Transaction, groups: readonly Group[]): void {
  const byJob = groups.flatMap(({ answer, users }) => (isTaken(answer) && users.size > 0 ? [{ id: answer.id, users }] : []));
  if (byJob.length === 0) return;
  byJob.sort((a, b) => compareKeys(a.id, b.id));
  const quotedUsers = new Map<string, string>();
  const rows = byJob.map(({ id, users }) => {
    const key = `(x'${id.replaceAll('-', '')}',`;
    return [...users]
      .sort()
      .map((user) => `${key}${quotedUsers.getOrInsertComputed(user, quoted)})`)
      .join();
  });
  const insert = 'INSERT IGNORE INTO job_subscribers (job_id, user_id) VALUES ';
  for (const { text } of joinWithin(rows, tx.mostBytes - insert.length, ',')) tx.later(insert + text);
}

/** The asker in `job_askers` of jobs of users that somebody wants too who named no user: they are not cancelled for a user. */
export const UNNAMED = 'unnamed';

/** A job that was made without a user shows it itself. */
function recordUnnamed(tx: Transaction, groups: readonly Group[]): void {
  const ids = groups.flatMap(({ answer, unnamed, best }) =>
    unnamed && isTaken(answer) && (answer.outcome === 'joined' || best.user !== undefined) ? [answer.id] : [],
  );
  if (ids.length > 0) tx.later('INSERT IGNORE INTO job_askers (job_id, asker) VALUES ?', [sortedBytes(ids).map((id) => [id, UNNAMED])]);
}
