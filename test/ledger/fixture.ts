/** What the ledger's tests stand on: a database of their own, emptied before each test, and a ledger with round numbers on a clock that stands still until it is moved. */
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';
import { type EnqueueAnswer, type Enqueued, enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import type { Ledger, Queue, State } from '../../services/ledger/job.ts';
import { TABLES_BY_JOB } from '../../services/ledger/maintain/delete.ts';
import { type ClaimedJob, claim } from '../../services/ledger/run/claim.ts';
import { type Completion, complete, fail } from '../../services/ledger/run/complete.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { type Database, openDatabase, type Sql, type Transaction } from '../../services/platform/database/database.ts';
import { PermanentError, TransientError } from '../../services/platform/errors.ts';
import { emptyTables, type TestDatabase, testDatabase } from '../support/database.ts';

export const START = '2026-06-02T14:00:00Z';

export interface JobRow {
  state: State;
  queue: Queue;
  priority: number;
  attempt: number;
  max_attempts: number;
  due_at: Date;
  user_id: string | null;
  worker_id: string | null;
  blocked_on: 'slot' | 'dependency' | null;
  aged: number;
  ended_at: Date | null;
}

export interface Fixture {
  readonly database: TestDatabase;
  readonly db: Database;
  readonly clock: ManualClock;
  /** The same rules on the same database, but for what a test changes. */
  ledger(changes?: Partial<Ledger>): Ledger;
  /** Enqueues and returns the answers. */
  ask(...requests: Partial<JobRequest>[]): Promise<EnqueueAnswer[]>;
  /** Enqueues jobs none of which is refused; returns their ids. */
  add(...requests: Partial<JobRequest>[]): Promise<string[]>;
  take(worker?: string, limit?: number): Promise<ClaimedJob[]>;
  /** Enqueues one job and claims it. */
  running(request?: Partial<JobRequest>, worker?: string): Promise<ClaimedJob>;
  done(job: ClaimedJob, worker?: string): Promise<void>;
  /** Ends a job by a permanent error. */
  broken(job: ClaimedJob, worker?: string): Promise<void>;
  row(id: string): Promise<JobRow>;
  state(id: string): Promise<State>;
  reason(id: string): Promise<{ code: string | null; reason: string | null } | undefined>;
  count(sql: string, params?: readonly unknown[]): Promise<number>;
  /** Resolves when so many transactions of the server wait for a lock. */
  untilWaiting(transactions?: number): Promise<void>;
}

export const TABLES = [...['jobs', ...TABLES_BY_JOB], ...['user_slots', 'slot_waits', 'dedupe_windows']] as const;

export function request(changes: Partial<JobRequest> = {}): JobRequest {
  return {
    type: 'fetch',
    symbol: 'AAPL',
    payload: { symbol: 'AAPL' },
    level: 1,
    score: 0.5,
    why: { text: 'a test' },
    triggeredBy: 'test',
    whenFull: 'refuse',
    ...changes,
  };
}

/** A fetch for workers with this capability alone. */
export const tied = (capability: string): Pick<JobRequest, 'payload'> => ({ payload: { symbol: 'AAPL', capability } });
const capabilityOf = ({ capability }: Record<string, unknown>): string | undefined => capability as string | undefined;

export const transient = (options?: { retryAfterMs: number }): TransientError =>
  new TransientError('source.busy', 'the source answered 429', options);
export const permanent = (): PermanentError => new PermanentError('symbol.unknown', 'no source knows "XQZW"');

export function ledgerFixture(): Fixture {
  let database: TestDatabase;
  let db: Database;
  let clock: ManualClock;
  beforeAll(async () => {
    database = await testDatabase();
    db = openDatabase({ ...database.options, maxConnections: 24 });
  });
  beforeEach(async () => {
    clock = new ManualClock(START);
    await emptyTables(db, TABLES);
  });
  afterAll(async () => {
    await db.close();
    await database.drop();
  });

  const here: Fixture = {
    get database() {
      return database;
    },
    get db() {
      return db;
    },
    get clock() {
      return clock;
    },
    // A copy of the database: what is remembered of a ledger's queues is remembered by its database.
    ledger: (changes) => ({
      db: { ...db },
      clock,
      queues: {
        foreground: { maxJobs: 10_000, ttlSeconds: 300 },
        background_fetch: { maxJobs: 100_000, ttlSeconds: 3600 },
        background_analysis: { maxJobs: 100_000, ttlSeconds: 7200 },
      },
      types: {
        fetch: { maxAttempts: 4, backoffSeconds: [30, 120, 300], timeoutSeconds: 60, mayCompleteWithErrors: false, capabilityOf },
        batch_fetch: { maxAttempts: 4, backoffSeconds: [30, 120, 300], timeoutSeconds: 60, mayCompleteWithErrors: true },
        analysis: { maxAttempts: 3, backoffSeconds: [60], timeoutSeconds: 60, mayCompleteWithErrors: false },
      },
      slotsPerUser: 3,
      leaseSeconds: 60,
      ...changes,
    }),
    ask: (...requests) => enqueue(here.ledger(), requests.map(request)),
    async add(...requests) {
      const answers = await here.ask(...requests);
      return answers.map((answer) => (answer as Enqueued).id);
    },
    take: async (worker = 'worker-1', limit = 10) => (await claim(here.ledger(), worker, limit)).jobs,
    async running(one = {}, worker = 'worker-1') {
      const [id] = await here.add(one);
      const job = (await here.take(worker, 1000)).find((taken) => taken.id === id);
      if (job === undefined) throw new Error(`job ${id} could not be claimed`);
      return job;
    },
    async done(job, worker = 'worker-1') {
      const completion: Completion = { job };
      await complete(here.ledger(), worker, [completion]);
    },
    async broken(job, worker = 'worker-1') {
      await fail(here.ledger(), worker, [{ job, error: permanent() }]);
    },
    async row(id) {
      const [row] = await db.rows<JobRow>(
        'SELECT state, queue, priority, attempt, max_attempts, due_at, user_id, worker_id, blocked_on, aged, ended_at FROM job_states WHERE id = ?',
        [idToBytes(id)],
      );
      if (row === undefined) throw new Error(`there is no job ${id}`);
      return row;
    },
    state: async (id) => (await here.row(id)).state,
    async reason(id) {
      const [row] = await db.rows<{ code: string | null; reason: string | null }>('SELECT code, reason FROM ended WHERE job_id = ?', [
        idToBytes(id),
      ]);
      return row;
    },
    async count(sql, params) {
      const [row] = await db.rows<{ n: number }>(`SELECT COUNT(*) AS n FROM ${sql}`, params);
      return row?.n ?? 0;
    },
    async untilWaiting(transactions = 1) {
      // Not information_schema.innodb_trx: it shows an old copy for as long as it is asked more often than ten times a second.
      const waiting = async (): Promise<number> => {
        const [row] = await db.rows<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
        return Number(row?.Value);
      };
      await expect.poll(waiting, { interval: 5, timeout: 10_000 }).toBeGreaterThanOrEqual(transactions);
    },
  };
  return here;
}

/** A database whose transactions stop before their commit: `arrived` resolves when one has, `open` lets it go. */
export function stoppingAtCommit(db: Database): { db: Database; arrived: Promise<void>; open: () => void } {
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  // A test that fails half-way must not leave its locks to the next one.
  onTestFinished(() => gate.resolve());
  return {
    db: {
      ...db,
      transaction: (work) =>
        db.transaction(async (tx) => {
          const result = await work(tx);
          arrived.resolve();
          await gate.promise;
          return result;
        }),
    },
    arrived: arrived.promise,
    open: () => gate.resolve(),
  };
}

export interface Statement {
  sql: string;
  params: readonly unknown[] | undefined;
}

/** A database that shows every statement to `seen` before it runs it, with the connection that it will run on. */
export function watched(db: Database, seen: (statement: Statement, on: Sql) => Promise<void>): Database {
  const over = (on: Sql, before: () => Promise<void> = async () => {}): Sql => ({
    async rows(sql, params) {
      await before();
      await seen({ sql, params }, on);
      return on.rows(sql, params);
    },
    async run(sql, params) {
      await before();
      await seen({ sql, params }, on);
      return on.run(sql, params);
    },
  });
  const overTransaction = async <T>(tx: Transaction, work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const waiting: Statement[] = [];
    const last: Statement[] = [];
    const showWaiting = async (): Promise<void> => {
      for (const statement of waiting.splice(0)) {
        await seen(statement, tx);
        await tx.run(statement.sql, statement.params);
      }
    };
    const result = await work({
      ...over(tx, showWaiting),
      open: true,
      mostBytes: tx.mostBytes,
      later: (sql, params) => waiting.push({ sql, params }),
      last: (sql, params) => last.push({ sql, params }),
      committing: tx.committing,
    });
    waiting.push(...last);
    await showWaiting();
    return result;
  };
  return { ...db, ...over(db), transaction: (work) => db.transaction((tx) => overTransaction(tx, work)) };
}
