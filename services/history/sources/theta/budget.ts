/**
 * The requests that an account may have under way, by all workers together: one row of `history_budgets` each, which a request holds under a lease. ThetaData counts by
 * account, queues what is too much and then answers 429, so a limit in each worker would be wrong as soon as there are two.
 *
 * A slot whose worker was killed is free when its lease has run out. Times are the database's.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, isSettled } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/database/database.ts';
import { messageOf, TransientError } from '../../../platform/errors.ts';
import type { Logger } from '../../../platform/log/log.ts';

export interface AccountBudget {
  /**
   * Waits for a slot, in the order of the calls of this process. Errors: the reason of `signal`; those of the database; `TransientError('theta.budget')` when all slots were in
   * use for half an hour.
   */
  acquire(signal: AbortSignal): Promise<Slot>;
  /**
   * The account asked too much, with a request that began at `began`: half of the slots that are in use rest for a minute, for all workers. Nothing happens when they were
   * halved after that request began, since many requests are refused together.
   */
  halve(began: Temporal.Instant): Promise<void>;
}

export interface Slot {
  /** Aborts when the lease was lost: another worker may have the slot. */
  readonly lost: AbortSignal;
  readonly since: Temporal.Instant;
  /** `requests`: how many were sent. Never rejects: a slot that could not be given back is free when its lease has run out. */
  release(requests: number): Promise<void>;
}

export interface BudgetOptions {
  db: Pick<Database, 'rows' | 'run' | 'transaction'>;
  clock: Clock;
  log: Pick<Logger, 'warn'>;
  account: string;
  /** Requests that the account may have under way. */
  slots: () => number;
  /** The limit of requests a minute of an account with one slot. */
  perMinute?: number | undefined;
  /** Name of this process, for people. */
  holder: string;
  leaseMs?: number;
}

const LEASE_MS = 30_000;
const REST_MS = 60_000;
/** Between two looks for a free slot; a slot that this process gives back is seen at once. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
const LONGEST_WAIT_MS = 30 * 60_000;

interface Held {
  slot: number;
  /** In the row's `holder`. */
  token: string;
  since: Temporal.Instant;
  lost: AbortController;
  /** When the lease was last renewed, by `performance.now()`. */
  renewedMs: number;
}

interface Waiting {
  sinceMs: number;
  resolve(slot: Slot): void;
  reject(error: unknown): void;
}

export function accountBudget(options: BudgetOptions): AccountBudget {
  const leases = slotLeases(options);
  const waiting: Waiting[] = [];
  let looking = false;
  /** A slot was given back since the last look. */
  let woken = false;
  let pause = new AbortController();
  const wake = (): void => {
    woken = true;
    pause.abort();
  };

  /** Rejects those that have waited too long: they are in the order of their calls. */
  function rejectLate(): void {
    const now = performance.now();
    while (waiting.length > 0 && now - waiting[0]!.sinceMs > LONGEST_WAIT_MS) waiting.shift()!.reject(inUse(options.slots()));
  }

  /** Looks for slots as long as somebody waits: one query at a time, however many wait. */
  async function look(): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; waiting.length > 0; rejectLate()) {
      woken = false;
      const slots = await leases.take(waiting.length);
      if (slots.length === 0) {
        pause = new AbortController();
        // Rejects when it is woken, and only then.
        if (!woken) await sleep(pauseMs * (0.75 + Math.random() / 2), undefined, { signal: pause.signal }).catch(() => undefined);
        pauseMs = woken ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
        continue;
      }
      pauseMs = FIRST_PAUSE_MS;
      for (const slot of slots) {
        const release = (requests: number): Promise<void> => slot.release(requests).then(wake);
        const first = waiting.shift();
        if (first === undefined) await release(0);
        else first.resolve({ ...slot, release });
      }
    }
  }

  function start(): void {
    if (looking || waiting.length === 0) return;
    looking = true;
    look()
      .catch((error: unknown) => {
        for (const one of waiting.splice(0)) one.reject(error);
      })
      .finally(() => {
        looking = false;
        // Of one that came after the last look.
        start();
      });
  }

  return {
    acquire(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      const slot = Promise.withResolvers<Slot>();
      const one: Waiting = { sinceMs: performance.now(), resolve: slot.resolve, reject: slot.reject };
      waiting.push(one);
      const giveUp = (): void => {
        const place = waiting.indexOf(one);
        if (place >= 0) waiting.splice(place, 1);
        one.reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp);
      start();
      return slot.promise.finally(() => signal.removeEventListener('abort', giveUp));
    },

    halve: (began) => halve(options, began),
  };
}

