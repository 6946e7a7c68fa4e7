import { expect, test } from 'vitest';
import { rowsOfFailure, storeFetched } from '../../services/job-types/fetch/output.ts';
import type { EnqueueAnswer } from '../../services/ledger/enqueue/enqueue.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { PermanentError } from '../../services/platform/errors.ts';
import { switchAutoFetch } from '../../services/platform/registry/settings.ts';
import { runDueSchedules } from '../../services/scheduler/schedules.ts';
import { silent } from '../broker/peers.ts';
import { configOf } from './configuration.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();

const weekdays = { cron: '0 9 * * 1-5', time_zone: 'America/New_York', skip_holidays: false };
const NAME = 'before the session';

function scheduler(now: string, changes: Record<string, unknown> = {}) {
  const clock = new ManualClock(now);
  const config: Config = configOf({
    'scheduler.schedules': [{ ...weekdays, name: NAME, job: 'fetch_portfolios', skip_holidays: true }],
    'stock_jobs.data_fetch.batch_size': 2,
    ...changes,
  });
  const announced: EnqueueAnswer[] = [];
  const announcer = { enqueued: async (answers: readonly EnqueueAnswer[]) => void announced.push(...answers) };
  const options = { ledger: mesh.ledger(config, clock), config, announcer, log: silent };
  return { clock, announced, options, look: () => runDueSchedules(options) };
}

async function hold(...holdings: [user: string, symbol: string, quantity: number][]): Promise<void> {
  await mesh.db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ?', [
    holdings.map((one) => [...one, new Date(0)]),
  ]);
}

const jobs = () =>
  mesh.db.rows<{ type: string; symbol: string | null; state: string; level: number; payload: unknown }>(
    'SELECT type, symbol, state, priority DIV 10000 AS level, payload FROM job_states JOIN (SELECT id, payload FROM jobs) j USING (id) ORDER BY type DESC, symbol, id',
  );

test('at its time every symbol that somebody holds or watches is queued once, in batches, and its analysis after them', async () => {
  await hold(['ada', 'AAPL', 5], ['bob', 'AAPL', 1], ['bob', 'MSFT', 0], ['cyd', 'SPY', 2]);
  const { clock, look, announced } = scheduler('2026-06-02T12:00:00Z');
  await look();
  clock.set('2026-06-02T13:00:00Z');
  await look();
  expect((await jobs()).map(({ payload, ...row }) => [row.type, row.state, row.level, row.symbol ?? payload])).toEqual([
    ['batch_fetch', 'ready', 5, { symbols: ['AAPL', 'MSFT'] }],
    ['batch_fetch', 'ready', 5, { symbols: ['SPY'] }],
    ['analysis', 'blocked', 8, 'AAPL'],
    ['analysis', 'blocked', 8, 'MSFT'],
    ['analysis', 'blocked', 8, 'SPY'],
  ]);
  expect(announced.map(({ outcome }) => outcome)).toEqual(Array(5).fill('queued'));
});

test('a symbol that no source knew lately is left out until its pause ends', async () => {
  await hold(['ada', 'FB', 5], ['bob', 'AAPL', 1]);
  const { clock, look, options } = scheduler('2026-06-02T12:59:00Z');
  await look();
  const error = new PermanentError('source.unknown_symbol', 'no source knows FB');
  await mesh.db.transaction((tx) => storeFetched(tx, rowsOfFailure({ symbol: 'FB' }, error, { config: options.config, clock })));
  clock.set('2026-06-02T13:00:00Z');
  await look();
  const batches = async () => (await jobs()).filter(({ type }) => type === 'batch_fetch').map(({ payload }) => payload);
  expect(await batches()).toEqual([{ symbols: ['AAPL'] }]);
  clock.set('2026-06-03T13:00:00Z');
  await look();
  expect(await batches()).toEqual([{ symbols: ['AAPL'] }, { symbols: ['AAPL', 'FB'] }]);
});

test("the rates of the holdings' currencies are fetched with them", async () => {
  await hold(['ada', 'BP.L', 5], ['bob', 'SPY', 1]);
  await mesh.db.run('INSERT INTO symbols (symbol, currency) VALUES ?', [
    [
      ['BP.L', 'GBp'],
      ['SPY', 'USD'],
    ],
  ]);
  const { clock, look } = scheduler('2026-06-02T12:00:00Z');
  await look();
  clock.set('2026-06-02T13:00:00Z');
  await look();
  const fetched = (await jobs()).flatMap(({ type, payload }) => (type === 'batch_fetch' ? (payload as { symbols: string[] }).symbols : []));
  expect(fetched.sort()).toEqual(['BP.L', 'GBPUSD=X', 'SPY']);
});

