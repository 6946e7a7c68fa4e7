/**
 * How a worker gets work: rows leave `ready` and enter `running`. One queue a statement; the primary key (queue, priority, job_id) of `ready` is an equality prefix and then
 * the exact order, all ascending, so InnoDB walks it and locks only the rows that it returns. Any sort (an IN over queues, a DESC, a comparison of times) makes the first
 * worker lock the whole table, and the second worker gets nothing.
 *
 * A job that needs a capability (`region:eu`) is for workers that have it. While no such job is ready, the claim walks the primary key, and one look at the head of `ix_type`
 * says so within the same statement. Else a worker finds the most urgent of each type, of those that need nothing and of each capability that it has, through `ix_type`: a
 * million jobs of another region stand on neither of these ways.
 */
import { fromJson, type Transaction } from '../../platform/database/database.ts';
import { idFromBytes } from '../id.ts';
import { after, type Ledger, levelOf, nowOf, QUEUES, type Queue, scoreOf } from '../job.ts';
import { enterBlocked } from '../states/blocked.ts';
import { leaveReady } from '../states/ready.ts';
import { enterRunning } from '../states/running.ts';
import { offerFreeSlots, takeSlots } from './slots.ts';

export interface ClaimedJob {
  id: string;
  type: string;
  symbol: string | null;
  queue: Queue;
  level: number;
  score: number;
  /** The fencing token: every later write names it. */
  attempt: number;
  maxAttempts: number;
  /** Earlier attempts that the death of their process ended (`deaths.ts`). */
  deaths: number;
  /** Whether other jobs waited for this one when it was claimed. */
  hasDependents: boolean;
  userId: string | null;
  dedupeKey: string | null;
  payload: unknown;
  triggeredBy: string;
  enqueuedAt: Date;
  startedAt: Date;
  /** The context of its trace (`platform/monitoring/traces.ts`). Null when it is not traced. */
  trace?: string | null;
}

export interface Claim {
  jobs: ClaimedJob[];
  /** Jobs that went from ready to blocked because their users have no free slot. */
  blocked: string[];
  /** True when ready jobs were skipped because another transaction had locked them or their users' slots: claim again soon. */
  undecided: boolean;
  /** Whether ready jobs need a capability, as far as this claim has seen. The next one of this worker begins with it (`Places.tied`). */
  tied: boolean;
}

interface Candidate {
  id: Buffer;
  type: string;
  symbol: string | null;
  priority: number;
  attempt: number;
  max_attempts: number;
  deaths: number;
  has_dependents: number;
  user_id: string | null;
  dedupe_key: string | null;
  due_at: Date;
  blocked_on: 'slot' | null;
  payload: unknown;
  triggered_by: string;
  enqueued_at: Date;
  trace: string | null;
}

const CANDIDATE = `SELECT STRAIGHT_JOIN r.job_id AS id, r.priority, r.attempt, r.due_at, r.blocked_on, r.type, j.symbol, j.max_attempts, j.deaths, j.has_dependents, j.user_id,
         j.dedupe_key, j.payload, j.triggered_by, j.enqueued_at, j.trace`;
// No filesort (a test EXPLAINs it). What was asked for is read by primary key in the same walk: left to itself, the optimizer of a server whose statistics say that `jobs` is
// small reads all ready jobs into a join buffer first, and locks them.
const selectReadyWhere = (condition: string): string => `
  ${CANDIDATE}
    FROM ready r FORCE INDEX (PRIMARY) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = r.job_id
   WHERE ${condition}
   ORDER BY r.priority, r.job_id
   LIMIT ?
   FOR UPDATE SKIP LOCKED`;
// A job that needs a capability: found, or not, in one step, from the end of the index, where no entries of jobs that were just claimed wait to be purged. Where there is one this
// walk finds nothing, since a million of them may stand in its way. The walk looks at each row all the same: one may come after that step.
const LAST_TIED = 'SELECT MAX(w.capability) AS capability FROM ready w FORCE INDEX (ix_type)';
const NONE_TIED = `COALESCE((${LAST_TIED}), '') = ''`;
const SELECT_READY = selectReadyWhere(`r.queue = ? AND r.capability = '' AND ${NONE_TIED}`);
// Types of another deployment's newer version are skipped on the way.
const SELECT_READY_OF_TYPES = selectReadyWhere(`r.queue = ? AND r.type IN (?) AND r.capability = '' AND ${NONE_TIED}`);

