/** What the worker's tests have in common: a ledger in a database of their own, workers with the handlers of a test, and what became of the jobs. */
import { afterAll, afterEach, expect, onTestFinished } from 'vitest';
import { z } from 'zod';
import { fetchType } from '../../services/job-types/fetch/definition.ts';
import { type Handler, handler, type JobContext, type JobOutput } from '../../services/job-types/handler.ts';
import { namesOf } from '../../services/job-types/index.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { type Announcer, createAnnouncer } from '../../services/ledger/announce.ts';
import { enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { idFromBytes, idToBytes } from '../../services/ledger/id.ts';
import type { Ledger, State } from '../../services/ledger/job.ts';
import { TABLES_BY_JOB } from '../../services/ledger/maintain/delete.ts';
import type { Bar, CorporateAction, DateRange, SourceName } from '../../services/market/bars/bars.ts';
import { symbolReader } from '../../services/market/bars/reader.ts';
import { type FailoverSource, failoverSource } from '../../services/market/sources/failover-source.ts';
import type { MarketSource } from '../../services/market/sources/source.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { type Clock, systemClock } from '../../services/platform/clock.ts';
import { type Config, loadConfig } from '../../services/platform/config/load.ts';
import { type Database, type DatabaseOptions, openDatabase, type Transaction } from '../../services/platform/database/database.ts';
import type { Logger } from '../../services/platform/log/log.ts';
import type { Tally } from '../../services/worker/tally.ts';
import { startWorker, type Worker } from '../../services/worker/worker.ts';
import { silent } from '../broker/peers.ts';
import { emptyTables, testDatabase } from '../support/database.ts';

export type Overrides = Record<string, unknown>;

export function configWith(overrides: Overrides): Config {
  const given = Object.entries(overrides).map(([key, value]) => [key, { value, option: 'test' }] as const);
  return loadConfig({ environment: 'development', files: [], env: {}, jobTypes: namesOf(), overrides: Object.fromEntries(given) }).config;
}

export interface JobRow {
  id: string;
  state: State;
  attempt: number;
  maxAttempts: number;
  worker: string | null;
  code: string | null;
  reason: string | null;
  result: Record<string, unknown> | null;
}

interface OwnWorker {
  id?: string;
  sources?: readonly MarketSource[];
  bus?: Pick<Bus, 'publish' | 'state'>;
  onLoad?: (running: number) => void;
  log?: Logger;
  overrides?: Overrides;
  tally?: Tally;
  now?: () => number;
}

export interface Workshop {
  /** How `db` reaches the database. */
  options: DatabaseOptions;
  db: Database;
  ledger: Ledger;
  config: Config;
  announcer: Announcer;
  /** A worker that is drained without mercy at the end of the test. */
  worker(handlers: readonly Handler[], options?: OwnWorker): Worker;
  /** Enqueues requests like `request()`; gives their ids. */
  enqueue(...requests: readonly Partial<JobRequest>[]): Promise<string[]>;
  job(id: string): Promise<JobRow>;
  /** Waits until the job is in this state. */
  reaches(id: string, state: State): Promise<JobRow>;
  jobs(): Promise<JobRow[]>;
}

/** For the names of the workers. */
let started = 0;

/** Ends the workers of the present test, by their database. */
const ending = new WeakMap<Database, (() => Promise<void>)[]>();

/** A bus that reaches nobody: polling finds the jobs. */
export const offline = { publish: async () => {}, state: 'offline' as const };

/** A ledger over a database; close its `db` at the end of the file. */
export function openWorkshop(database: DatabaseOptions, overrides: Overrides = {}, clock: Clock = systemClock): Workshop {
  // Fast where the defaults would make a test wait; a test that is about one of these gives its own.
  const settings: Overrides = { 'worker.poll_interval': 0.02, 'stock_jobs.data_fetch.retry_backoff': '30', ...overrides };
  const config = configWith(settings);
  const db = openDatabase(database);
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus: offline, sql: db, clock, log: silent });

  const workshop: Workshop = {
    options: database,
    db,
    ledger,
    config,
    announcer,
    worker(
      handlers,
      { id = `worker-${++started}`, sources = [], bus = offline, onLoad, log = silent, overrides: own = {}, tally, now } = {},
    ) {
      const ownConfig = configWith({ ...settings, ...own });
      const chain = failoverOf(sources, clock);
      const worker = startWorker({
        workerId: id,
        ledger: ledgerOf(db, clock, ownConfig),
        bus,
        announcer: createAnnouncer({ bus, sql: db, clock, log: silent }),
        sources: chain,
        realSources: failoverOf(
          sources.filter(({ name }) => name !== 'simulated'),
          clock,
        ),
        reader: symbolReader(db),
        config: ownConfig,
        log,
        handlers,
        onLoad: onLoad ?? (() => undefined),
        tally,
        now,
      });
      // Not by a hook of this module: where files share their modules it would be that of the first file alone, and a worker of one test would take the jobs of the next.
      let drained: Promise<void> | undefined;
      const end = (): Promise<void> => {
        drained ??= worker.drain(0);
        return drained;
      };
      ending.set(db, [...(ending.get(db) ?? []), end]);
      onTestFinished(end);
      return worker;
    },
    async enqueue(...requests) {
      const answers = await enqueue(ledger, requests.map(request));
      return answers.map((answer) => {
        if (answer.outcome === 'refused') throw new Error(answer.reason);
        return answer.id;
      });
    },
    async job(id) {
      const [row] = await read(db, 'WHERE j.id = ?', [idToBytes(id)]);
      if (row === undefined) throw new Error(`no job ${id}`);
      return row;
    },
    async reaches(id, state) {
      await expect.poll(async () => (await workshop.job(id)).state, { timeout: 10_000, interval: 5 }).toBe(state);
      return workshop.job(id);
    },
    jobs: () => read(db, ''),
  };
  return workshop;
}

