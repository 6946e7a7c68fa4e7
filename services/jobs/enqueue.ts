/**
 * How work gets into the ledger. All requests of one call are one transaction: afterwards every one of them is a committed row, has joined one, or was refused
 * with the limit named. Requests for the same live work (`dedupeKey`) become one job: its priority is the most urgent one asked for, and everybody who asked is
 * its subscriber.
 */
import type { Transaction } from '../platform/database.ts';
import { chooseQueues } from './capacity.ts';
import { idToBytes, newJobId, sortedBytes } from './id.ts';
import { after, expiryOf, type Ledger, levelOf, nowOf, priorityOf, type Queue, queueOfLevel, rulesOf, type State, scoreOf } from './job.ts';
import { joinCompleted, joinLive, lockLive } from './join.ts';
import { ensureSlots } from './slots.ts';

export interface JobRequest {
  type: string;
  symbol?: string | undefined;
  payload: Record<string, unknown>;
  /** 1-10, the smallest is the most urgent. */
  level: number;
  /** 0-1, orders jobs of one level. */
  score: number;
  /** Factors, weights and result: shown to everybody who asks why. */
  why: Record<string, unknown>;
  triggeredBy: string;
  user?: string | undefined;
  /** Live work with the same key is the same job. */
  dedupeKey?: string | undefined;
  /** For so long a job of this key stands for later requests, also after it completed. */
  dedupeWindowSeconds?: number | undefined;
  /** Not before. */
  runAt?: Date | undefined;
  /** Dedupe keys of the live jobs (of this call or earlier ones) that must complete first; a key without a live job is met already. */
  after?: readonly string[] | undefined;
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

/** All requests of one call that mean the same work. */
export interface Group {
  key: string | undefined;
  best: JobRequest;
  priority: number;
  users: Set<string>;
  after: Set<string>;
  answer: EnqueueAnswer | undefined;
}

const ER_DUP_ENTRY = 1062;
const MAX_RACES = 5;

/** Enqueues all requests in one transaction; the answers stand in the order of the requests. Errors: those of `Database.transaction`. */
export async function enqueue(ledger: Ledger, requests: readonly JobRequest[]): Promise<EnqueueAnswer[]> {
  for (let race = 1; ; race++) {
    try {
      return await ledger.db.transaction((tx) => enqueueWith(tx, ledger, requests));
    } catch (error) {
      // Another enqueuer has inserted the same key since we looked: look again and join its job.
      if ((error as { errno?: number }).errno !== ER_DUP_ENTRY || race === MAX_RACES) throw error;
    }
  }
}

/** The same inside a transaction of the caller's, for effects that must commit with the jobs. A race for a key surfaces as the driver's error 1062. */
export async function enqueueWith(tx: Transaction, ledger: Ledger, requests: readonly JobRequest[]): Promise<EnqueueAnswer[]> {
  if (requests.length === 0) return [];
  const { groups, groupOf } = merge(requests);
  const now = nowOf(ledger);
  const live = await lockLive(tx, groups);
  await joinCompleted(tx, groups, now);

  const open = groups.filter(({ answer }) => answer === undefined);
  const fresh = open.filter(({ key }) => key === undefined || !live.has(key));
  const idOfKey = new Map([...live].map(([key, { id }]) => [key, id]));
  const accepted = await place(tx, ledger, fresh, now);
  for (const { group, id } of accepted) if (group.key !== undefined) idOfKey.set(group.key, id);

  const needs = dependencies(accepted, idOfKey);
  await insertJobs(tx, ledger, accepted, needs, now);
  const joined = open.flatMap((group) => {
    const row = group.key === undefined ? undefined : live.get(group.key);
    return row === undefined ? [] : [{ group, row }];
  });
  needs.push(...(await joinLive(tx, joined, idOfKey)));
  await insertDependencies(tx, needs);
  await subscribe(tx, ledger, groups);
  return groupOf.map((group) => group.answer as EnqueueAnswer);
}

function merge(requests: readonly JobRequest[]): { groups: Group[]; groupOf: Group[] } {
  const groups: Group[] = [];
  const byKey = new Map<string, Group>();
  const groupOf = requests.map((request) => {
    const priority = priorityOf(request.level, request.score);
    let group = request.dedupeKey === undefined ? undefined : byKey.get(request.dedupeKey);
    if (group === undefined) {
      group = { key: request.dedupeKey, best: request, priority, users: new Set(), after: new Set(), answer: undefined };
      groups.push(group);
      if (request.dedupeKey !== undefined) byKey.set(request.dedupeKey, group);
    } else if (priority < group.priority) {
      group.best = request;
      group.priority = priority;
    }
    if (request.user !== undefined) group.users.add(request.user);
    for (const key of request.after ?? []) group.after.add(key);
    return group;
  });
  return { groups, groupOf };
}

interface Accepted {
  group: Group;
  id: string;
  queue: Queue;
  priority: number;
  demoted: boolean;
}

/** Gives each new job its id and a queue with room, or its refusal. */
async function place(tx: Transaction, ledger: Ledger, fresh: readonly Group[], now: Date): Promise<Accepted[]> {
  const places = await chooseQueues(
    tx,
    ledger,
    fresh.map(({ best }) => ({ queue: queueOfLevel(best.level), whenFull: best.whenFull })),
  );
  return fresh.flatMap((group, index) => {
    const place = places[index];
    if (place === undefined || 'reason' in place) {
      group.answer = { outcome: 'refused', code: 'queue.full', reason: place?.reason ?? '' };
      return [];
    }
    const demoted = place.queue !== queueOfLevel(group.best.level);
    return [{ group, id: newJobId(now.getTime()), queue: place.queue, priority: demoted ? priorityOf(place.level, group.best.score) : group.priority, demoted }];
  });
}

export interface Need {
  jobId: string;
  needsId: string;
}

function dependencies(accepted: readonly Accepted[], idOfKey: ReadonlyMap<string, string>): Need[] {
  return accepted.flatMap(({ group, id: jobId }) =>
    [...group.after].flatMap((key) => {
      const needsId = idOfKey.get(key);
      return needsId === undefined || needsId === jobId ? [] : [{ jobId, needsId }];
    }),
  );
}

async function insertJobs(tx: Transaction, ledger: Ledger, accepted: readonly Accepted[], needs: readonly Need[], now: Date): Promise<void> {
  if (accepted.length === 0) return;
  const waiting = new Set(needs.map(({ jobId }) => jobId));
  // In the order of the keys, so two enqueuers of the same keys wait for each other instead of crosswise.
  const ordered = accepted.toSorted((a, b) => ((a.group.key ?? '') < (b.group.key ?? '') ? -1 : 1));
  await tx.run('INSERT INTO jobs (id, queue, state, priority, max_attempts, due_at, type, symbol, user_id, blocked_on, dedupe_key, enqueued_at) VALUES ?', [
    ordered.map(({ group, id, queue, priority, demoted }) => {
      const { best } = group;
      const state = waiting.has(id) ? 'blocked' : best.runAt !== undefined && best.runAt > now ? 'scheduled' : 'ready';
      group.answer = {
        outcome: 'queued',
        id,
        type: best.type,
        symbol: best.symbol ?? null,
        state,
        queue,
        level: levelOf(priority),
        score: scoreOf(priority),
        demoted,
        enqueuedAt: now,
        request: best,
      };
      const dueAt = state === 'scheduled' ? best.runAt : expiryOf(ledger, queue, now);
      const blockedOn = state === 'blocked' ? 'dependency' : null;
      const { maxAttempts } = rulesOf(ledger, best.type);
      return [idToBytes(id), queue, state, priority, maxAttempts, dueAt, best.type, best.symbol ?? null, best.user ?? null, blockedOn, group.key ?? null, now];
    }),
  ]);
  await tx.run('INSERT INTO job_details (job_id, payload, why, triggered_by) VALUES ?', [
    accepted.map(({ group: { best }, id }) => [idToBytes(id), JSON.stringify(best.payload), JSON.stringify(best.why), best.triggeredBy]),
  ]);
  const windows = accepted.filter(({ group }) => group.best.dedupeWindowSeconds !== undefined && group.key !== undefined);
  if (windows.length > 0)
    await tx.run('INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES ? ON DUPLICATE KEY UPDATE job_id = VALUES(job_id), until = VALUES(until)', [
      windows.map(({ group, id }) => [group.key, idToBytes(id), after(now, group.best.dedupeWindowSeconds as number)]),
    ]);
}

async function insertDependencies(tx: Transaction, needs: readonly Need[]): Promise<void> {
  if (needs.length === 0) return;
  await tx.run('INSERT IGNORE INTO job_dependencies (job_id, needs_id) VALUES ?', [needs.map(({ jobId, needsId }) => [idToBytes(jobId), idToBytes(needsId)])]);
  await tx.run('UPDATE jobs SET has_dependents = 1 WHERE id IN (?)', [sortedBytes(needs.map(({ needsId }) => needsId))]);
}

async function subscribe(tx: Transaction, ledger: Ledger, groups: readonly Group[]): Promise<void> {
  const users = new Set<string>();
  const rows: [Buffer, string][] = [];
  for (const { answer, users: subscribers } of groups) {
    if (answer === undefined || answer.outcome === 'refused') continue;
    const id = idToBytes(answer.id);
    for (const user of subscribers) {
      rows.push([id, user]);
      users.add(user);
    }
  }
  if (rows.length === 0) return;
  await ensureSlots(tx, ledger, users);
  await tx.run('INSERT IGNORE INTO job_subscribers (job_id, user_id) VALUES ?', [rows]);
}