// For a worker that runs some of the jobs alone, by their types or by what they need: a million others may stand before its own. The most urgent of each kind are found without
// a lock, and the most urgent of all are locked by their keys.
const HEAD_OF_KIND = `(SELECT priority, job_id AS id FROM ready FORCE INDEX (ix_type)
     WHERE capability = ? AND type = ? AND queue = ? ORDER BY priority, job_id LIMIT ?)`;
const LOCK_READY = `
  ${CANDIDATE}
    FROM (SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (priority INT UNSIGNED PATH '$[0]', id CHAR(32) CHARACTER SET ascii PATH '$[1]')) l) k
    STRAIGHT_JOIN ready r FORCE INDEX (PRIMARY) ON r.queue = ? AND r.priority = k.priority AND r.job_id = UNHEX(k.id)
    JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = r.job_id
   LIMIT ?
   FOR UPDATE SKIP LOCKED`;
/** How often it looks further when other claims have locked what it found: two workers that claimed at once found the same 500 jobs, and one of them got none. */
const MOST_LOOKS = 4;

/** Most rows that one statement locks while it moves jobs without a free slot out of the queue. */
const MOST_LOOKED_AT = 500;

/**
 * Takes up to `limit` ready jobs, most urgent first, queue by queue, each queue in a transaction of its own. `started` gets the jobs of each as soon as they are
 * committed, so the first jobs run while the other queues are read. Queues without work are not visited: these visits took a third of the time from the message to
 * the start of a single job. `types`: only these (undefined = all). Errors: those of `Database.transaction`; the jobs given to `started` before stay claimed.
 */
export async function claim(
  ledger: Ledger,
  workerId: string,
  limit: number,
  types?: readonly string[],
  started: (jobs: readonly ClaimedJob[]) => void = () => {},
  { room = new Map(), free = limit, mayWait = () => true, capabilities = [], tied = false }: Places = {},
): Promise<Claim> {
  const sum: Claim = { jobs: [], blocked: [], undecided: false, tied };
  const left = new Map(room);
  const visited = new Set<Queue>();
  for (let queues: readonly Queue[] = [QUEUES[0]]; queues.length > 0; ) {
    for (const queue of queues) {
      visited.add(queue);
      let look = limit - sum.jobs.length;
      while (sum.jobs.length < limit) {
        const most = limit - sum.jobs.length;
        const places = { room: left, free: Math.max(free - sum.jobs.length, 0), mayWait, capabilities, tied: sum.tied };
        const taken = await ledger.db.transaction((tx) => claimFrom(tx, ledger, { workerId, queue, most, look, types, places }));
        if (taken.jobs.length > 0) started(taken.jobs);
        for (const { type } of taken.jobs) if (left.has(type)) left.set(type, (left.get(type) as number) - 1);
        sum.jobs.push(...taken.jobs);
        sum.blocked.push(...taken.blocked);
        sum.undecided ||= taken.undecided;
        // Without those that are blocked the job may have a free place.
        if (taken.mustNotWait && taken.blocked.length === 0) return sum;
        // The blocked jobs have left the head of the queue. Read the jobs behind them, more each time, since one user may have thousands.
        if (taken.blocked.length === 0) break;
        look = Math.max(Math.min(look * 4, MOST_LOOKED_AT), limit - sum.jobs.length);
      }
    }
    if (sum.jobs.length >= limit) break;
    const { ready, isTied } = await queuesWithWork(ledger, { types, capabilities, tied: sum.tied });
    // The walks of this claim have found nothing where such jobs were.
    if (isTied && !sum.tied) visited.clear();
    sum.tied = isTied;
    // SKIP LOCKED has skipped a locked row silently, and the message for its job does not come a second time.
    if (ready.some((queue) => visited.has(queue))) sum.undecided = true;
    queues = ready.filter((queue) => !visited.has(queue));
  }
  return sum;
}

