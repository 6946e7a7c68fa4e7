import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { idToBytes, newJobId } from '../../services/ledger/id.ts';
import type { Change, Ledger } from '../../services/ledger/job.ts';
import { levelOf } from '../../services/ledger/job.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { maintenanceDuties, watchOutages } from '../../services/scheduler/maintenance.ts';
import { retentionDuty } from '../../services/scheduler/retention.ts';
import { startDatabaseProxy } from '../support/database-proxy.ts';
import { setJobs } from '../support/job-rows.ts';
import { configOf } from './configuration.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();
const signal = new AbortController().signal;

/** Runs one duty once; gives what it announced. */
async function run(name: string, ledger: Ledger, config: Config = configOf()): Promise<Change[]> {
  const told: Change[] = [];
  const duty = maintenanceDuties({ ledger, config, announce: (changes) => told.push(...changes) }).find((one) => one.name === name);
  if (duty === undefined) throw new Error(`no duty "${name}"`);
  await duty.run(signal);
  return told;
}

test('all jobs whose time has come are ready after one run, however many, and each is announced once', async () => {
  const ledger = mesh.ledger();
  const runAt = new Date(mesh.clock.now().epochMilliseconds + 60_000);
  const ids = await mesh.add(ledger, ...Array.from({ length: 1_100 }, () => ({ runAt })));
  expect(await run('promote', ledger)).toEqual([]);
  mesh.clock.advance({ minutes: 1 });
  const told = await run('promote', ledger);
  expect(new Set(told.map(({ id }) => id))).toEqual(new Set(ids));
  expect(told).toHaveLength(1_100);
  expect(told.every(({ state }) => state === 'ready')).toBe(true);
});

test('a job whose lease ran out is ready again, with the worker named', async () => {
  const ledger = mesh.ledger();
  const [id] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w1');
  mesh.clock.advance({ seconds: 29 });
  expect(await run('reap', ledger)).toEqual([]);
  mesh.clock.advance({ seconds: 2 });
  expect(await run('reap', ledger)).toMatchObject([{ id, state: 'ready', reason: 'worker w1 did not renew its lease' }]);
});

/** The database's clock has been set forward, and with it the time of every process: nobody's lease or wait has run out by it. */
function jumped(byMs: number, agoMs: number): Ledger {
  mesh.clock.advance({ milliseconds: byMs });
  const clock = { now: () => mesh.clock.now(), lastJump: { byMs, agoMs } };
  return mesh.ledger(configOf(), clock);
}

test('after a jump of the time no lease is taken until its worker had the time to renew it', async () => {
  const [id] = await mesh.add(mesh.ledger(), {});
  await mesh.run(mesh.ledger(), 'w1');
  expect(await run('reap', jumped(600_000, 59_000))).toEqual([]);
  expect(await run('reap', jumped(0, 60_000))).toMatchObject([{ id, reason: 'worker w1 did not renew its lease' }]);
});

test('the time by which the clock jumped forward does not count as waiting, for jobs from before and until all of them have ended', async () => {
  await mesh.add(mesh.ledger(), {});
  expect(await run('expire ready jobs', jumped(600_000, 0))).toEqual([]);
  mesh.clock.advance({ seconds: 301 });
  expect(
    await run('expire ready jobs', mesh.ledger(configOf(), { now: () => mesh.clock.now(), lastJump: { byMs: 600_000, agoMs: 301_000 } })),
  ).toMatchObject([{ state: 'expired', reason: expect.stringContaining('waited 301 s') }]);
  await mesh.add(mesh.ledger(), {});
  mesh.clock.advance({ seconds: 301 });
  // The longest wait of a queue as shipped is 7,200 s. After that the jump is no matter any more.
  const afterJump = (agoMs: number) => mesh.ledger(configOf(), { now: () => mesh.clock.now(), lastJump: { byMs: 600_000, agoMs } });
  expect(await run('expire ready jobs', afterJump(7_200_000))).toEqual([]);
  expect(await run('expire ready jobs', afterJump(7_200_001))).toMatchObject([{ state: 'expired' }]);
});

