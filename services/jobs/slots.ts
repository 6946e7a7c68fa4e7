/**
 * Per-user slots: each user has `slotsPerUser` rows in `user_slots`, and a job of a user's runs only while it holds one of them, of any of its subscribers. A job
 * without a free one waits as `blocked`, outside the claim's index, and the release of a slot makes the most urgent job that waits for it `ready`.
 *
 * Nobody waits for a slot row: they are taken with SKIP LOCKED. A user with a row that somebody else holds locked at this moment is `undecided`: the job stays
 * ready for the next claim. A job is blocked only when all rows of all its users were seen taken and are locked by us, so no release can slip in between.
 */
import type { Transaction } from '../platform/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import type { Ledger } from './job.ts';

/** Users whose rows are known to exist, per database. Bounded: forgetting one costs one INSERT IGNORE. */
const ensured = new WeakMap<object, Set<string>>();
const ENSURED_MAX = 100_000;

/** Makes the slot rows of users who have none yet. */
export async function ensureSlots(tx: Transaction, ledger: Ledger, users: Iterable<string>): Promise<void> {
  let known = ensured.get(ledger.db);
  if (known === undefined || known.size > ENSURED_MAX) {
    known = new Set();
    ensured.set(ledger.db, known);
  }
  const missing = [...users].filter((user) => !known.has(user)).sort();
  if (missing.length === 0) return;
  await tx.run('INSERT IGNORE INTO user_slots (user_id, slot) VALUES ?', [missing.flatMap((user) => Array.from({ length: ledger.slotsPerUser }, (_, slot) => [user, slot + 1]))]);
  for (const user of missing) known.add(user);
}

export interface SlotDecision {
  /** Jobs that may run now; those with subscribers hold a slot. */
  run: Set<string>;
  /** Jobs all of whose users have no free slot, with these users. */
  block: Map<string, string[]>;
}

/** Decides which of the candidates (in the order of their urgency) get a slot, and takes it. Jobs in neither set are undecided. */
export async function takeSlots(tx: Transaction, ledger: Ledger, candidates: readonly { id: string; userId: string | null }[]): Promise<SlotDecision> {
  const decision: SlotDecision = { run: new Set(candidates.filter(({ userId }) => userId === null).map(({ id }) => id)), block: new Map() };
  const owned = candidates.filter((job): job is { id: string; userId: string } => job.userId !== null);
  if (owned.length === 0) return decision;

  const slots = new SlotTable(ledger.slotsPerUser);
  // Who asked first, for most jobs, is under the limit: the other subscribers are read only for the rest.
  await slots.lock(tx, new Set(owned.map(({ userId }) => userId)));
  const rest: string[] = [];
  for (const { id, userId } of owned) {
    if (slots.take(userId, id)) decision.run.add(id);
    else rest.push(id);
  }
  if (rest.length > 0) {
    const subscribers = await subscribersOf(tx, rest);
    await slots.lock(tx, new Set([...subscribers.values()].flat()));
    for (const id of rest) {
      const users = subscribers.get(id) ?? [];
      if (users.some((user) => slots.take(user, id))) decision.run.add(id);
      else if (users.every((user) => slots.isFull(user))) decision.block.set(id, users);
    }
  }
  await slots.save(tx);
  return decision;
}

/** The rows that this transaction has locked: which are free, which are taken. */
class SlotTable {
  readonly #free = new Map<string, number[]>();
  readonly #seen = new Map<string, number>();
  readonly #taken: [string, number, Buffer][] = [];
  readonly #perUser: number;
  constructor(perUser: number) {
    this.#perUser = perUser;
  }