test('a schedule that is new does not run for the time before it was known', async () => {
  await hold(['ada', 'AAPL', 5]);
  await scheduler('2026-06-02T13:10:00Z').look();
  await scheduler('2026-06-02T13:10:01Z').look();
  expect(await jobs()).toEqual([]);
});

test('a run that fell due while nobody led is made up for, once', async () => {
  await hold(['ada', 'AAPL', 5]);
  await scheduler('2026-06-02T12:00:00Z').look();
  await scheduler('2026-06-02T13:45:00Z').look();
  await scheduler('2026-06-02T13:45:02Z').look();
  expect(await jobs()).toHaveLength(2);
});

test('a run that fell due more than an hour ago is skipped for good', async () => {
  await hold(['ada', 'AAPL', 5]);
  await scheduler('2026-06-02T12:00:00Z').look();
  await scheduler('2026-06-02T15:00:00Z').look();
  expect(await jobs()).toEqual([]);
  expect(await mesh.db.rows('SELECT last_run_at FROM schedule_runs')).toEqual([{ last_run_at: new Date('2026-06-02T13:00:00Z') }]);
});

test('two schedulers that both believe that they lead start a run once', async () => {
  await hold(['ada', 'AAPL', 5]);
  const [one, other] = [scheduler('2026-06-02T12:00:00Z'), scheduler('2026-06-02T12:00:00Z')];
  await one.look();
  one.clock.set('2026-06-02T13:00:00Z');
  other.clock.set('2026-06-02T13:00:00Z');
  await Promise.all([one.look(), other.look()]);
  expect([...one.announced, ...other.announced]).toHaveLength(2);
});

test('a run whose jobs cannot be written is due again, and nothing of it was kept', async () => {
  await hold(['ada', 'AAPL', 5]);
  const { clock, look, options } = scheduler('2026-06-02T12:00:00Z');
  await look();
  clock.set('2026-06-02T13:00:00Z');
  const broken = { ...options, ledger: { ...options.ledger, types: {} } };
  await expect(runDueSchedules(broken)).rejects.toThrow('no rules for job type');
  expect(await jobs()).toEqual([]);
  clock.advance({ minutes: 5 });
  await look();
  expect(await jobs()).toHaveLength(2);
});

test("one schedule's failure does not keep another from running", async () => {
  await hold(['ada', 'AAPL', 5]);
  const both = ['first', 'second'].map((name) => ({ ...weekdays, name, job: 'fetch_portfolios' }));
  const { clock, look, options } = scheduler('2026-06-02T12:00:00Z', { 'scheduler.schedules': both });
  await look();
  clock.set('2026-06-02T13:00:00Z');
  let calls = 0;
  const db: typeof mesh.db = {
    ...mesh.db,
    transaction: (work) => (calls++ === 0 ? Promise.reject(new Error('the first one fails')) : mesh.db.transaction(work)),
  };
  await expect(runDueSchedules({ ...options, ledger: { ...options.ledger, db } })).rejects.toThrow('the first one fails');
  expect(await jobs()).toHaveLength(2);
});

test('all failures are told when several schedules fail, and nothing is asked when there is no schedule', async () => {
  const both = ['first', 'second'].map((name) => ({ ...weekdays, name, job: 'fetch_portfolios' }));
  const { clock, look, options } = scheduler('2026-06-02T12:00:00Z', { 'scheduler.schedules': both });
  await look();
  clock.set('2026-06-02T13:00:00Z');
  const db: typeof mesh.db = { ...mesh.db, transaction: () => Promise.reject(new Error('no room')) };
  await expect(runDueSchedules({ ...options, ledger: { ...options.ledger, db } })).rejects.toMatchObject({
    name: 'AggregateError',
    errors: [{ message: 'no room' }, { message: 'no room' }],
  });
  await expect(scheduler('2026-06-02T13:00:00Z', { 'scheduler.schedules': [] }).look()).resolves.toBeUndefined();
});