test('after an outage of the database workers get time to renew their leases before they are judged', async () => {
  const proxy = await startDatabaseProxy(inject('databaseServer'));
  const db = openDatabase({ ...mesh.database.options, socketPath: undefined, host: proxy.host, port: proxy.port });
  onTestFinished(async () => {
    await db.close();
    await proxy.close();
  });
  const ledger = { ...mesh.ledger(), db, leaseSeconds: 0.9 };
  const told: Change[] = [];
  const reap = maintenanceDuties({ ledger, config: configOf(), announce: (changes) => told.push(...changes) }).find(
    ({ name }) => name === 'reap',
  );
  await reap?.run(signal);
  const [id] = await mesh.add(ledger, {});
  await mesh.run(ledger, 'w1');
  // It takes no writes for a third of a lease and more, as a server that has become read-only.
  proxy.refuse(1290, /INSERT|UPDATE|DELETE/, Number.POSITIVE_INFINITY);
  await delay(400);
  await expect(reap?.run(signal)).rejects.toMatchObject({ code: 'database.unavailable' });
  mesh.clock.advance({ seconds: 31 });
  proxy.clear();
  await reap?.run(signal);
  expect(told).toEqual([]);
  const announced = async () => {
    await reap?.run(signal);
    return told.map((change) => change.id);
  };
  await expect.poll(announced).toEqual([id]);
});

test('only an outage that was longer than a third of a lease delays the judgement, by as much again', () => {
  let monotonic = 100_000;
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => monotonic);
  onTestFinished(() => spy.mockRestore());
  const outages = watchOutages(30);
  /** A database that is away from now on for so long. */
  const away = (ms: number): void => {
    outages.saw(true);
    outages.saw(false);
    monotonic += ms;
    outages.saw(true);
  };
  expect(outages.mayJudge()).toBe(true);
  away(10_000);
  expect(outages.mayJudge()).toBe(true);
  away(10_001);
  expect(outages.mayJudge()).toBe(false);
  monotonic += 9_999;
  expect(outages.mayJudge()).toBe(false);
  monotonic += 1;
  expect(outages.mayJudge()).toBe(true);
  // Nobody looked for an hour: that alone is no outage.
  monotonic += 3_600_000;
  outages.saw(true);
  expect(outages.mayJudge()).toBe(true);
});

test('a clock that was set back lengthens no wait and shortens none', async () => {
  await mesh.add(mesh.ledger(), {});
  const back = mesh.ledger(configOf(), { now: () => mesh.clock.now(), lastJump: { byMs: -600_000, agoMs: 1_000 } });
  mesh.clock.advance({ seconds: 299 });
  expect(await run('expire ready jobs', back)).toEqual([]);
  mesh.clock.advance({ seconds: 1 });
  expect(await run('expire ready jobs', back)).toMatchObject([{ state: 'expired' }]);
});

test('each duty has its own interval: as configured, of ageing a fifth of a level', () => {
  const config = configOf({
    'scheduler.promote_interval': 0.3,
    'scheduler.reap_interval': 7,
    'scheduler.ageing.interval': 300,
    'scheduler.ageing.foreground_interval': 40,
  });
  const duties = maintenanceDuties({ ledger: mesh.ledger(config), config, announce: () => {} });
  expect(Object.fromEntries(duties.map(({ name, everySeconds }) => [name, everySeconds]))).toEqual({
    promote: 0.3,
    reap: 7,
    'expire ready jobs': 7,
    'expire blocked jobs': 7,
    'heal slots': 5,
    age: 60,
    'age foreground': 8,
  });
});

test('who is told to stop ends after the batch under way', async () => {
  const ledger = mesh.ledger();
  const runAt = new Date(mesh.clock.now().epochMilliseconds + 1_000);
  await mesh.add(ledger, ...Array.from({ length: 600 }, () => ({ runAt, level: 8 })));
  mesh.clock.advance({ seconds: 301 });
  const stopped = AbortSignal.abort();
  const duties = maintenanceDuties({ ledger, config: configOf(), announce: () => {} });
  const ready = async () => (await mesh.db.rows<{ n: number }>("SELECT COUNT(*) AS n FROM job_states WHERE state = 'ready'"))[0]!.n;
  await duties.find(({ name }) => name === 'promote')!.run(stopped);
  expect(await ready()).toBe(500);
  await run('promote', ledger);
  await setJobs(mesh.db, { enqueued_at: new Date(mesh.clock.now().epochMilliseconds - 300_000) });
  await duties.find(({ name }) => name === 'age')!.run(stopped);
  expect((await levels()).filter((level) => level === 7)).toHaveLength(500);
  await setJobs(mesh.db, { state: 'completed', due_at: new Date('2020-01-01T00:00:00Z') });
  await retentionDuty(ledger, configOf({ 'scheduler.retention.batch': 100 })).run(stopped);
  expect(await count('job_states')).toBe(600);
});

test('a job that waited longer than its queue allows expires, and the one that needs it ends with it', async () => {
  const ledger = mesh.ledger();
  const [first, second] = await mesh.add(ledger, { dedupeKey: 'a' }, { dedupeKey: 'b', after: ['a'], level: 8 });
  mesh.clock.advance({ seconds: 301 });
  const told = await run('expire ready jobs', ledger);
  expect(told.map(({ id, state }) => [id, state])).toEqual([
    [first, 'expired'],
    [second, 'failed'],
  ]);
});

