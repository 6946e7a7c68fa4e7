/** A year of quotes as a job downloads it, and the same objects without ledger and manifest, in turns: what these cost. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configuredHistory, type HistoryParts } from '../../services/history/configured.ts';
import type { Download } from '../../services/history/dataset.ts';
import { downloadObject } from '../../services/history/download.ts';
import { type PlannedObject, planOf } from '../../services/history/plan.ts';
import { historyHandler } from '../../services/job-types/history/handler.ts';
import { historyRequests } from '../../services/job-types/history/request.ts';
import { namesOf } from '../../services/job-types/index.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { type ClaimedJob, claim } from '../../services/ledger/run/claim.ts';
import { commitPart, complete } from '../../services/ledger/run/complete.ts';
import { countItems, openItems, recordItems } from '../../services/ledger/run/items.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { type Config, loadConfig } from '../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { clearLedger } from './contenders/ledger.ts';
import { atEnd, silent } from './processes/servers.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { median } from './report/statistics.ts';

type Context = Parameters<ReturnType<typeof historyHandler>['run']>[1];

/** The share of the whole that ledger and manifest may take. */
const AIM = 0.05;
const never = new AbortController().signal;

interface Counted {
  seconds: number;
  /** Of statements and transactions, added up. */
  databaseSeconds: number;
}

/** One beside the other in time: on a shared machine neighbours are alike. */
interface Round {
  bare: Counted;
  ledgered: Counted;
}

const NAMES: Readonly<Record<keyof Round, string>> = { bare: 'without ledger and manifest', ledgered: 'as a job' };

export async function historyYearSection(bench: Bench): Promise<unknown> {
  const download: Download = {
    ...{ asset: 'option', schema: 'quote', interval: '15m', root: 'AAPL' },
    ...{ from: '2024-01-01', to: bench.quick ? '2024-01-31' : '2024-12-31' },
  };
  const plan = planOf(download);
  const config = configOf(bench.quick ? 100 : 1_000);
  const address = await bench.ledger();
  const counted = countingDatabase(openDatabase(address.database));
  const folder = await mkdtemp(join(tmpdir(), 'stockmesh-bench-year-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const history = configuredHistory({ config, clock: systemClock, db: counted.db, log: silent, dataFolder: folder });
  try {
    const parts = await history.parts();
    // Starts the converter's process, which neither side pays.
    await withoutLedger(parts, config, plan.slice(0, 1));
    progress(`history-year: ${plan.length} objects without the ledger`);
    const rounds: Round[] = [];
    for (let round = 1; round <= bench.rounds; round++) {
      const sides = {
        bare: () => withoutLedger(parts, config, plan),
        ledgered: () => asJob(counted.db, config, history.parts, download),
      };
      // Each side is the first one in half of the rounds: what runs later may find warmer caches.
      const order: (keyof Round)[] = round % 2 === 1 ? ['bare', 'ledgered'] : ['ledgered', 'bare'];
      const measured: Partial<Round> = {};
      for (const side of order) {
        progress(`history-year: round ${round} of ${bench.rounds}, ${plan.length} objects ${NAMES[side]}`);
        await clearLedger(address.root);
        await counted.db.run('DELETE FROM history_objects');
        measured[side] = await timed(counted, sides[side]);
      }
      rounds.push(measured as Round);
    }
    progress('');
    report(plan.length, rounds);
    return { objects: plan.length, rounds };
  } finally {
    await history.close();
    await counted.db.run('DELETE FROM history_objects');
    await counted.db.close();
    await clearLedger(address.root);
    await rm(folder, { recursive: true, force: true });
  }
}

function configOf(contracts: number): Config {
  const given = {
    'stock_jobs.data_fetch.simulated.enabled': true,
    'history.sources': ['simulated'],
    'ranking.chains.simulated.contracts': contracts,
  };
  const overrides = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, { value, option: 'bench' }]));
  return loadConfig({ environment: 'development', files: [], env: {}, jobTypes: namesOf(), overrides }).config;
}

