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
import type { Ledger } from '../job.ts';
import { leaveBlocked } from '../states/blocked.ts';
import { enterReady } from '../states/ready.ts';
import { idOf, lockFreeJobs } from '../states/standing.ts';

export interface SlotDecision {
  /** Jobs that may run now; those of users hold a slot. */
  run: Set<string>;
  /** Jobs all of whose users have no free slot, with these users. */
  block: Map<string, string[]>;
  /** Number of jobs that are left for the next claim: another transaction has locked slots of their users. */
  undecided: number;
}

type SlotRow = readonly [user: string, slot: number, jobId: Buffer | null];

/** Decides which of the candidates (most urgent first) get a slot, at most `most` of them, and takes the slots. Candidates behind the last one are left as they are. */
export async function takeSlots(
  tx: Transaction,
  ledger: Ledger,
  candidates: readonly { id: string; userId: string | null }[],
  most: number,
): Promise<SlotDecision> {
  const table = new SlotTable(ledger.slotsPerUser);
  // For most jobs the user who asked first is under the limit. The other subscribers are read only for the rest.
  const users = new Map<string, string[]>();
  for (const { id, userId } of candidates) if (userId !== null) users.set(id, [userId]);
  const complete = new Set<string>();
  for (;;) {
    await table.lock(tx, new Set([...users.values()].flat()));
    const { decision, taken } = decide(table, candidates, users, most);
    const unread = [...decision.block.keys()].filter((id) => !complete.has(id));
    if (unread.length === 0) {
      await writeSlots(tx, taken);
      return decision;
    }
    for (const [id, subscribers] of await subscribersOf(tx, unread))
      users.set(id, [...new Set([...(users.get(id) ?? []), ...subscribers])]);
    for (const id of unread) complete.add(id);
  }
}

function decide(
  table: SlotTable,
  candidates: readonly { id: string }[],
  users: ReadonlyMap<string, readonly string[]>,
  most: number,
): { decision: SlotDecision; taken: SlotRow[] } {
  const decision: SlotDecision = { run: new Set(), block: new Map(), undecided: 0 };
  const taken: SlotRow[] = [];
  const used = new Map<string, number>();
  for (const { id } of candidates) {
    if (decision.run.size === most) break;
    const asked = users.get(id);
    if (asked === undefined) {
      decision.run.add(id);
      continue;
    }
    const user = asked.find((one) => table.free(one).length > (used.get(one) ?? 0));
    if (user !== undefined) {
      const count = used.get(user) ?? 0;
      taken.push([user, table.free(user)[count] as number, idToBytes(id)]);
      used.set(user, count + 1);
      decision.run.add(id);
    } else if (asked.every((one) => table.isWhole(one))) decision.block.set(id, [...asked]);
    else decision.undecided++;
  }
  return { decision, taken };
}

/** The slot rows that this transaction has locked. */
class SlotTable {
  readonly #free = new Map<string, number[]>();
  readonly #seen = new Map<string, number>();
  readonly #perUser: number;
  constructor(perUser: number) {
    this.#perUser = perUser;
  }

  /** Numbers of the user's free slots. */
  free(user: string): readonly number[] {
    return this.#free.get(user) ?? [];
  }

  /** Whether this transaction has locked all slots of the user, so none can become free meanwhile. */
  isWhole(user: string): boolean {
    return this.#seen.get(user) === this.#perUser;
  }