test('a job that was blocked longer than its queue allows expires', async () => {
  const ledger = mesh.ledger();
  const [, second] = await mesh.add(ledger, { dedupeKey: 'a', level: 8 }, { dedupeKey: 'b', after: ['a'], level: 1 });
  mesh.clock.advance({ seconds: 301 });
  expect(await run('expire blocked jobs', ledger)).toMatchObject([{ id: second, state: 'expired' }]);
});

test('a slot whose job does not run is freed, and the job that waits for it is ready and announced', async () => {
  const config = configOf({ 'stock_jobs.portfolio_priority.max_concurrent_per_user': 1 });
  const ledger = mesh.ledger(config);
  await mesh.add(ledger, { user: 'ada' }, { user: 'ada' });
  const [running] = await mesh.run(ledger, 'w1');
  await setJobs(mesh.db, { state: 'cancelled' }, 'id = ?', [idToBytes(running!.id)]);
  const told = await run('heal slots', ledger, config);
  expect(told).toMatchObject([{ state: 'ready' }]);
  expect(told[0]!.id).not.toBe(running!.id);
});

async function levels(): Promise<number[]> {
  const rows = await mesh.db.rows<{ priority: number }>('SELECT priority FROM job_states ORDER BY id');
  return rows.map(({ priority }) => levelOf(priority));
}

test('background work that waits rises a level an interval, in all as many as configured, and never into the foreground', async () => {
  const ledger = mesh.ledger();
  await mesh.add(ledger, { level: 1 }, { level: 4 }, { level: 5 }, { level: 8 }, { level: 10 });
  mesh.clock.advance({ seconds: 300 });
  await run('age', ledger);
  expect(await levels()).toEqual([1, 4, 4, 7, 9]);
  mesh.clock.advance({ hours: 1 });
  await run('age', ledger);
  expect(await levels()).toEqual([1, 4, 4, 6, 8]);
  await run('age', ledger);
  expect(await levels()).toEqual([1, 4, 4, 6, 8]);
});

test('every job of a long queue rises in one run', async () => {
  const ledger = mesh.ledger();
  await mesh.add(ledger, ...Array.from({ length: 1_100 }, () => ({ level: 8 })));
  mesh.clock.advance({ seconds: 300 });
  await run('age', ledger);
  expect(new Set(await levels())).toEqual(new Set([7]));
});

test('without levels nothing ages', () => {
  const config = configOf({ 'scheduler.ageing.levels': 0 });
  const names = maintenanceDuties({ ledger: mesh.ledger(config), config, announce: () => {} }).map(({ name }) => name);
  expect(names).not.toContain('age');
});

test('foreground jobs age by default, in another interval, and not when it is 0', async () => {
  const ledger = mesh.ledger();
  await mesh.add(ledger, { level: 3 });
  mesh.clock.advance({ seconds: 30 });
  await run('age foreground', ledger);
  expect(await levels()).toEqual([2]);
  const config = configOf({ 'scheduler.ageing.foreground_interval': 0 });
  const names = maintenanceDuties({ ledger: mesh.ledger(config), config, announce: () => {} }).map(({ name }) => name);
  expect(names).not.toContain('age foreground');
});

const count = async (table: string) => (await mesh.db.rows<{ rows: number }>(`SELECT COUNT(*) AS \`rows\` FROM ${table}`))[0]!.rows;

