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
  since: Temporal.Instant;
  lost: AbortController;
  /** When the lease was last renewed, by `performance.now()`. */
  renewedMs: number;
}

interface Waiting {
  signal: AbortSignal;
  sinceMs: number;
  resolve(slot: Slot): void;
  reject(error: unknown): void;
}

export function accountBudget(options: BudgetOptions): AccountBudget {
  const { db, clock, account } = options;
  const leases = slotLeases(options);
  const waiting: Waiting[] = [];
  let looking = false;
  /** A slot was given back, or somebody gave up, since the last look. */
  let woken = false;
  let pause = new AbortController();
  const wake = (): void => {
    woken = true;
    pause.abort();
  };

  /** Rejects those that need not wait any more. */
  function dropGivenUp(): void {
    const now = performance.now();
    for (const one of [...waiting]) {
      const isLate = now - one.sinceMs > LONGEST_WAIT_MS;
      if (!isLate && !one.signal.aborted) continue;
      waiting.splice(waiting.indexOf(one), 1);
      one.reject(one.signal.aborted ? one.signal.reason : inUse(options.slots()));
    }
  }

  /** Looks for slots as long as somebody waits: one query at a time, however many wait. */
  async function look(): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; waiting.length > 0; dropGivenUp()) {
      woken = false;
      const slot = await leases.take();
      if (slot === undefined) {
        pause = new AbortController();
        // Rejects when it is woken, and only then.
        if (!woken) await sleep(pauseMs * (0.75 + Math.random() / 2), undefined, { signal: pause.signal }).catch(() => undefined);
        pauseMs = woken ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
        continue;
      }
      pauseMs = FIRST_PAUSE_MS;
      dropGivenUp();
      const first = waiting.shift();
      if (first === undefined) await slot.release(0);
      else first.resolve({ ...slot, release: (requests) => slot.release(requests).then(wake) });
    }
  }

  return {
    acquire(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      const slot = Promise.withResolvers<Slot>();
      waiting.push({ signal, sinceMs: performance.now(), resolve: slot.resolve, reject: slot.reject });
      signal.addEventListener('abort', wake);
      if (!looking) {
        looking = true;
        look()
          .catch((error: unknown) => {
            for (const one of waiting.splice(0)) one.reject(error);
          })
          .finally(() => {
            looking = false;
          });
      }
      return slot.promise.finally(() => signal.removeEventListener('abort', wake));
    },

    async halve(began) {
      const now = clock.now();
      const resting = await db.transaction(async (tx) => {
        const rows = await tx.rows<{ slot: number; rests_until: Date | null }>(
          'SELECT slot, rests_until FROM history_budgets WHERE account = ? AND slot < ? ORDER BY slot FOR UPDATE',
          [account, options.slots()],
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
        options.log.warn({ account, slots: resting.length }, `${account}: too many requests; ${resting.length} of its slots rest for 60 s`);
      }
    },
  };
}

function inUse(slots: number): TransientError {
  return new TransientError(
    'theta.budget',
    `the ${slots} requests that the account may have under way (history.theta.tier) were in use for ${LONGEST_WAIT_MS / 60_000} minutes; it is tried again`,
  );
}

/** The leases of this process: they are renewed as long as there are some. */
function slotLeases({ db, clock, log, account, slots, perMinute, holder, leaseMs = LEASE_MS }: BudgetOptions) {
  const held = new Map<string, Held>();
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

  /** A free slot; undefined when there is none. */
  async function take(): Promise<Slot | undefined> {
    await createRows();
    const token = `${name}/${randomBytes(8).toString('hex')}`;
    const since = clock.now();
    const now = dateOf(since);
    const slot = await db.transaction(async (tx) => {
      // After a jump of the clock a lease cannot be judged: its holder may live and renew it.
      const [free] = await tx.rows<{ slot: number }>(
        `SELECT slot
         FROM history_budgets
         WHERE account = ? AND slot < ? AND (holder IS NULL OR until <= ?) AND (rests_until IS NULL OR rests_until <= ?)
         ORDER BY slot
         LIMIT 1
         FOR UPDATE SKIP LOCKED`,
        [account, slots(), isSettled(clock, leaseMs / 1000) ? now : new Date(0), now],
      );
      if (free === undefined) return undefined;
      await tx.run('UPDATE history_budgets SET holder = ?, until = ? WHERE account = ? AND slot = ?', [
        token,
        dateOf(since.add({ milliseconds: leaseMs })),
        account,
        free.slot,
      ]);
      return free.slot;
    });
    if (slot === undefined) return undefined;
    const lost = new AbortController();
    held.set(token, { slot, since, lost, renewedMs: performance.now() });
    renewals ??= setInterval(() => void renew(), leaseMs / 3).unref();
    return { lost: lost.signal, since, release: (requests) => release(token, requests) };
  }

  async function renew(): Promise<void> {
    const tokens = [...held.keys()];
    if (tokens.length === 0) return;
    const beganMs = performance.now();
    try {
      const until = dateOf(clock.now().add({ milliseconds: leaseMs }));
      await db.run('UPDATE history_budgets SET until = ? WHERE account = ? AND holder IN (?)', [until, account, tokens]);
      const rows = await db.rows<{ holder: string }>('SELECT holder FROM history_budgets WHERE account = ? AND holder IN (?)', [
        account,
        tokens,
      ]);
      const ours = new Set(rows.map((row) => row.holder));
      for (const token of tokens) {
        const lease = held.get(token);
        if (lease === undefined) continue;
        if (ours.has(token)) lease.renewedMs = beganMs;
        else lose(token, lease);
      }
    } catch (error) {
      log.warn({ error }, `${account}: cannot renew the leases of its requests: ${messageOf(error)}; tried again`);
      for (const [token, lease] of held) if (performance.now() - lease.renewedMs > leaseMs) lose(token, lease);
    }
  }

  function lose(token: string, lease: Held): void {
    held.delete(token);
    lease.lost.abort(
      new TransientError('theta.slot_lost', `the lease of slot ${lease.slot} of ${account} was lost; the request is sent again`),
    );
  }

  async function release(token: string, requests: number): Promise<void> {
    const lease = held.get(token);
    held.delete(token);
    if (held.size === 0) {
      clearInterval(renewals);
      renewals = undefined;
    }
    if (lease === undefined) return;
    const restMs = perMinute === undefined ? 0 : (requests * 60_000) / perMinute;
    const rest = dateOf(lease.since.add({ milliseconds: Math.ceil(restMs) }));
    try {
      await db.run(
        'UPDATE history_budgets SET holder = NULL, until = NULL, rests_until = GREATEST(COALESCE(rests_until, ?), ?) WHERE account = ? AND slot = ? AND holder = ?',
        [rest, rest, account, lease.slot, token],
      );
    } catch (error) {
      log.warn({ error }, `${account}: cannot give slot ${lease.slot} back: ${messageOf(error)}; it is free in ${leaseMs / 1000} s`);
    }
  }

  return { take };
}

function dateOf(instant: Temporal.Instant): Date {
  return new Date(instant.epochMilliseconds);
}
