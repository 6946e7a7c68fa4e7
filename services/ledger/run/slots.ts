/**
 * Per-user slots. Each user has `slotsPerUser` rows in `user_slots`. A job with users runs only while it holds one of these rows, of any of its users. A job
 * without a free slot waits as `blocked`, outside the claim's index. The release of a slot makes the most urgent job that waits for it `ready`.
 *
 * A claim never waits for a slot row: it takes slots with SKIP LOCKED. When another transaction has locked a slot row of a user, nothing is decided for that user
 * and the job stays ready for the next claim. A job is blocked only when this transaction has locked all rows of all its users and none is free, so no release can
 * come in between.
 *
 * A job that was made ready for a free slot keeps `blocked_on = 'slot'` until it is claimed. If it leaves `ready` without using the slot, the slot is offered to
 * the next waiting job.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import type { Change, Ledger } from '../job.ts';
import { move } from '../states/move.ts';
import { lockFreeJobs } from '../states/standing.ts';

export interface SlotDecision {
  /** Jobs that may run now; those of users hold a slot. */
  run: Set<string>;
  /** Jobs all of whose users have no free slot, with these users. */
  block: Map<string, string[]>;
  /** Number of jobs that are left for the next claim: another transaction has locked slots of their users. */
  undecided: number;
}

type SlotRow = readonly [user: string, slot: number, jobId: Buffer | null];

/** The slots of users that this transaction has locked: the numbers of the free ones, and whether these are all that the user has, so that none can become free meanwhile. */
type Slots = Map<string, { free: number[]; isWhole: boolean }>;

/** Decides which of the candidates (most urgent first) get a slot, at most `most` of them, and takes the slots. Candidates behind the last one are left as they are. */
export async function takeSlots(
  tx: Transaction,
  ledger: Ledger,
  candidates: readonly { id: string; userId: string | null }[],
  most: number,
): Promise<SlotDecision> {
  const slots: Slots = new Map();
  // For most jobs the user who asked first is under the limit. The other subscribers are read only for the rest.
  const users = new Map(candidates.flatMap(({ id, userId }) => (userId === null ? [] : [[id, [userId]]])));
  const complete = new Set<string>();
  for (;;) {
    const unknown = [...new Set([...users.values()].flat())].filter((user) => !slots.has(user));
    for (const [user, own] of await lockSlots(tx, ledger, unknown.sort())) slots.set(user, own);
    const { decision, taken } = decide(slots, candidates, users, most);
    const unread = [...decision.block.keys()].filter((id) => !complete.has(id));
    if (unread.length === 0) {
      writeSlots(tx, taken);
      return decision;
    }
    for (const [id, subscribers] of await subscribersOf(tx, unread))
      users.set(id, [...new Set([...(users.get(id) ?? []), ...subscribers])]);
    for (const id of unread) complete.add(id);
  }
}

function decide(slots: Slots, candidates: readonly { id: string }[], users: ReadonlyMap<string, readonly string[]>, most: number) {
  const decision: SlotDecision = { run: new Set(), block: new Map(), undecided: 0 };
  const taken: SlotRow[] = [];
  const left = new Map([...slots].map(([user, { free }]) => [user, [...free]]));
  for (const { id } of candidates) {
    if (decision.run.size === most) break;
    const asked = users.get(id) ?? [];
    const user = asked.find((one) => (left.get(one) ?? []).length > 0);
    if (user !== undefined) taken.push([user, left.get(user)?.shift() as number, idToBytes(id)]);
    if (user !== undefined || asked.length === 0) decision.run.add(id);
    else if (asked.every((one) => slots.get(one)?.isWhole)) decision.block.set(id, [...asked]);
    else decision.undecided++;
  }
  return { decision, taken };
}

async function lockSlots(tx: Transaction, { slotsPerUser }: Ledger, users: readonly string[]): Promise<Slots> {
  const lock = async (some: readonly string[]): Promise<Slots> => {
    if (some.length === 0) return new Map();
    const rows = await tx.rows<{ user_id: string; slot: number; job_id: Buffer | null }>(
      'SELECT user_id, slot, job_id FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?) AND slot <= ? ORDER BY user_id, slot FOR UPDATE SKIP LOCKED',
      [some, slotsPerUser],
    );
    const rowsOf = Map.groupBy(rows, ({ user_id }) => user_id);
    return new Map(
      some.map((user) => {
        const own = rowsOf.get(user) ?? [];
        return [user, { free: own.flatMap(({ slot, job_id }) => (job_id === null ? [slot] : [])), isWhole: own.length === slotsPerUser }];
      }),
    );
  };
  const slots = await lock(users);
  const partly = users.filter((user) => !slots.get(user)?.isWhole);
  return partly.length === 0 ? slots : new Map([...slots, ...(await lock(await makeMissing(tx, slotsPerUser, partly)))]);
}