test('the clean-up deletes what is older than configured, in batches, and nothing else', async () => {
  const config = configOf({ 'scheduler.retention.batch': 2, 'jobs.cleanup_after_days': 7 });
  const ledger = mesh.ledger(config);
  const now = mesh.clock.now().epochMilliseconds;
  const ago = (days: number) => new Date(now - days * 86_400_000);
  const old = await mesh.add(ledger, {}, {}, {}, {}, {});
  const young = await mesh.add(ledger, {}, {});
  await setJobs(mesh.db, { state: 'completed', due_at: ago(7.1) }, 'id IN (?)', [old.map(idToBytes)]);
  await setJobs(mesh.db, { state: 'completed', due_at: ago(6.9) }, 'id = ?', [idToBytes(young[0]!)]);
  await mesh.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ?', [
    [7.1, 7.2, 7.3, 6.9].map((days) => ['ada', ago(days), ago(days), 1, 1, 0, '[]']),
  ]);
  await mesh.db.run('INSERT INTO login_answers (id, instance, admitted_at, logins) VALUES ?', [
    [59, 61].map((minutes) => [idToBytes(newJobId(now)), 'pp1', new Date(now - minutes * 60_000), '[]']),
  ]);
  await mesh.db.run("INSERT INTO job_askers (job_id, asker) SELECT id, 'key:a' FROM job_states");
  await mesh.db.run('INSERT INTO dedupe_windows (dedupe_key, job_id, until) VALUES ?', [
    [-1, 1].map((second) => [`k${second}`, idToBytes(newJobId(now)), new Date(now + second * 1000)]),
  ]);
  await mesh.db.run('INSERT INTO instances (instance, service, session, started_at, heartbeat_at) VALUES ?', [
    [61, 59].map((minutes) => [`w${minutes}`, 'worker', crypto.randomUUID(), ago(1), new Date(now - minutes * 60_000)]),
  ]);

  await retentionDuty(ledger, config).run(signal);

  expect(await count('job_states')).toBe(2);
  expect(await count('jobs')).toBe(2);
  expect(await count('job_askers')).toBe(2);
  expect(await count('user_portfolio_priority')).toBe(1);
  // What was admitted 59 minutes ago; the other one was too old to be answered.
  expect(await count('login_answers')).toBe(1);
  expect(await mesh.db.rows('SELECT dedupe_key FROM dedupe_windows')).toEqual([{ dedupe_key: 'k1' }]);
  expect(await mesh.db.rows('SELECT instance FROM instances')).toEqual([{ instance: 'w59' }]);
});

test('the clean-up deletes callbacks that were delivered or given up when their jobs go, in batches, and none that is still to be made', async () => {
  const config = configOf({ 'scheduler.retention.batch': 2, 'jobs.cleanup_after_days': 7 });
  const now = mesh.clock.now().epochMilliseconds;
  const rows = ['delivered', 'failed', 'pending', 'waiting'].flatMap((state) =>
    [7.1, 7.2, 7.3, 6.9].map((days) => {
      const at = new Date(now - days * 86_400_000);
      return [idToBytes(newJobId(now)), idToBytes(newJobId(now)), 'a', 'https://a.example/', state, at, at];
    }),
  );
  await mesh.db.run('INSERT INTO callbacks (id, job_id, key_id, url, state, due_at, created_at) VALUES ?', [rows]);
  await retentionDuty(mesh.ledger(config), config).run(signal);
  expect(await mesh.db.rows('SELECT state, COUNT(*) AS n FROM callbacks GROUP BY state ORDER BY state + 0')).toEqual([
    { state: 'pending', n: 4 },
    { state: 'delivered', n: 1 },
    { state: 'failed', n: 1 },
    { state: 'waiting', n: 4 },
  ]);
});

test('the clean-up deletes research and opinions of a model after 90 days, in batches', async () => {
  const config = configOf({ 'scheduler.retention.batch': 2 });
  const now = mesh.clock.now().epochMilliseconds;
  const ago = (days: number) => new Date(now - days * 86_400_000);
  const days = [92, 93, 94, 88];
  const day = (age: number) => ago(age).toISOString().slice(0, 10);
  await mesh.db.run('INSERT INTO fundamentals (symbol, day, fetched_at, source, data) VALUES ?', [
    days.map((age) => [`A${age}`, day(age), ago(age), 'simulated', '{}']),
  ]);
  await mesh.db.run('INSERT INTO news (symbol, id, published_at, fetched_at, source, title, publisher, link, tickers) VALUES ?', [
    days.map((age) => [`A${age}`, Buffer.alloc(32, age), ago(age), ago(age), 'simulated', 't', 'p', 'l', '[]']),
  ]);
  await mesh.db.run('INSERT INTO news_checks (symbol, checked_at, source) VALUES ?', [
    days.map((age) => [`A${age}`, ago(age), 'simulated']),
  ]);
  await mesh.db.run(
    'INSERT INTO model_analyses (symbol, created_at, facts_hash, model, provider, spend_id, sentiment, recommendation, confidence, document, stale_after) VALUES ?',
    [days.map((age) => [`A${age}`, ago(age), Buffer.alloc(32), 'm', 'p', 1, 0, 'hold', 0, '{}', ago(age)])],
  );
  await retentionDuty(mesh.ledger(config), config).run(signal);
  for (const table of ['fundamentals', 'news', 'news_checks', 'model_analyses'])
    expect(await mesh.db.rows(`SELECT symbol FROM ${table}`), table).toEqual([{ symbol: 'A88' }]);
});

