/** The statistics of the minutes, over jobs that a test has run on a clock of its own. */
import { beforeEach, expect, test } from 'vitest';
import { type Ledger, nowOf } from '../../../services/ledger/job.ts';
import { readMeshMetrics } from '../../../services/ledger/read/metrics.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { bucketPercentile, countOf } from '../../../services/platform/monitoring/buckets.ts';
import {
  HOUR_S,
  type MeshStats,
  MINUTE_S,
  mergeStats,
  readStatsRows,
  writeStats,
} from '../../../services/platform/monitoring/mesh-stats.ts';
import { writeHealth } from '../../../services/platform/monitoring/source-health.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { minutesDuty } from '../../../services/scheduler/statistics/minutes.ts';
import { fixture } from '../mesh.ts';

const on = fixture();
const signal = new AbortController().signal;
/** Later than all ids of other files that share this process: the moments of requests stand in them. */
let day = 0;
let start: Date;
let ledger: Ledger;
let duty: ReturnType<typeof minutesDuty>;

beforeEach(async () => {
  for (const table of ['mesh_stats', 'source_health', 'logins']) await on.db.run(`DELETE FROM ${table}`);
  start = new Date(Date.UTC(2027, 0, ++day, 14, 0, 0));
  on.clock = new ManualClock(start.toISOString());
  ledger = on.ledger();
  duty = minutesDuty(ledger, () => readMeshMetrics(on.db, nowOf(ledger), ledger));
});

const look = () => duty.run(signal);
const all = async (step = MINUTE_S): Promise<MeshStats[]> =>
  readStatsRows(on.db, step, new Date(start.getTime() - 7_200_000), new Date(start.getTime() + 86_400_000));

test('a row is written when its minute is over, with what was asked for and ended in it', async () => {
  await look();
  await on.add(ledger, { symbol: 'AAPL' }, { symbol: 'MSFT' }, { symbol: 'IBM' });
  on.clock.advance({ seconds: 10 });
  const jobs = await on.run(ledger, 'worker-1', 2);
  on.clock.advance({ seconds: 20 });
  await complete(ledger, 'worker-1', [{ job: jobs[0]!, result: {} }]);
  await fail(ledger, 'worker-1', [{ job: jobs[1]!, error: new PermanentError('symbol.unknown', 'nobody knows it') }]);
  await look();
  expect(await all()).toEqual([]);
  on.clock.advance({ seconds: 31 });
  await look();
  const [row, ...others] = await all();
  expect(others).toEqual([]);
  expect(row).toMatchObject({
    ...{ at: start, minutes: 1, enqueued: 3, completed: 1, failed: 1, ready: 1, running: 0, oldest_s: 61 },
    details: {
      types: { fetch: { completed: 1, failed: 1 } },
      codes: { 'symbol.unknown': 1 },
      flow: { foreground: { in: 3, out: 2 } },
      queues: { foreground: { ready: 1, running: 0 } },
    },
  });
  expect(countOf(row!.details.wait)).toBe(2);
  // They waited for 10 s and ran for 20 s; a bucket is right within a quarter.
  expect(bucketPercentile(row!.details.wait, 0.5)! / 10).toBeCloseTo(1, 0);
  expect(bucketPercentile(row!.details.run, 0.5)! / 20).toBeCloseTo(1, 0);
});

test('minutes without a leader are left out, and an hour is summed up when it is over', async () => {
  on.clock = new ManualClock(new Date(start.getTime() + 57 * 60_000).toISOString());
  ledger = on.ledger();
  duty = minutesDuty(ledger, () => readMeshMetrics(on.db, nowOf(ledger), ledger));
  for (const seconds of [0, 60, 60, 120]) {
    on.clock.advance({ seconds });
    await look();
  }
  const minutes = (await all()).map(({ at }) => (at.getTime() - start.getTime()) / 60_000);
  expect(minutes).toEqual([57, 58, 59]);
  expect(await all(HOUR_S)).toMatchObject([{ at: start, minutes: 3 }]);
});

test('hours that another leader did not sum up are, whenever one looks again', async () => {
  const of = (hours: number, minutes: number): MeshStats => ({
    ...standing(1, 5, null),
    at: new Date(start.getTime() - hours * 3_600_000 + minutes * 60_000),
  });
  for (const row of [of(3, 57), of(3, 58), of(1, 20)]) await writeStats(on.db, MINUTE_S, row);
  await look();
  on.clock.advance({ seconds: 60 });
  await look();
  const hours = (await readStatsRows(on.db, HOUR_S, new Date(start.getTime() - 86_400_000), start)).map(({ at, minutes }) => [at, minutes]);
  expect(hours).toEqual([
    [of(3, 0).at, 2],
    [of(1, 0).at, 1],
  ]);
});

test('what a minute could not write for an outage is in the row that is written later', async () => {
  await look();
  const at = nowOf(ledger);
  const [id] = await on.add(ledger, { symbol: 'AAPL' });
  await on.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES (?)', [
    ['dave', at, at, 1, 1, 0, JSON.stringify([{ symbol: 'AAPL', fetch: { id } }])],
  ]);
  await look();
  const [job] = await on.run(ledger, 'worker-1', 1);
  await complete(ledger, 'worker-1', [{ job: job!, result: {} }]);
  const { run } = ledger.db.long;
  ledger.db.long.run = () => Promise.reject(new Error('the database is away'));
  await expect(look()).rejects.toThrow('away');
  ledger.db.long.run = run;
  on.clock.advance({ seconds: 60 });
  await look();
  expect(await all()).toMatchObject([{ logins: 1 }]);
  expect(await on.db.rows("SELECT fresh_at FROM user_portfolio_priority WHERE user_id = 'dave'")).toEqual([{ fresh_at: at }]);
});