/** What the caller has room for. */
export interface Places {
  /** Of these types at most so many. */
  room?: ReadonlyMap<string, number>;
  /** Jobs that can run at once. Behind them come jobs that wait for their turn at the caller: the claim ends at the first one that must not. All by default. */
  free?: number;
  mayWait?: (job: Pick<ClaimedJob, 'type' | 'deaths'>) => boolean;
  /** What the caller has of what jobs may need. */
  capabilities?: readonly string[];
  /** Of its last claim. */
  tied?: boolean;
}

/** The candidates without those of types that are over their room. */
function withinRoom(candidates: readonly Candidate[], room: ReadonlyMap<string, number>): Candidate[] {
  const left = new Map(room);
  return candidates.filter(({ type }) => {
    const free = left.get(type);
    if (free === undefined) return true;
    left.set(type, free - 1);
    return free > 0;
  });
}

/** `ready`: the queues with work for this worker. `isTied`: whether some work needs a capability, of whichever worker. */
async function queuesWithWork(ledger: Ledger, asked: Asked): Promise<{ ready: Queue[]; isTied: boolean }> {
  const kinds = kindsOf(ledger, asked);
  const { types } = asked;
  const [first, params] =
    kinds !== undefined
      ? ['FORCE INDEX (ix_type) WHERE queue = ? AND capability IN (?) AND type IN (?)', [kinds.capabilities, kinds.types]]
      : types === undefined
        ? [`FORCE INDEX (PRIMARY) WHERE queue = ? AND ${NONE_TIED}`, []]
        : [`FORCE INDEX (PRIMARY) WHERE queue = ? AND type IN (?) AND ${NONE_TIED}`, [types]];
  const rows = await ledger.db.rows<{ queue: Queue | 'tied' }>(
    `${QUEUES.map(() => `(SELECT queue FROM ready ${first} LIMIT 1)`).join(' UNION ALL ')} UNION ALL (SELECT 'tied' FROM (${LAST_TIED}) t WHERE t.capability > '')`,
    QUEUES.flatMap((queue) => [queue, ...params]),
  );
  const isTied = rows.some(({ queue }) => queue === 'tied');
  if (isTied && kinds === undefined) return queuesWithWork(ledger, { ...asked, tied: true });
  return { ready: QUEUES.filter((queue) => rows.some((row) => row.queue === queue)), isTied };
}

interface Look {
  workerId: string;
  queue: Queue;
  most: number;
  look: number;
  types: readonly string[] | undefined;
  places: Required<Places>;
}

interface Asked extends Pick<Required<Places>, 'capabilities' | 'tied'> {
  types: readonly string[] | undefined;
}

/** What is asked for, when others of which a million may stand before it are not: some types of this deployment, or jobs that need a capability. Else undefined. */
function kindsOf(
  { types: all }: Ledger,
  { types, capabilities, tied }: Asked,
): { types: readonly string[]; capabilities: string[] } | undefined {
  const known = Object.keys(all);
  const isForSome = types !== undefined && known.some((type) => !types.includes(type));
  return isForSome || tied ? { types: types ?? known, capabilities: ['', ...capabilities] } : undefined;
}

/** Locks the most urgent jobs of a queue. `missed`: another transaction held some of them. */
async function selectReady(
  tx: Transaction,
  ledger: Ledger,
  { queue, look, types, places }: Look,
): Promise<{ ready: Candidate[]; missed: boolean }> {
  const asked = kindsOf(ledger, { types, ...places });
  if (asked === undefined)
    return {
      ready:
        types === undefined
          ? await tx.rows<Candidate>(SELECT_READY, [queue, look])
          : await tx.rows<Candidate>(SELECT_READY_OF_TYPES, [queue, types, look]),
      missed: false,
    };
  const kinds = asked.capabilities.flatMap((capability) => asked.types.map((type) => [capability, type]));
  const ready: Candidate[] = [];
  const seen = new Set<string>();
  for (let looks = 1; looks <= MOST_LOOKS && ready.length < look; looks++) {
    const heads = await tx.rows<{ priority: number; id: Buffer }>(
      kinds.map(() => HEAD_OF_KIND).join(' UNION ALL '),
      kinds.flatMap((kind) => [...kind, queue, look * looks]),
    );
    const keys = heads
      .sort(inOrder)
      .slice(0, look * looks)
      .map(({ priority, id }) => [priority, id.toString('hex')] as const)
      .filter(([, id]) => !seen.has(id));
    if (keys.length === 0) break;
    for (const [, id] of keys) seen.add(id);
    ready.push(...(await tx.rows<Candidate>(LOCK_READY, [JSON.stringify(keys), queue, look - ready.length])));
    // These were all.
    if (heads.length < look * looks) break;
  }
  return { ready: ready.sort(inOrder), missed: ready.length < Math.min(look, seen.size) };
}