test('the clean-up deletes audit rows beyond their days and tokens of streams that are over, in batches', async () => {
  const config = configOf({ 'scheduler.retention.batch': 2, 'audit.keep_days': 30 });
  const now = mesh.clock.now().epochMilliseconds;
  const days = [30.1, 30.2, 30.3, 29.9];
  await mesh.db.run('INSERT INTO audit_log (at, source, action, outcome) VALUES ?', [
    days.map((ago) => [new Date(now - ago * 86_400_000), 'cli', `${ago}`, 'done']),
  ]);
  await mesh.db.run('INSERT INTO stream_tokens (hash, key_id, expires_at) VALUES ?', [
    [-1, 1].map((second) => [Buffer.alloc(32, second), `${second}`, new Date(now + second * 1000)]),
  ]);
  await retentionDuty(mesh.ledger(config), config).run(signal);
  expect(await mesh.db.rows('SELECT action FROM audit_log')).toEqual([{ action: '29.9' }]);
  expect(await mesh.db.rows('SELECT key_id FROM stream_tokens')).toEqual([{ key_id: '1' }]);
});

test('the clean-up deletes replaced rankings and chains beyond their days', async () => {
  const config = configOf({ 'scheduler.retention.batch': 200, 'ranking.retention.run_days': 3, 'ranking.retention.chain_days': 40 });
  const ledger = mesh.ledger(config);
  const now = mesh.clock.now().epochMilliseconds;
  const ago = (days: number) => new Date(now - days * 86_400_000);
  // Two runs a batch; of seven the newest old one is the published one.
  const runs = [2.9, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6].map((days) => ({ id: idToBytes(newJobId(now)), at: ago(days) }));
  await mesh.db.run(
    'INSERT INTO option_runs (run_id, symbol, ranking_mode, run_at, as_of, source, spot, total, eligible, reasons, gaps, trend, job_id) VALUES ?',
    [runs.map(({ id, at }) => [id, 'AAPL', 'entry', at, at, 'file', 1, 0, 0, '{}', '[]', 'neutral', id])],
  );
  await mesh.db.run("INSERT INTO option_current (symbol, ranking_mode, run_id) VALUES ('AAPL', 'entry', ?)", [runs[1]!.id]);
  await mesh.db.run('INSERT INTO chain_days (symbol, date, source, as_of, contracts, data) VALUES ?', [
    [39, 42].map((days) => ['AAPL', ago(days).toISOString().slice(0, 10), 'file', ago(days), 0, Buffer.alloc(1)]),
  ]);

  await retentionDuty(ledger, config).run(signal);

  expect(await mesh.db.rows('SELECT run_at FROM option_runs ORDER BY run_at DESC')).toEqual(
    runs.slice(0, 2).map(({ at }) => ({ run_at: at })),
  );
  expect(await count('chain_days')).toBe(1);
});

test('the clean-up gives back the claims of downloads that do not run any more, in batches, and leaves those of one that runs', async () => {
  const config = configOf({ 'scheduler.retention.batch': 2 });
  const ledger = mesh.ledger(config);
  await mesh.add(ledger, {});
  const [running] = await mesh.run(ledger, 'w1');
  const { id, attempt } = running!;
  await mesh.db.run('INSERT INTO history_fetches (object_key, job_id, attempt) VALUES ?', [
    [
      ['an earlier attempt', idToBytes(id), attempt - 1],
      ['held', idToBytes(id), attempt],
      ['deleted 1', idToBytes(newJobId(mesh.clock.now().epochMilliseconds)), 1],
      ['deleted 2', idToBytes(newJobId(mesh.clock.now().epochMilliseconds)), 1],
    ],
  ]);
  await retentionDuty(ledger, config).run(signal);
  expect(await mesh.db.rows('SELECT object_key FROM history_fetches')).toEqual([{ object_key: 'held' }]);
});

test('the clean-up gives up a paid call that nobody reads any more, so that it is listed as unknown', async () => {
  const config = configOf();
  const long = new Date(mesh.clock.now().epochMilliseconds - 3_600_000);
  const columns = 'intent_key, payment, purpose, job_id, attempt, state, reserved_micros, provider, model_asked, request_hash';
  await mesh.db.run(`INSERT INTO spend (${columns}, price_in, price_out, reserved_at, sent_at, deadline) VALUES (?)`, [
    ['picks:ada:left:word', 1, 'picks', Buffer.alloc(16), 1, 'sent', 1, 'a', 'b', Buffer.alloc(32), 0, 0, long, long, long],
  ]);
  await retentionDuty(mesh.ledger(config), config).run(signal);
  expect(await mesh.db.rows("SELECT state FROM spend WHERE intent_key = 'picks:ada:left:word'")).toEqual([{ state: 'unknown' }]);
});