/**
 * Inserts the rows that users lack: of new users, or of all after the limit was raised. Returns those users. Done by the claim and not by the enqueue, which would need a cache
 * that a rollback makes wrong.
 */
async function makeMissing(tx: Transaction, perUser: number, users: readonly string[]): Promise<string[]> {
  const rows = await tx.rows<{ user_id: string; slot: number }>(
    'SELECT user_id, slot FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?)',
    [users],
  );
  const present = new Set(rows.map(({ user_id, slot }) => `${slot} ${user_id}`));
  const slots = Array.from({ length: perUser }, (_, index) => index + 1);
  const missing = users.flatMap((user) => slots.flatMap((slot) => (present.has(`${slot} ${user}`) ? [] : [[user, slot] as const])));
  if (missing.length > 0) tx.later('INSERT IGNORE INTO user_slots (user_id, slot) VALUES ?', [missing]);
  return [...new Set(missing.map(([user]) => user))];
}

/** Sets the holder of each slot row, found by primary key (a row-constructor IN is not a range on every server). */
function writeSlots(tx: Transaction, rows: readonly SlotRow[]): void {
  if (rows.length > 0)
    tx.later('INSERT INTO user_slots (user_id, slot, job_id) VALUES ? ON DUPLICATE KEY UPDATE job_id = VALUES(job_id)', [rows]);
}

async function subscribersOf(tx: Transaction, ids: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await tx.rows<{ job_id: Buffer; user_id: string }>(
    'SELECT job_id, user_id FROM job_subscribers WHERE job_id IN (?) ORDER BY job_id, user_id',
    [sortedBytes(ids)],
  );
  const byJob = Map.groupBy(rows, ({ job_id }) => idFromBytes(job_id));
  return new Map([...byJob].map(([id, group]) => [id, group.map(({ user_id }) => user_id)]));
}

/** Frees the slots of jobs that no longer run and makes, for each freed slot, the most urgent job that waits for it ready. Returns the changes of these. */
export async function releaseSlots(tx: Transaction, ledger: Ledger, ids: readonly string[]): Promise<Change[]> {
  if (ids.length === 0) return [];
  const held = await tx.rows<{ user_id: string; slot: number }>(
    'SELECT user_id, slot FROM user_slots FORCE INDEX (ix_job) WHERE job_id IN (?)',
    [sortedBytes(ids)],
  );
  held.sort((a, b) => (a.user_id < b.user_id ? -1 : a.user_id > b.user_id ? 1 : a.slot - b.slot));
  const free = held.map(({ user_id, slot }): SlotRow => [user_id, slot, null]);
  writeSlots(tx, free);
  return readyWaiters(tx, ledger, countBy(held));
}

/**
 * The jobs `ids` were made ready for a free slot and do not use it: they ended, or took a slot of another user. Makes the jobs that wait behind them ready. Of
 * claimed jobs (`claimed`) only those with several users can have left a slot unused. Returns the changes of the jobs made ready.
 */
export async function offerFreeSlots(
  tx: Transaction,
  ledger: Ledger,
  ids: readonly string[],
  { claimed }: { claimed: boolean },
): Promise<Change[]> {
  if (ids.length === 0) return [];
  const subscribers = [...(await subscribersOf(tx, ids)).values()];
  const users = new Set(subscribers.flatMap((some) => (claimed && some.length === 1 ? [] : some)));
  if (users.size === 0) return [];
  const free = await tx.rows<{ user_id: string }>(
    'SELECT user_id FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?) AND slot <= ? AND job_id IS NULL',
    [[...users].sort(), ledger.slotsPerUser],
  );
  return readyWaiters(tx, ledger, countBy(free));
}

/**
 * Makes the most urgent jobs ready that wait for a slot of a user, as many as `slots` says for that user. Skips locked jobs instead of waiting for them: the
 * transaction that has locked one (a join, a cancel, another release) moves that job itself, and often waits for a row that this one has locked. If it rolls back,
 * `healSlots` finds the free slot.
 */