/** The same for a whole test file, over a database of its own that is swept after each test. */
export async function workshopOfFile(overrides: Overrides = {}, clock: Clock = systemClock): Promise<Workshop> {
  const database = await testDatabase();
  const shop = openWorkshop(database.options, overrides, clock);
  afterEach(() => sweep(shop.db));
  afterAll(async () => {
    await shop.db.close();
    await database.drop();
  });
  return shop;
}

async function read(db: Database, where: string, params: unknown[] = []): Promise<JobRow[]> {
  const rows = await db.rows<Omit<JobRow, 'id' | 'result'> & { id: Buffer; result: string | null }>(
    `SELECT j.id, j.state, j.attempt, j.max_attempts AS maxAttempts, j.worker_id AS worker, r.code, r.reason, CAST(r.result AS CHAR) AS result
       FROM job_states j LEFT JOIN ended r ON r.job_id = j.id ${where} ORDER BY j.id`,
    params,
  );
  return rows.map((row) => ({ ...row, id: idFromBytes(row.id), result: row.result === null ? null : JSON.parse(row.result) }));
}

export function failoverOf(sources: readonly MarketSource[], clock: Clock): FailoverSource {
  // A source that a test holds back until another job has ended must not time out meanwhile: on a busy machine that took more than ten seconds.
  return failoverSource({ sources: [...sources], clock, timeoutMs: 120_000, breaker: { failures: 1000, openMs: 1000 } });
}

let numbers = 0;
function request(changes: Partial<JobRequest>): JobRequest {
  const symbol = changes.symbol ?? `T${++numbers}`;
  return {
    type: 'fetch',
    symbol,
    payload: { symbol },
    level: 1,
    score: 0.5,
    why: { text: 'test' },
    triggeredBy: 'test',
    whenFull: 'refuse',
    ...changes,
  };
}

/**
 * Ends the workers of the test and empties the tables that jobs and bars are in. `afterEach` runs before `onTestFinished`: a worker that was still there claimed a job between the
 * look at `running` and the end of `ready`, and stored its rows in the next test.
 */
export async function sweep(db: Database): Promise<void> {
  for (const end of ending.get(db) ?? []) await end();
  ending.delete(db);
  const tables = ['jobs', ...TABLES_BY_JOB, 'user_slots', 'slot_waits'];
  await emptyTables(db, [...tables, 'bars', 'corporate_actions', 'symbols', 'symbol_failures', 'analyses']);
}

export const nothing: JobOutput<never> = { rows: [], result: {}, dataMessages: [] };

export const storeNothing = async (): Promise<void> => {};

/** A handler of the type `fetch` whose payload may be anything. */
export function fetching<Row>(
  run: (payload: { symbol: string }, context: JobContext<Row>) => Promise<JobOutput<Row>>,
  store: (tx: Transaction, rows: readonly Row[]) => Promise<void> = storeNothing,
): Handler<Row> {
  return handler({ ...fetchType, payload: z.looseObject({ symbol: z.string() }) }, run, store);
}

/** A market source that gives the same answer until the test changes it, and keeps what it was asked. */
export interface Stub extends MarketSource {
  /** The bars it has, of which it gives those from `range.from` on, or the error it throws. */
  has: Bar[] | Error;
  actions: CorporateAction[];
  stale: boolean;
  readonly asked: DateRange[];
}

export function stub(name: SourceName, has: Bar[] | Error, clock: Clock = systemClock): Stub {
  const source: Stub = {
    name,
    has,
    actions: [],
    stale: false,
    asked: [],
    async bars(symbol, range) {
      source.asked.push(range);
      if (source.has instanceof Error) throw source.has;
      const within = <T extends { date: string }>(rows: T[]) => rows.filter(({ date }) => date >= range.from);
      const { stale, actions } = source;
      return { symbol, source: name, asOf: clock.now(), bars: within(source.has), actions: within(actions), ...(stale && { stale }) };
    },
  };
  return source;
}

/** Weekday bars from a day on: closes that count up from 100, adjusted by a factor. */
export function weekdays(from: string, count: number, { factor = 1, start = 100 }: { factor?: number; start?: number } = {}): Bar[] {
  const bars: Bar[] = [];
  for (let day = Temporal.PlainDate.from(from); bars.length < count; day = day.add({ days: 1 })) {
    if (day.dayOfWeek > 5) continue;
    const close = start + bars.length;
    bars.push({
      date: day.toString(),
      open: close - 0.5,
      high: close + 1,
      low: close - 1,
      close,
      adjustedClose: close * factor,
      volume: 1000 + bars.length,
    });
  }
  return bars;
}

/** A handler in which a job stays until the test ends it; it does not listen to its signal. */
export function held<Row = never>(
  store?: (tx: Transaction, rows: readonly Row[]) => Promise<void>,
): {
  handler: Handler<Row>;
  started: Promise<AbortSignal>;
  end: PromiseWithResolvers<JobOutput<Row>>;
} {
  const started = Promise.withResolvers<AbortSignal>();
  const end = Promise.withResolvers<JobOutput<Row>>();
  const handler = fetching<Row>((_, { signal }) => {
    started.resolve(signal);
    return end.promise;
  }, store);
  return { handler, started: started.promise, end };
}