test('the log says of a run what came of it, why jobs were refused, and why one is skipped', async () => {
  await hold(['ada', 'AAPL', 5], ['ada', 'MSFT', 5], ['ada', 'SPY', 5]);
  const said: [string, Record<string, unknown>, string][] = [];
  const say = (level: string) => (about: Record<string, unknown>, text: string) => void said.push([level, about, text]);
  const log = Object.assign(Object.create(silent), { info: say('info'), warn: say('warn') });
  const { clock, options } = scheduler('2026-06-02T10:00:00Z', {
    'queue.priority_queues.background_fetch.max_jobs': 1,
    'scheduler.schedules': [{ ...weekdays, cron: '0 * * * *', name: NAME, job: 'fetch_portfolios' }],
  });
  const look = () => runDueSchedules({ ...options, log });
  await look();
  clock.set('2026-06-02T13:00:00Z');
  await look();
  // Two batches of two symbols: one has room, and of three analyses that of the refused one is refused with it.
  const about = { schedule: NAME, at: '2026-06-02T13:00:00.000Z', missed: 'earlier runs too' };
  expect(said).toEqual([
    ['info', { ...about, queued: 3, joined: 0, refused: 2 }, `schedule "${NAME}" has started its run of 2026-06-02T13:00:00.000Z`],
    [
      'warn',
      { ...about, code: 'queue.full' },
      expect.stringMatching(new RegExp(`^2 jobs of schedule "${NAME}" were refused: the queue is full: background_fetch holds 1 jobs`)),
    ],
  ]);
  said.length = 0;
  await switchAutoFetch(mesh.db, false, 'ada', new Date());
  clock.set('2026-06-02T14:00:00Z');
  await look();
  expect(said).toEqual([
    [
      'warn',
      { schedule: NAME, at: '2026-06-02T14:00:00.000Z' },
      `schedule "${NAME}" skips its run of 2026-06-02T14:00:00.000Z: automatic fetching is switched off (by ada)`,
    ],
  ]);
});

test('work that is under way is joined and not queued again', async () => {
  await hold(['ada', 'AAPL', 5]);
  const { clock, look, announced } = scheduler('2026-06-01T12:00:00Z');
  await look();
  clock.set('2026-06-01T13:00:00Z');
  await look();
  clock.set('2026-06-02T13:00:00Z');
  await look();
  expect(announced.map(({ outcome }) => outcome)).toEqual(['queued', 'queued', 'joined', 'joined']);
});

test('while automatic fetching is off a run is skipped for good, and the next one after it is on again starts', async () => {
  await hold(['ada', 'AAPL', 5]);
  const { clock, look } = scheduler('2026-06-01T12:00:00Z');
  await look();
  await switchAutoFetch(mesh.db, false, 'ada', new Date());
  clock.set('2026-06-01T13:00:00Z');
  await look();
  await switchAutoFetch(mesh.db, true, 'ada', new Date());
  clock.set('2026-06-01T13:00:05Z');
  await look();
  expect(await jobs()).toEqual([]);
  clock.set('2026-06-02T13:00:00Z');
  await look();
  expect(await jobs()).toHaveLength(2);
});

test('the watchlist is ranked in its modes, after the prices that are not fresh', async () => {
  const { clock, look } = scheduler('2026-06-02T12:00:00Z', {
    'scheduler.schedules': [{ ...weekdays, name: NAME, job: 'rank_watchlist' }],
    'ranking.watchlist': 'SPY,AAPL',
    'ranking.watchlist_modes': 'entry,exit',
  });
  // The final bar of the session before, known to be the newest: fresh until the next one opens.
  await mesh.db.run(
    "INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, source) VALUES ('AAPL', '2026-06-01', '2026-06-01 21:00:00', '2026-06-02 12:59:00', 'lean')",
  );
  await look();
  clock.set('2026-06-02T13:00:00Z');
  await look();
  expect((await jobs()).map(({ type, symbol, state, level, payload }) => [type, symbol, state, level, payload])).toEqual([
    ['rank', 'AAPL', 'ready', 8, { symbol: 'AAPL', mode: 'entry' }],
    ['rank', 'AAPL', 'ready', 8, { symbol: 'AAPL', mode: 'exit' }],
    ['rank', 'SPY', 'blocked', 8, { symbol: 'SPY', mode: 'entry' }],
    ['rank', 'SPY', 'blocked', 8, { symbol: 'SPY', mode: 'exit' }],
    ['fetch', 'SPY', 'ready', 5, { symbol: 'SPY' }],
  ]);
});

test('two spellings of a share class in the watchlist are one ranking', async () => {
  const { clock, look } = scheduler('2026-06-02T12:00:00Z', {
    'scheduler.schedules': [{ ...weekdays, name: NAME, job: 'rank_watchlist' }],
    'ranking.watchlist': 'BRK-B,BRK/B,BRK.B',
    'ranking.watchlist_modes': 'entry',
  });
  await look();
  clock.set('2026-06-02T13:00:00Z');
  await look();
  expect((await jobs()).map(({ type, symbol }) => [type, symbol])).toEqual([
    ['rank', 'BRK.B'],
    ['fetch', 'BRK.B'],
  ]);
});