async function halve({ db, clock, log, account, slots }: BudgetOptions, began: Temporal.Instant): Promise<void> {
  const now = clock.now();
  const resting = await db.transaction(async (tx) => {
    const rows = await tx.rows<{ slot: number; rests_until: Date | null }>(
      'SELECT slot, rests_until FROM history_budgets WHERE account = ? AND slot < ? ORDER BY slot FOR UPDATE',
      [account, slots()],
    );
    const ends = rows.map(({ rests_until }) => rests_until?.getTime() ?? 0);
    if (Math.max(...ends) - REST_MS >= began.epochMilliseconds) return [];
    const usable = rows.filter((_row, index) => ends[index]! <= now.epochMilliseconds).map(({ slot }) => slot);
    const rest = usable.slice(Math.ceil(usable.length / 2));
    if (rest.length > 0) {
      await tx.run('UPDATE history_budgets SET rests_until = ? WHERE account = ? AND slot IN (?)', [
        dateOf(now.add({ milliseconds: REST_MS })),
        account,
        rest,
      ]);
    }
    return rest;
  });
  if (resting.length > 0) {
    log.warn({ account, slots: resting.length }, `${account}: too many requests; ${resting.length} of its slots rest for 60 s`);
  }
}

function inUse(slots: number): TransientError {
  return new TransientError(
    'theta.budget',
    `the ${slots} requests that the account may have under way (history.theta.tier) were in use for ${LONGEST_WAIT_MS / 60_000} minutes; it is tried again`,
  );
}

