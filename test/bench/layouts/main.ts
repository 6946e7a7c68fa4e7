/**
 * `npm run bench:layouts`: what a job costs the database server in several layouts of the ledger, in processor time and not by the clock, so that neighbours of a shared
 * machine disturb less. `--quick` small sizes, `--rounds N`, `--jobs N`, `--only TEXT` layouts whose name holds the text.
 */
import { parseArgs } from 'node:util';
import { idToBytes, newJobId } from '../../../services/ledger/id.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { startMariaDb, stopAll } from '../processes/servers.ts';
import { processorMs } from '../report/cpu.ts';
import { print, progress, table } from '../report/report.ts';
import { median } from '../report/statistics.ts';
import { type Cursor, type Layout, type NewJob, START, type Taken } from './layout.ts';
import { stateLayout } from './states.ts';
import { updatedLayout } from './updated.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    jobs: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const jobs = Number(values.jobs ?? (values.quick ? 2_000 : 20_000));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const BATCHES = [50, 100, 500];
const CALLERS = 2;

const LAYOUTS: Layout[] = [
  updatedLayout({ keys: false }),
  updatedLayout({ keys: false, fromCursor: true }),
  stateLayout('ready and running apart, the row updated at its end', { ready: 'jobs', updatedAtEnd: true }),
  stateLayout('nothing updated', { ready: 'jobs' }),
  stateLayout('nothing updated, with a cursor', { ready: 'jobs', fromCursor: true }),
  stateLayout('nothing updated, completed and claimed together', { ready: 'jobs', together: true }),
  stateLayout('ready by id: a key of its own', { ready: 'key' }),
  stateLayout('ready by id: the primary key', { ready: 'primary' }),
  stateLayout('ready with a key for the expiry', { ready: 'jobs', expiry: true }),
  stateLayout('ready with a key by type', { ready: 'jobs', byType: true }),
  stateLayout('ended without a key', { ready: 'jobs', ended: 'none' }),
  stateLayout('ended by time alone', { ready: 'jobs', ended: 'time' }),
  { ...updatedLayout({ keys: true }), name: 'dedupe keys: one row a job, updated' },
  stateLayout('dedupe keys: nothing updated', { ready: 'jobs', keys: true }),
].filter(({ name }) => name.includes(values.only));

/** Microseconds of the server a job. */
interface Cost {
  enqueue: number;
  drain: number;
  retries: number;
}

function newJobs(): NewJob[] {
  return Array.from({ length: jobs }, (_, index) => ({
    id: idToBytes(newJobId(Date.now())),
    // As many priorities as scores make, in no order.
    priority: 10_000 + ((index * 7_919) % 5_000),
    key: `fetch:${index}:daily`,
  }));
}

async function drain(db: Database, layout: Layout, batch: number): Promise<void> {
  const caller = async (name: string): Promise<void> => {
    let done: Taken[] = [];
    let cursor: Cursor = START;
    const claimNext = async (held: readonly Taken[]): Promise<Taken[]> => {
      const [next] = await db.transaction(async (tx) => {
        if (held.length > 0) await layout.complete(tx, name, held);
        return [await layout.claim(tx, name, batch, cursor)];
      });
      return next ?? [];
    };
    for (;;) {
      if (!layout.together && done.length > 0) await db.transaction((tx) => layout.complete(tx, name, done));
      const taken = await claimNext(layout.together ? done : []);
      const last = taken.at(-1) as (Taken & { priority?: number }) | undefined;
      if (last?.priority !== undefined) cursor = { priority: last.priority, id: last.id };
      if (taken.length === 0 && cursor === START) return;
      if (taken.length === 0) cursor = START;
      done = taken;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(`caller-${index}`)));
}

async function measure(db: Database, root: Database, pid: number, layout: Layout, batch: number): Promise<Cost> {
  for (const name of layout.tables) await root.run(`DROP TABLE IF EXISTS ${name}`);
  for (const sql of layout.create) await root.run(sql);
  const all = newJobs();
  const before = processorMs(pid);
  for (let next = 0; next < all.length; next += 500) await db.transaction(async (tx) => layout.enqueue(tx, all.slice(next, next + 500)));
  const enqueued = processorMs(pid);
  const retries = [...db.retries.values()].reduce((sum, one) => sum + one, 0);
  await drain(db, layout, batch);
  const drained = processorMs(pid);
  const left = await layout.left(db);
  if (left !== 0) throw new Error(`${layout.name}: ${left} of ${jobs} jobs are left`);
  for (const name of layout.tables) await root.run(`DROP TABLE ${name}`);
  return {
    enqueue: ((enqueued - before) * 1000) / jobs,
    drain: ((drained - enqueued) * 1000) / jobs,
    retries: [...db.retries.values()].reduce((sum, one) => sum + one, 0) - retries,
  };
}

try {
  const { address, pid, version } = await startMariaDb();
  const db = openDatabase(address.service);
  const root = openDatabase({ ...address.root, database: address.service.database });
  const costs = new Map(LAYOUTS.map(({ name }) => [name, new Map(BATCHES.map((batch) => [batch, [] as Cost[]]))]));
  // In turns: on a shared machine measurements of neighbouring minutes are alike. Round 0 warms the server up.
  for (let round = 0; round <= rounds; round++)
    for (const batch of BATCHES)
      for (const layout of LAYOUTS) {
        progress(`round ${round} of ${rounds}: ${layout.name}, ${batch} a batch`);
        const cost = await measure(db, root, pid, layout, batch);
        if (round > 0) costs.get(layout.name)?.get(batch)?.push(cost);
      }
  progress('');
  print(`MariaDB ${version}: server processor time, µs a job; ${jobs} jobs, ${CALLERS} callers, median of ${rounds} rounds\n`);
  print(
    table(
      ['claim + complete', ...BATCHES.map((batch) => `${batch} a batch`), 'enqueue', 'conflicts'],
      [...costs].map(([name, byBatch]) => [
        name,
        ...[...byBatch.values()].map((all) => median(all.map((one) => one.drain))),
        median([...byBatch.values()].flat().map((one) => one.enqueue)),
        String([...byBatch.values()].flat().reduce((sum, one) => sum + one.retries, 0)),
      ]),
    ),
  );
  await db.close();
  await root.close();
} finally {
  await stopAll();
}