/** Source, converter and store, as many objects at once as a job has. */
async function withoutLedger(
  { sources, converter, store, spool }: HistoryParts,
  config: Config,
  plan: readonly PlannedObject[],
): Promise<void> {
  const queue = plan.values();
  const parts = { converter, store, spool, clock: systemClock, closes: async () => ({}), askAgainAfter: config.history.ask_again_after };
  await Promise.all(
    Array.from({ length: config.history.concurrency }, async () => {
      for (const { object, days } of queue)
        await downloadObject(parts, sources[0]!, { object, days, earlier: undefined, jobId: Buffer.alloc(16) }, never);
    }),
  );
}

/** One job from its enqueue to its completion, by the ledger's own functions, as a worker calls them. */
async function asJob(db: Database, config: Config, history: () => Promise<HistoryParts>, download: Download): Promise<void> {
  const ledger = ledgerOf(db, systemClock, config);
  const origin = { cause: 'user_request' as const, rules: config.jobs.priority_rules };
  await enqueue(ledger, historyRequests(download, { origin, config, force: true }));
  const { jobs } = await claim(ledger, 'bench', 1);
  const job = jobs[0] as ClaimedJob;
  const handler = historyHandler({ sql: db, history });
  const context = {
    ...{ job, timeLimitSeconds: 3_600, signal: never, clock: systemClock, config, log: silent },
    openItems: (keys: readonly string[]) => openItems(ledger, job.id, keys),
    countItems: () => countItems(db, job.id),
    commitItems: async (items: Parameters<Context['commitItems']>[0], rows: Parameters<Context['commitItems']>[1]) => {
      await commitPart(ledger, 'bench', job, async (tx) => {
        if (rows.length > 0) await handler.store(tx, rows);
        await recordItems(tx, ledger, job.id, items);
      });
    },
  } as unknown as Context;
  const output = await handler.run(job.payload, context);
  await complete(ledger, 'bench', [{ job, ...output }], (tx) => handler.store(tx, output.rows));
}

function countingDatabase(db: Database): { db: Database; seconds(): number } {
  let sum = 0;
  async function counted<T>(work: Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work;
    } finally {
      sum += performance.now() - started;
    }
  }
  return {
    db: {
      ...db,
      rows: (sql, params) => counted(db.rows(sql, params)),
      run: (sql, params) => counted(db.run(sql, params)),
      transaction: (work) => counted(db.transaction(work)),
    },
    seconds: () => sum / 1000,
  };
}

async function timed(counted: { seconds(): number }, work: () => Promise<void>): Promise<Counted> {
  const [started, used] = [performance.now(), counted.seconds()];
  await work();
  return { seconds: (performance.now() - started) / 1000, databaseSeconds: counted.seconds() - used };
}

function report(objects: number, rounds: readonly Round[]): void {
  print(
    `\nhistory-year. ${objects} days of simulated option quotes to Parquet; one worker, one converting process; medians of ${rounds.length} rounds in turns\n`,
  );
  const row = (side: keyof Round) => {
    const of = (key: keyof Counted) => median(rounds.map((round) => round[side][key]));
    return [NAMES[side], of('seconds'), (1000 * of('seconds')) / objects, (1000 * of('databaseSeconds')) / objects];
  };
  // Several objects are under way at once: the database's time lies beside that of the conversion, and is no share of the whole.
  print(table(['', 'seconds', 'ms an object', 'ms of database an object'], [row('bare'), row('ledgered')]));
  const share = median(rounds.map(({ bare, ledgered }) => (ledgered.seconds - bare.seconds) / ledgered.seconds));
  print(
    `\n${verdicts([{ aim: `ledger and manifest under ${100 * AIM} % of the time`, measured: `${figure(100 * share)} %, the median of what a job takes longer`, met: share < AIM }])}`,
  );
}