/** The leases of this process: they are renewed as long as there are some. */
function slotLeases(options: BudgetOptions) {
  const { db, clock, log, account, slots, holder, leaseMs = LEASE_MS } = options;
  /** By the slot. */
  const held = new Map<number, Held>();
  const name = holder.replaceAll(/[^ -~]/g, '?').slice(0, 47);
  let renewals: NodeJS.Timeout | undefined;
  let rowsThere = 0;

  async function createRows(): Promise<void> {
    const count = slots();
    if (rowsThere >= count) return;
    await db.run('INSERT IGNORE INTO history_budgets (account, slot) VALUES ?', [
      Array.from({ length: count }, (_, slot) => [account, slot]),
    ]);
    rowsThere = count;
  }

  /** At most `most` free slots. */
  async function take(most: number): Promise<Slot[]> {
    await createRows();
    const token = `${name}/${randomBytes(8).toString('hex')}`;
    const since = clock.now();
    const taken = await lockFree(options, { token, since, leaseMs, most });
    if (taken.length > 0) renewals ??= setInterval(() => void renew(), leaseMs / 3).unref();
    return taken.map((slot) => {
      const lease: Held = { slot, token, since, lost: new AbortController(), renewedMs: performance.now() };
      // A slot of ours that ran out unnoticed, and that we have taken again.
      held.get(slot)?.lost.abort(lostError(slot));
      held.set(slot, lease);
      return { lost: lease.lost.signal, since, release: (requests) => release(lease, requests) };
    });
  }

  async function renew(): Promise<void> {
    const leases = [...held.values()];
    if (leases.length === 0) return;
    const beganMs = performance.now();
    const tokens = [...new Set(leases.map((lease) => lease.token))];
    try {
      const until = dateOf(clock.now().add({ milliseconds: leaseMs }));
      await db.run('UPDATE history_budgets SET until = ? WHERE account = ? AND holder IN (?)', [until, account, tokens]);
      const rows = await db.rows<{ slot: number; holder: string }>(
        'SELECT slot, holder FROM history_budgets WHERE account = ? AND holder IN (?)',
        [account, tokens],
      );
      for (const lease of leases) {
        if (rows.some(({ slot, holder }) => slot === lease.slot && holder === lease.token)) lease.renewedMs = beganMs;
        else lose(lease);
      }
    } catch (error) {
      log.warn({ error }, `${account}: cannot renew the leases of its requests: ${messageOf(error)}; tried again`);
      for (const lease of leases) if (performance.now() - lease.renewedMs > leaseMs) lose(lease);
    }
  }

  /** Nothing happens to one that was given back meanwhile. */
  function lose(lease: Held): void {
    if (held.get(lease.slot) !== lease) return;
    held.delete(lease.slot);
    lease.lost.abort(lostError(lease.slot));
  }

  async function release(lease: Held, requests: number): Promise<void> {
    if (held.get(lease.slot) !== lease) return;
    held.delete(lease.slot);
    if (held.size === 0) {
      clearInterval(renewals);
      renewals = undefined;
    }
    try {
      await free(options, lease, requests);
    } catch (error) {
      log.warn({ error }, `${account}: cannot give slot ${lease.slot} back: ${messageOf(error)}; it is free in ${leaseMs / 1000} s`);
    }
  }

  return { take };
}

function lostError(slot: number): TransientError {
  return new TransientError('theta.slot_lost', `the lease of slot ${slot} of the account was lost; the request is sent again`);
}

/** Takes at most `most` free slots. Two workers never wait for each other: each skips the rows that the other one looks at. */
function lockFree(
  { db, clock, account, slots }: BudgetOptions,
  { token, since, leaseMs, most }: { token: string; since: Temporal.Instant; leaseMs: number; most: number },
): Promise<number[]> {
  const now = dateOf(since);
  // After a jump of the clock a lease cannot be judged: its holder may live and renew it.
  const ranOut = isSettled(clock, leaseMs / 1000) ? now : new Date(0);
  return db.transaction(async (tx) => {
    const free = await tx.rows<{ slot: number }>(
      `SELECT slot
       FROM history_budgets
       WHERE account = ? AND slot < ? AND (holder IS NULL OR until <= ?) AND (rests_until IS NULL OR rests_until <= ?)
       ORDER BY slot
       LIMIT ?
       FOR UPDATE SKIP LOCKED`,
      [account, slots(), ranOut, now, most],
    );
    const found = free.map(({ slot }) => slot);
    if (found.length > 0) {
      const until = dateOf(since.add({ milliseconds: leaseMs }));
      await tx.run('UPDATE history_budgets SET holder = ?, until = ? WHERE account = ? AND slot IN (?)', [token, until, account, found]);
    }
    return found;
  });
}

/** Frees the row of a slot. A free account's slot rests until its next request may be sent. */
async function free({ db, account, perMinute }: BudgetOptions, { slot, token, since }: Held, requests: number): Promise<void> {
  const restMs = perMinute === undefined ? 0 : (requests * 60_000) / perMinute;
  const rest = dateOf(since.add({ milliseconds: Math.ceil(restMs) }));
  await db.run(
    'UPDATE history_budgets SET holder = NULL, until = NULL, rests_until = GREATEST(COALESCE(rests_until, ?), ?) WHERE account = ? AND slot = ? AND holder = ?',
    [rest, rest, account, slot, token],
  );
}

function dateOf(instant: Temporal.Instant): Date {
  return new Date(instant.epochMilliseconds);
}