  async lock(tx: Transaction, users: ReadonlySet<string>): Promise<void> {
    const asked = [...users].filter((user) => !this.#seen.has(user)).sort();
    if (asked.length === 0) return;
    for (const user of asked) this.#seen.set(user, 0);
    const rows = await tx.rows<{ user_id: string; slot: number; job_id: Buffer | null }>(
      'SELECT user_id, slot, job_id FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?) AND slot <= ? ORDER BY user_id, slot FOR UPDATE SKIP LOCKED',
      [asked, this.#perUser],
    );
    for (const { user_id: user, slot, job_id } of rows) {
      this.#seen.set(user, (this.#seen.get(user) ?? 0) + 1);
      if (job_id === null) this.#free.set(user, [...(this.#free.get(user) ?? []), slot]);
    }
  }

  take(user: string, jobId: string): boolean {
    const slot = this.#free.get(user)?.shift();
    if (slot === undefined) return false;
    this.#taken.push([user, slot, idToBytes(jobId)]);
    return true;
  }

  isFull(user: string): boolean {
    return this.#seen.get(user) === this.#perUser && (this.#free.get(user)?.length ?? 0) === 0;
  }

  async save(tx: Transaction): Promise<void> {
    await writeSlots(tx, this.#taken);
  }
}

/** Sets the holder of each slot row, found by primary key (a row-constructor IN is not a range on every server). */
async function writeSlots(tx: Transaction, rows: readonly (readonly [string, number, Buffer | null])[]): Promise<void> {
  if (rows.length > 0) await tx.run('INSERT INTO user_slots (user_id, slot, job_id) VALUES ? ON DUPLICATE KEY UPDATE job_id = VALUES(job_id)', [rows]);
}

async function subscribersOf(tx: Transaction, ids: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await tx.rows<{ job_id: Buffer; user_id: string }>('SELECT job_id, user_id FROM job_subscribers WHERE job_id IN (?) ORDER BY job_id, user_id', [sortedBytes(ids)]);
  const users = new Map<string, string[]>();
  for (const { job_id, user_id } of rows) {
    const id = idFromBytes(job_id);
    users.set(id, [...(users.get(id) ?? []), user_id]);
  }
  return users;
}

/** Frees the slots of jobs that no longer run and makes, for each freed slot, the most urgent job that waits for it ready. Returns the jobs made ready. */
export async function releaseSlots(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  const held = await tx.rows<{ user_id: string; slot: number }>('SELECT user_id, slot FROM user_slots FORCE INDEX (ix_job) WHERE job_id IN (?)', [sortedBytes(ids)]);
  if (held.length === 0) return [];
  held.sort((a, b) => (a.user_id < b.user_id ? -1 : a.user_id > b.user_id ? 1 : a.slot - b.slot));
  await writeSlots(
    tx,
    held.map(({ user_id, slot }) => [user_id, slot, null]),
  );
  return wakeWaiting(tx, Map.groupBy(held, ({ user_id }) => user_id));
}

async function wakeWaiting(tx: Transaction, freed: ReadonlyMap<string, readonly unknown[]>): Promise<string[]> {
  const waits = await tx.rows<{ user_id: string; job_id: Buffer; place: number }>(
    `SELECT user_id, job_id, place FROM (
       SELECT user_id, job_id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY priority, job_id) AS place FROM slot_waits WHERE user_id IN (?)
     ) w WHERE place <= ?`,
    [[...freed.keys()], Math.max(...[...freed.values()].map((slots) => slots.length))],
  );
  const ids = sortedBytes(waits.filter(({ user_id, place }) => place <= (freed.get(user_id)?.length ?? 0)).map(({ job_id }) => idFromBytes(job_id)));
  if (ids.length === 0) return [];
  await tx.run("UPDATE jobs SET state = 'ready', blocked_on = NULL WHERE id IN (?) AND state = 'blocked' AND blocked_on = 'slot'", [ids]);
  await tx.run('DELETE FROM slot_waits WHERE job_id IN (?)', [ids]);
  return ids.map(idFromBytes);
}

/**
 * Frees slots whose job does not run (a row edited by hand, a lowered `max_concurrent_per_user`) and wakes jobs that wait although a slot is free.
 * The ledger's own transactions never leave either behind. Returns the jobs made ready.
 */
export async function healSlots(tx: Transaction): Promise<string[]> {
  const orphans = await tx.rows<{ user_id: string; slot: number }>(
    `SELECT s.user_id, s.slot FROM user_slots s FORCE INDEX (ix_job) LEFT JOIN jobs j ON j.id = s.job_id
      WHERE s.job_id IS NOT NULL AND (j.id IS NULL OR j.state <> 'running') LIMIT 500 FOR UPDATE SKIP LOCKED`,
  );
  await writeSlots(
    tx,
    orphans.map(({ user_id, slot }) => [user_id, slot, null]),
  );
  const idle = await tx.rows<{ user_id: string; slot: number }>(
    `SELECT s.user_id, s.slot FROM (SELECT DISTINCT user_id FROM slot_waits LIMIT 500) w JOIN user_slots s ON s.user_id = w.user_id AND s.job_id IS NULL`,
  );
  return idle.length === 0 ? [] : wakeWaiting(tx, Map.groupBy(idle, ({ user_id }) => user_id));
}
