/**
 * Per-user slots: each user has `slotsPerUser` rows in `user_slots`, and a job of a user's runs only while it holds one of them, of any of its subscribers. A job
 * without a free one waits as `blocked`, outside the claim's index, and the release of a slot makes the most urgent job that waits for it `ready`.
 *
 * Nobody waits for a slot row while claiming: they are taken with SKIP LOCKED. A user with a row that somebody else holds locked at this moment is undecided: the
 * job stays ready for the next claim. A job is blocked only when all rows of all its users were seen taken and are locked by us, so no release can slip in between.
 *
 * A job that was woken for a free slot keeps `blocked_on = 'slot'` while it is ready: should it leave that state without using the slot, the slot is passed on.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { idFromBytes, idToBytes, sortedBytes } from '../id.ts';
import type { Ledger } from '../job.ts';

export interface SlotDecision {
  /** Jobs that may run now; those of users hold a slot. */
  run: Set<string>;
  /** Jobs all of whose users have no free slot, with these users. */
  block: Map<string, string[]>;
  /** Jobs that nothing can be said about: a user's slots are in the hands of another transaction. */
  undecided: number;
}

type SlotRow = readonly [user: string, slot: number, jobId: Buffer | null];

/** Decides which of the candidates (in the order of their urgency) get a slot, `most` of them at most, and takes it. Those behind the last one are left as they are. */
export async function takeSlots(
  tx: Transaction,
  ledger: Ledger,
  candidates: readonly { id: string; userId: string | null }[],
  most: number,
): Promise<SlotDecision> {
  const table = new SlotTable(ledger.slotsPerUser);
  // Who asked first is, for most jobs, under the limit: the other subscribers are read only for the rest.
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

  /** Whether all slots of the user are locked by us, so none can become free unseen. */
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

  /** Makes the rows that users lack: new users, or all of them after the limit was raised. Here and not when the job is enqueued, so no cache can outlive a rollback. */
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
  return wake(tx, countBy(held));
}

/**
 * Jobs that were woken for a free slot and no longer want it, or took one of another user: wakes those behind them. Only jobs with several users can have left a
 * slot over after they were claimed (`claimed`). Returns the jobs made ready.
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
  return wake(tx, countBy(free));
}

/**
 * Makes up to so many jobs of each user ready that wait for a slot of that user, the most urgent first. Waits for nobody: whoever holds a waiting job is moving it
 * on himself (joining, cancelling, waking it), and mostly wants a row that we hold; if he gives up instead, `healSlots` finds the free slot.
 */
async function wake(tx: Transaction, slots: ReadonlyMap<string, number>): Promise<string[]> {
  const wanted = new Map(slots);
  const woken: string[] = [];
  const held = new Set<string>();
  while (wanted.size > 0) {
    const chosen = await choose(tx, wanted, held);
    if (chosen.size === 0) break;
    const got = new Set(await wakeChosen(tx, [...chosen.keys()]));
    woken.push(...got);
    const counts = new Map<string, number>();
    for (const [id, user] of chosen) {
      counts.set(user, (counts.get(user) ?? 0) + (got.has(id) ? 1 : 0));
      if (!got.has(id)) held.add(id);
    }
    for (const [user, count] of wanted) {
      const woke = counts.get(user);
      // Nothing chosen: nobody waits any more.
      if (woke === undefined || woke === count) wanted.delete(user);
      else wanted.set(user, count - woke);
    }
  }
  return woken;
}

/** A read of more waiting jobs than this is limited for each user instead. */
const MOST_READ_AT_ONCE = 500;

/** The next waiting jobs of each user, each for one user only. */
async function choose(tx: Transaction, wanted: ReadonlyMap<string, number>, held: ReadonlySet<string>): Promise<Map<string, string>> {
  const users = [...wanted].sort(([a], [b]) => (a < b ? -1 : 1));
  // Both walk the primary key of slot_waits and nothing else. The second costs the server ten times the parsing, so it is for long lines only.
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

async function wakeChosen(tx: Transaction, ids: readonly string[]): Promise<string[]> {
  const rows = await tx.rows<{ id: Buffer }>(
    "SELECT id FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state = 'blocked' AND blocked_on = 'slot' ORDER BY id FOR UPDATE SKIP LOCKED",
    [sortedBytes(ids)],
  );
  if (rows.length === 0) return [];
  const locked = rows.map(({ id }) => id);
  tx.later("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'ready' WHERE id IN (?)", [locked]);
  await stopWaiting(tx, locked);
  return locked.map(idFromBytes);
}

/** Removes jobs, whose rows are locked, from those that wait for a slot. */
export async function stopWaiting(tx: Transaction, ids: readonly Buffer[]): Promise<void> {
  if (ids.length > 0) tx.later('DELETE w FROM slot_waits w FORCE INDEX (ix_job) WHERE w.job_id IN (?)', [ids]);
}

/**
 * Wakes jobs that wait although a slot is free (whoever held them when it became free gave up, or the limit was raised), and frees slots whose job does not run
 * (a row edited by hand). To be run every few seconds. Returns the jobs made ready.
 */
export async function healSlots(tx: Transaction, ledger: Pick<Ledger, 'slotsPerUser'>): Promise<string[]> {
  // A plain read: slot and state change in the same commit, so one snapshot never shows a running job's slot as an orphan; a locked row that is skipped would.
  const orphans = await tx.rows<{ user_id: string; slot: number; job_id: Buffer }>(
    `SELECT s.user_id, s.slot, s.job_id FROM user_slots s FORCE INDEX (ix_job)
      WHERE s.job_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = s.job_id AND j.state = 'running') ORDER BY s.user_id, s.slot LIMIT 500`,
  );
  for (const { user_id, slot, job_id } of orphans)
    tx.later('UPDATE user_slots SET job_id = NULL WHERE user_id = ? AND slot = ? AND job_id = ?', [user_id, slot, job_id]);
  const idle = await tx.rows<{ user_id: string; slots: number }>(
    `SELECT w.user_id, ? - COUNT(s.job_id) AS slots
       FROM (SELECT DISTINCT user_id FROM slot_waits LIMIT 500) w LEFT JOIN user_slots s ON s.user_id = w.user_id AND s.slot <= ?
      GROUP BY w.user_id HAVING slots > 0`,
    [ledger.slotsPerUser, ledger.slotsPerUser],
  );
  return wake(tx, new Map(idle.map(({ user_id, slots }) => [user_id, slots])));
}

function countBy(rows: readonly { user_id: string }[]): Map<string, number> {
  return new Map([...Map.groupBy(rows, ({ user_id }) => user_id)].map(([user, group]) => [user, group.length]));
}
