/** What the scheduler's tests stand on: a database, a ledger on a clock that stands still unless moved, and the configuration as shipped but for what a test changes. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { type Enqueued, enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import type { Ledger, State } from '../../services/ledger/job.ts';
import { TABLES_BY_JOB } from '../../services/ledger/maintain/delete.ts';
import type { ClaimedJob } from '../../services/ledger/run/claim.ts';
import { claim } from '../../services/ledger/run/claim.ts';
import { type Clock, ManualClock } from '../../services/platform/clock.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { emptyTables, type TestDatabase, testDatabase } from '../support/database.ts';
import { configOf } from './configuration.ts';

/** A Tuesday on which the exchange is open; 10:00 in New York. */
export const OPEN = '2026-06-02T14:00:00Z';

export interface Fixture {
  readonly database: TestDatabase;
  readonly db: Database;
  clock: ManualClock;
  ledger(config?: Config, clock?: Clock): Ledger;
  add(ledger: Ledger, ...requests: (Partial<JobRequest> & { symbol?: string })[]): Promise<string[]>;
  run(ledger: Ledger, worker: string, limit?: number): Promise<ClaimedJob[]>;
  state(id: string): Promise<State>;
}

const TABLES = [
  ...['jobs', ...TABLES_BY_JOB, 'user_slots', 'slot_waits', 'dedupe_windows'],
  ...['instances', 'leases', 'alerts', 'schedule_runs', 'settings', 'holdings', 'symbols', 'symbol_failures', 'user_portfolio_priority'],
];

/** One database a file, emptied before each test. */
export function fixture(): Fixture {
  let database: TestDatabase;
  let db: Database;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());
  const here: Fixture = {
    get database() {
      return database;
    },
    get db() {
      return db;
    },
    clock: new ManualClock(OPEN),
    ledger: (config = configOf(), clock = here.clock) => ledgerOf(db, clock, config),
    async add(ledger, ...requests) {
      const answers = await enqueue(
        ledger,
        requests.map((request) => ({
          type: 'fetch',
          payload: { symbol: request.symbol ?? 'AAPL' },
          symbol: 'AAPL',
          level: 1,
          score: 0.5,
          why: { text: 'a test' },
          triggeredBy: 'test',
          whenFull: 'refuse',
          ...request,
        })),
      );
      return answers.map((answer) => (answer as Enqueued).id);
    },
    async run(ledger, worker, limit = 10) {
      return (await claim(ledger, worker, limit)).jobs;
    },
    async state(id) {
      const [row] = await db.rows<{ state: State }>('SELECT state FROM job_states WHERE id = ?', [idToBytes(id)]);
      if (row === undefined) throw new Error(`there is no job ${id}`);
      return row.state;
    },
  };
  beforeEach(async () => {
    here.clock = new ManualClock(OPEN);
    // A pool a test: what the ledger remembers of a database (counts, known slots) goes with it.
    db = openDatabase(database.options);
    await emptyTables(db, TABLES);
    return () => db.close();
  });
  return here;
}

/** A bus that nobody listens to: counts what is said, and can be away. */
export function silentBus() {
  const said: { kind: string; message: Record<string, unknown> }[] = [];
  return {
    said,
    state: 'online' as 'online' | 'offline',
    async publish(kind: string, message: unknown): Promise<void> {
      said.push({ kind, message: message as Record<string, unknown> });
    },
  };
}
