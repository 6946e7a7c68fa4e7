/** Counts of a round and of a case, read from the hook and from the database. */
import { setTimeout as delay } from 'node:timers/promises';
import { addHoldings } from '../../../services/market/portfolios/holdings.ts';
import type { Database } from '../../../services/platform/database/database.ts';
import { type SentLogin, userOf } from './load.ts';

export interface Counts {
  sent: number;
  acknowledged: number;
  /** Sent logins whose row stands in `user_portfolio_priority`. */
  committed: number;
  /** Acknowledged and not committed. */
  lost: number;
  /** Answered more than once on the broker. A login that a hook repeats may be: the ledger counts it once. */
  answeredTwice: number;
  /** Milliseconds between making a login and the transaction that committed it, the longest. */
  longestMs: number;
}

export interface JobCounts {
  /** Jobs that logins with holdings caused. */
  jobs: number;
  /** Jobs beyond the one of its type that a user's symbol needs. */
  jobsTwice: number;
  /** Jobs of such symbols that have not completed. */
  jobsUndone: number;
}

/** One login in so many is of a user who holds a symbol, which no other user holds. */
const HOLDING_EVERY = 10;

const symbolOf = (users: string, index: number): string => `${users}-${index}`.toUpperCase();

/** Gives holdings to users of a round before they sign in. */
export async function addUsers(db: Database, users: string, count: number): Promise<void> {
  const indexes = Array.from({ length: Math.ceil(count / HOLDING_EVERY) }, (_, index) => index * HOLDING_EVERY);
  const positions = indexes.map((index) => ({ user: userOf(users, index), symbol: symbolOf(users, index), quantity: 1, cost: 1 }));
  await db.transaction((tx) => addHoldings(tx, positions, new Date()));
}

/** Those of `logins` that are committed, by user id, with the moment of their transaction in epoch milliseconds. */
export async function readCommitted(db: Database, users: string, logins: readonly SentLogin[]): Promise<Map<string, number>> {
  const rows = await db.rows<{ user_id: string; at: Date; admitted_at: Date }>(
    'SELECT user_id, at, admitted_at FROM user_portfolio_priority WHERE user_id LIKE ?',
    [`${users}-%`],
  );
  const committed = new Map(rows.map(({ user_id, at, admitted_at }) => [`${user_id} ${at.getTime()}`, admitted_at.getTime()]));
  return new Map(
    logins.flatMap(({ userId, at }) => {
      const moment = committed.get(`${userId} ${at}`);
      return moment === undefined ? [] : [[userId, moment]];
    }),
  );
}

/** What one round counts. `committed` as `readCommitted` gives it. */
export function countRound(logins: readonly SentLogin[], committed: ReadonlyMap<string, number>): Omit<Counts, 'answeredTwice'> {
  return {
    sent: logins.length,
    acknowledged: logins.filter(({ acknowledged }) => acknowledged).length,
    committed: committed.size,
    lost: logins.filter(({ userId, acknowledged }) => acknowledged && !committed.has(userId)).length,
    longestMs: Math.max(0, ...logins.map(({ userId, at }) => (committed.get(userId) ?? at) - at)),
  };
}

const POLL_MS = 50;

/** Waits until every acknowledged login is committed; gives up when none of the missing ones came for `quietMs`. */
export async function untilCommitted(
  db: Database,
  users: string,
  logins: readonly SentLogin[],
  quietMs: number,
): Promise<Map<string, number>> {
  let fewest = Number.POSITIVE_INFINITY;
  for (let since = performance.now(); ; await delay(POLL_MS)) {
    const committed = await readCommitted(db, users, logins);
    const { lost } = countRound(logins, committed);
    if (lost < fewest) since = performance.now();
    fewest = Math.min(fewest, lost);
    if (lost === 0 || performance.now() - since > quietMs) return committed;
  }
}

/** The jobs for symbols of users whose names begin with `users`; waits at most `timeoutMs` for the last of them to complete. */
export async function countJobs(db: Database, users: string, timeoutMs: number): Promise<JobCounts> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const rows = await db.rows<{ symbol: string; type: string; jobs: number; undone: number }>(
      "SELECT symbol, type, COUNT(*) AS jobs, CAST(SUM(state <> 'completed') AS SIGNED) AS undone FROM job_states WHERE symbol LIKE ? GROUP BY symbol, type",
      [`${users.toUpperCase()}%`],
    );
    const sum = (value: (row: (typeof rows)[number]) => number): number => rows.reduce((total, row) => total + value(row), 0);
    const counts = {
      jobs: sum(({ jobs }) => jobs),
      jobsTwice: sum(({ jobs }) => jobs - 1),
      jobsUndone: sum(({ undone }) => Number(undone)),
    };
    if (counts.jobsUndone === 0 || performance.now() > end) return counts;
    await delay(POLL_MS);
  }
}