test('a login is measured until the last of its jobs has completed, and a failed one is not', async () => {
  await look();
  const at = nowOf(ledger);
  const ids = await on.add(ledger, { symbol: 'AAPL' }, { symbol: 'MSFT' }, { symbol: 'IBM' });
  const kept = (symbols: string[]) => JSON.stringify(symbols.map((symbol, index) => ({ symbol, fetch: { id: ids[index] } })));
  const login = (user: string, decisions: string, queued: number) =>
    on.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES (?)', [
      [user, at, at, 3, queued, 3 - queued, decisions],
    ]);
  await login('alice', kept(['AAPL', 'MSFT']), 2);
  await login('bob', JSON.stringify([{ symbol: 'IBM', fetch: { id: ids[2] } }]), 1);
  await login('carol', JSON.stringify([{ symbol: 'AAPL', fresh: 'fresh' }]), 0);
  const jobs = await on.run(ledger, 'worker-1', 3);
  const of = (symbol: string) => jobs.find((job) => job.symbol === symbol)!;
  on.clock.advance({ seconds: 2 });
  await complete(ledger, 'worker-1', [{ job: of('AAPL'), result: {} }]);
  await look();
  on.clock.advance({ seconds: 6 });
  await complete(ledger, 'worker-1', [{ job: of('MSFT'), result: {} }]);
  await fail(ledger, 'worker-1', [{ job: of('IBM'), error: new PermanentError('symbol.unknown', 'nobody knows it') }]);
  on.clock.advance({ seconds: 1 });
  await look();
  on.clock.advance({ seconds: 55 });
  await look();
  expect((await all())[0]).toMatchObject({ logins: 1 });
  expect(countOf((await all())[0]!.details.login_fresh)).toBe(1);
  const fresh = await on.db.rows<{ user_id: string; fresh_at: Date | null }>(
    'SELECT user_id, fresh_at FROM user_portfolio_priority ORDER BY user_id',
  );
  expect(fresh).toEqual([
    { user_id: 'alice', fresh_at: new Date(at.getTime() + 8_000) },
    { user_id: 'bob', fresh_at: null },
    { user_id: 'carol', fresh_at: null },
  ]);
});

test('requests to a source are those since the minute before, and rows of dead workers go', async () => {
  const alive = {
    service: 'worker',
    session: '00000000-0000-4000-8000-000000000000',
    capacity: 1,
    running: 0,
    started_at: start,
    heartbeat_at: start,
  };
  await reportInstance(on.db, { instance: 'worker-1', ...alive });
  const health = (answers: number, errors: number) => ({
    ...{ source: 'yahoo_finance', answers, errors },
    ...{ open_until: null, last_ok_at: null, last_error_at: null, last_code: null, last_error: null },
  });
  await writeHealth(on.db, 'worker-1', [health(100, 10)]);
  await writeHealth(on.db, 'worker-dead', [health(5, 5)]);
  await look();
  for (const [answers, errors] of [
    [100, 10],
    [130, 11],
    // It has started again.
    [4, 1],
  ] as const) {
    await writeHealth(on.db, 'worker-1', [health(answers, errors)]);
    on.clock.advance({ seconds: 60 });
    await look();
  }
  expect((await all()).map(({ details }) => details.sources.yahoo_finance)).toEqual([
    { answers: 0, errors: 0, p95_s: null },
    { answers: 30, errors: 1, p95_s: null },
    { answers: 4, errors: 1, p95_s: null },
  ]);
  expect(await on.db.rows('SELECT instance FROM source_health')).toEqual([{ instance: 'worker-1' }]);
});

const standing = (ready: number, completed: number, oldest_s: number | null): MeshStats => ({
  ...{ at: new Date(0), minutes: 1, ready, running: 0, scheduled: 0, blocked: 0, oldest_s, enqueued: 0, completed, failed: 0 },
  ...{ workers: 1, slots: 5, busy: 0, logins: 1 },
  details: {
    queues: { foreground: { ready, running: 0, oldest_s } },
    ...{ types: { fetch: { completed, failed: 0 } }, codes: { 'source.timeout': 1 }, sources: {} },
    ...{ wait: [1, 2], run: [], login_fresh: [] },
  },
});

test('an hour and a minute that are merged weigh by their minutes, in all and by queue', () => {
  const merged = mergeStats(new Date(0), [{ ...standing(100, 0, null), minutes: 60 }, standing(39, 0, null)]);
  // (100 × 60 + 39) ÷ 61
  expect([merged?.ready, merged?.details.queues.foreground?.ready]).toEqual([99, 99]);
});

test('merged rows add what each queue took and gave, and those of earlier versions count as nothing', () => {
  const [earlier, one, other] = [standing(0, 0, null), standing(0, 0, null), standing(0, 0, null)];
  one.details.flow = { foreground: { in: 2, out: 1 } };
  other.details.flow = { foreground: { in: 3, out: 5 }, background_fetch: { in: 1, out: 0 } };
  expect(mergeStats(new Date(0), [earlier, one, other])?.details.flow).toEqual({
    foreground: { in: 5, out: 6 },
    background_fetch: { in: 1, out: 0 },
  });
});

test('merged rows add what happened, average what stood, and keep the longest wait', () => {
  const merged = mergeStats(new Date(0), [standing(10, 5, null), standing(20, 7, 3), standing(0, 0, 1)]);
  expect(merged).toMatchObject({ minutes: 3, ready: 10, completed: 12, oldest_s: 3, logins: 3, slots: 5 });
  expect(merged?.details).toMatchObject({ types: { fetch: { completed: 12 } }, codes: { 'source.timeout': 3 } });
  expect(merged?.details.wait.slice(0, 3)).toEqual([3, 6, 0]);
  expect(mergeStats(new Date(0), [])).toBeUndefined();
});