function inOrder(a: { priority: number; id: Buffer }, b: { priority: number; id: Buffer }): number {
  return a.priority - b.priority || Buffer.compare(a.id, b.id);
}

/** `mustNotWait`: the next job has no free place and must not wait for one. */
async function claimFrom(tx: Transaction, ledger: Ledger, asked: Look): Promise<Omit<Claim, 'tied'> & { mustNotWait: boolean }> {
  const { workerId, queue, most, places } = asked;
  const { room, free, mayWait } = places;
  const { ready, missed } = await selectReady(tx, ledger, asked);
  const fitting = room.size === 0 ? ready : withinRoom(ready, room);
  // Behind those for which there is no room may be others: the next claim leaves their types out.
  const passedOver = ready.length > fitting.length;
  const end = fitting.findIndex((row, index) => index >= free && !mayWait(row));
  const mustNotWait = end !== -1;
  const candidates = mustNotWait ? fitting.slice(0, end) : fitting;
  if (candidates.length === 0) return { jobs: [], blocked: [], undecided: missed || passedOver, mustNotWait };

  const now = nowOf(ledger);
  const withId = candidates.map((row) => ({
    ...row,
    key: row.id,
    id: idFromBytes(row.id),
    userId: ledger.types[row.type]?.takesNoSlot === true ? null : row.user_id,
  }));
  const { run, block, undecided } = await takeSlots(tx, ledger, withId, most);
  const taken = withId.filter(({ id }) => run.has(id));
  const withoutSlot = withId.filter(({ id }) => block.has(id));
  leaveReady(
    tx,
    [...taken, ...withoutSlot].map(({ key: id, priority }) => ({ id, queue, priority })),
  );
  enterRunning(
    tx,
    { worker_id: workerId, started_at: now, due_at: after(now, ledger.leaseSeconds) },
    taken.map(({ key: id, attempt, has_dependents, user_id, dedupe_key }) => ({
      ...{ id, attempt: attempt + 1, has_dependents, user_id, dedupe_key },
    })),
  );
  if (withoutSlot.length > 0) {
    enterBlocked(
      tx,
      withoutSlot.map(({ key: id, priority, attempt, due_at }) => ({ id, queue, priority, attempt, due_at, blocked_on: 'slot' })),
    );
    tx.later('INSERT INTO slot_waits (user_id, priority, job_id) VALUES ?', [
      withoutSlot.flatMap(({ id, key, priority }) => (block.get(id) ?? []).map((user) => [user, priority, key])),
    ]);
  }
  const wokenBehind = await offerFreeSlots(
    tx,
    ledger,
    taken.flatMap(({ id, blocked_on }) => (blocked_on === null ? [] : [id])),
    { claimed: true },
  );
  const jobs = taken.map((row) => ({
    id: row.id,
    type: row.type,
    symbol: row.symbol,
    queue,
    level: levelOf(row.priority),
    score: scoreOf(row.priority),
    attempt: row.attempt + 1,
    maxAttempts: row.max_attempts,
    deaths: row.deaths,
    hasDependents: row.has_dependents === 1,
    userId: row.user_id,
    dedupeKey: row.dedupe_key,
    payload: fromJson(row.payload),
    triggeredBy: row.triggered_by,
    enqueuedAt: row.enqueued_at,
    startedAt: now,
    trace: row.trace,
  }));
  return { jobs, blocked: [...block.keys()], undecided: missed || undecided > 0 || wokenBehind.length > 0 || passedOver, mustNotWait };
}