  async lock(tx: Transaction, users: ReadonlySet<string>): Promise<void> {
    const asked = [...users].filter((user) => !this.#seen.has(user)).sort();
    if (asked.length === 0) return;
    await this.#lockRows(tx, asked);
    const partly = asked.filter((user) => !this.isWhole(user));
    if (partly.length > 0) await this.#lockRows(tx, await this.#makeMissing(tx, partly));
  }

  async #lockRows(tx: Transaction, users: readonly string[]): Promise<void> {
    for (const user of users) {
      this.#seen.set(user, 0);
      this.#free.delete(user);
    }
    if (users.length === 0) return;
    const rows = await tx.rows<{ user_id: string; slot: number; job_id: Buffer | null }>(
      'SELECT user_id, slot, job_id FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?) AND slot <= ? ORDER BY user_id, slot FOR UPDATE SKIP LOCKED',
      [users, this.#perUser],
    );
    for (const { user_id: user, slot, job_id } of rows) {
      this.#seen.set(user, (this.#seen.get(user) ?? 0) + 1);
      if (job_id === null) this.#free.set(user, [...this.free(user), slot]);
    }
  }

  /** Inserts the rows that users lack: of new users, or of all after the limit was raised. Done by the claim and not by the enqueue, which would need a cache that a rollback makes wrong. */
  async #makeMissing(tx: Transaction, users: readonly string[]): Promise<string[]> {
    const rows = await tx.rows<{ user_id: string; slot: number }>(
      'SELECT user_id, slot FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?)',
      [users],
    );
    const present = new Set(rows.map(({ user_id, slot }) => `${slot} ${user_id}`));
    const slots = Array.from({ length: this.#perUser }, (_, index) => index + 1);
    const missing = users.flatMap((user) =>
      slots.filter((slot) => !present.has(`${slot} ${user}`)).map((slot): [string, number] => [user, slot]),
    );
    if (missing.length > 0) tx.later('INSERT IGNORE INTO user_slots (user_id, slot) VALUES ?', [missing]);
    return [...new Set(missing.map(([user]) => user))];
  }
}

/** Sets the holder of each slot row, found by primary key (a row-constructor IN is not a range on every server). */
async function writeSlots(tx: Transaction, rows: readonly SlotRow[]): Promise<void> {
  if (rows.length > 0)
    tx.later('INSERT INTO user_slots (user_id, slot, job_id) VALUES ? ON DUPLICATE KEY UPDATE job_id = VALUES(job_id)', [rows]);
}

async function subscribersOf(tx: Transaction, ids: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await tx.rows<{ job_id: Buffer; user_id: string }>(
    'SELECT job_id, user_id FROM job_subscribers WHERE job_id IN (?) ORDER BY job_id, user_id',
    [sortedBytes(ids)],
  );
  return new Map(
    [...Map.groupBy(rows, ({ job_id }) => idFromBytes(job_id))].map(([id, group]) => [id, group.map(({ user_id }) => user_id)]),
  );
}

/** Frees the slots of jobs that no longer run and makes, for each freed slot, the most urgent job that waits for it ready. Returns the jobs made ready. */
export async function releaseSlots(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const held = await tx.rows<{ user_id: string; slot: number }>(
    'SELECT user_id, slot FROM user_slots FORCE INDEX (ix_job) WHERE job_id IN (?)',
    [sortedBytes(ids)],
  );
  if (held.length === 0) return [];
  held.sort((a, b) => (a.user_id < b.user_id ? -1 : a.user_id > b.user_id ? 1 : a.slot - b.slot));
  await writeSlots(
    tx,
    held.map(({ user_id, slot }) => [user_id, slot, null]),
  );
  return readyWaiters(tx, countBy(held));
}

/**
 * The jobs `ids` were made ready for a free slot and do not use it: they ended, or took a slot of another user. Makes the jobs that wait behind them ready. Of
 * claimed jobs (`claimed`) only those with several users can have left a slot unused. Returns the jobs made ready.
 */
export async function offerFreeSlots(
  tx: Transaction,
  ledger: Ledger,
  ids: readonly string[],
  { claimed }: { claimed: boolean },
): Promise<string[]> {
  if (ids.length === 0) return [];
  const users = new Set(
    [...(await subscribersOf(tx, ids)).values()].flatMap((subscribers) => (claimed && subscribers.length === 1 ? [] : subscribers)),
  );
  if (users.size === 0) return [];
  const free = await tx.rows<{ user_id: string }>(
    'SELECT user_id FROM user_slots FORCE INDEX (PRIMARY) WHERE user_id IN (?) AND slot <= ? AND job_id IS NULL',
    [[...users].sort(), ledger.slotsPerUser],
  );
  return readyWaiters(tx, countBy(free));
}

/**
 * Makes the most urgent jobs ready that wait for a slot of a user, as many as `slots` says for that user. Skips locked jobs instead of waiting for them: the
 * transaction that has locked one (a join, a cancel, another release) moves that job itself, and often waits for a row that this one has locked. If it rolls back,
 * `healSlots` finds the free slot.
 */
async function readyWaiters(tx: Transaction, slots: ReadonlyMap<string, number>): Promise<string[]> {
  const wanted = new Map(slots);
  const readied: string[] = [];
  /** Jobs that another transaction has locked. */
  const lockedElsewhere = new Set<string>();
  while (wanted.size > 0) {
    const chosen = await choose(tx, wanted, lockedElsewhere);
    if (chosen.size === 0) break;
    const got = new Set(await readyChosen(tx, [...chosen.keys()]));
    readied.push(...got);
    const counts = new Map<string, number>();
    for (const [id, user] of chosen) {
      counts.set(user, (counts.get(user) ?? 0) + (got.has(id) ? 1 : 0));
      if (!got.has(id)) lockedElsewhere.add(id);
    }
    for (const [user, count] of wanted) {
      const made = counts.get(user);
      // Undefined: no job waits for this user any more.
      if (made === undefined || made === count) wanted.delete(user);
      else wanted.set(user, count - made);
    }
  }
  return readied;
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

async function readyChosen(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  const rows = (await lockFreeJobs(tx, ids)).filter(({ state, blocked_on }) => state === 'blocked' && blocked_on === 'slot');
  leaveBlocked(tx, rows);
  enterReady(
    tx,
    rows.map((row) => ({ ...row, blocked_on: 'slot' })),
  );
  return rows.map(idOf);
}

/**
 * Makes jobs ready that wait although a slot is free (a transaction that had locked them rolled back, or the limit was raised), and frees slots whose job does
 * not run (a row edited by hand). To be run every few seconds. Returns the jobs made ready.
 */
export async function healSlots(tx: Transaction, ledger: Pick<Ledger, 'slotsPerUser'>): Promise<string[]> {
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
  return readyWaiters(tx, new Map(idle.map(({ user_id, slots }) => [user_id, slots])));
}

function countBy(rows: readonly { user_id: string }[]): Map<string, number> {
  return new Map([...Map.groupBy(rows, ({ user_id }) => user_id)].map(([user, group]) => [user, group.length]));
}