async function readyWaiters(tx: Transaction, ledger: Ledger, slots: ReadonlyMap<string, number>): Promise<Change[]> {
  const changes: Change[] = [];
  const lockedElsewhere = new Set<string>();
  for (let wanted = slots; wanted.size > 0; ) {
    const chosen = await choose(tx, wanted, lockedElsewhere);
    const rows = (await lockFreeJobs(tx, chosen.keys())).filter(({ state, blocked_on }) => state === 'blocked' && blocked_on === 'slot');
    const made = await move(tx, ledger, rows, () => ({ state: 'ready', blocked_on: 'slot' }));
    const got = new Set(made.map(({ id }) => id));
    changes.push(...made);
    for (const id of chosen.keys()) if (!got.has(id)) lockedElsewhere.add(id);
    // Users for whom no job was chosen have none that waits.
    const left = new Map<string, number>();
    for (const [id, user] of chosen) left.set(user, (left.get(user) ?? (wanted.get(user) as number)) - (got.has(id) ? 1 : 0));
    wanted = new Map([...left].filter(([, count]) => count > 0));
  }
  return changes;
}

/** When so many jobs wait, they are read with a limit for each user instead of all at once. */
const MOST_READ_AT_ONCE = 500;

/** The next waiting jobs of each user, each for one user only. */
async function choose(tx: Transaction, wanted: ReadonlyMap<string, number>, held: ReadonlySet<string>): Promise<Map<string, string>> {
  const users = [...wanted].sort(([a], [b]) => (a < b ? -1 : 1));
  // Both statements walk only the primary key of slot_waits. The second takes the server ten times as long to parse, so it is for long queues only.
  let waits = await tx.rows<{ user_id: string; job_id: Buffer }>(
    `SELECT user_id, job_id FROM slot_waits FORCE INDEX (PRIMARY) WHERE user_id IN (?) ORDER BY user_id, priority, job_id LIMIT ${MOST_READ_AT_ONCE}`,
    [users.map(([user]) => user)],
  );
  if (waits.length === MOST_READ_AT_ONCE)
    waits = await tx.rows(
      users.map(() => '(SELECT user_id, job_id FROM slot_waits WHERE user_id = ? ORDER BY priority, job_id LIMIT ?)').join(' UNION ALL '),
      users.flatMap(([user, count]) => [user, count + held.size]),
    );
  const chosen = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const { user_id: user, job_id } of waits) {
    const id = idFromBytes(job_id);
    const count = counts.get(user) ?? 0;
    if (held.has(id) || chosen.has(id) || count === wanted.get(user)) continue;
    chosen.set(id, user);
    counts.set(user, count + 1);
  }
  return chosen;
}

/**
 * Makes jobs ready that wait although a slot is free (a transaction that had locked them rolled back, or the limit was raised), and frees slots whose job does
 * not run (a row edited by hand). To be run every few seconds. Returns the changes of the jobs made ready.
 */
export async function healSlots(tx: Transaction, ledger: Ledger): Promise<Change[]> {
  // A plain read: slot and state change in one commit, so a snapshot never shows the slot of a running job as an orphan. SKIP LOCKED would.
  const orphans = await tx.rows<{ user_id: string; slot: number; job_id: Buffer }>(
    `SELECT s.user_id, s.slot, s.job_id FROM user_slots s FORCE INDEX (ix_job)
      WHERE s.job_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM running n WHERE n.job_id = s.job_id) ORDER BY s.user_id, s.slot LIMIT 500`,
  );
  for (const { user_id, slot, job_id } of orphans)
    tx.later('UPDATE user_slots SET job_id = NULL WHERE user_id = ? AND slot = ? AND job_id = ?', [user_id, slot, job_id]);
  const idle = await tx.rows<{ user_id: string; slots: number }>(
    `SELECT w.user_id, ? - COUNT(s.job_id) AS slots
       FROM (SELECT DISTINCT user_id FROM slot_waits LIMIT 500) w LEFT JOIN user_slots s ON s.user_id = w.user_id AND s.slot <= ?
      GROUP BY w.user_id HAVING slots > 0`,
    [ledger.slotsPerUser, ledger.slotsPerUser],
  );
  return readyWaiters(tx, ledger, new Map(idle.map(({ user_id, slots }) => [user_id, slots])));
}

function countBy(rows: readonly { user_id: string }[]): Map<string, number> {
  return new Map([...Map.groupBy(rows, ({ user_id }) => user_id)].map(([user, group]) => [user, group.length]));
}
