import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { listJobs } from '../../services/ledger/read/jobs.ts';
import { createAdmission } from '../../services/logins/admission.ts';
import { prefetch, startPrefetching } from '../../services/logins/prediction.ts';
import type { Config } from '../../services/platform/config/load.ts';
import { tryLead } from '../../services/platform/registry/leases.ts';
import { switchAutoFetch } from '../../services/platform/registry/settings.ts';
import { defaults } from '../portfolio-priority/service-fixture.ts';
import { STATE_TABLES } from '../support/job-rows.ts';
import { countRows, hold, ledgerFixture, makeFresh, symbolsOf } from './ledger-fixture.ts';

const fixture = ledgerFixture();
// default.yaml: 30 minutes before the hour, three logins make a habit, within 28 days.
const BEFORE = '2026-03-03T15:31:00Z';
const silent = pino({ level: 'silent' });
const quietBus = { state: 'offline' as const, publish: async () => {} };
const ledger = () => ledgerOf(fixture.db, fixture.clock, defaults);
const announcer = () => createAnnouncer({ bus: quietBus, sql: fixture.db, clock: fixture.clock, log: silent });
const withPredictive = (more: Partial<Config['portfolio']['predictive']>): Config => ({
  ...defaults,
  portfolio: { ...defaults.portfolio, predictive: { ...defaults.portfolio.predictive, ...more } },
});

/** Signs a user in on days of February and March at a time (UTC), through the service's own way. */
async function signInAt(user: string, time: string, ...days: string[]): Promise<void> {
  const { admitLogin, idle } = createAdmission({ ledger: ledger(), announcer: announcer(), bus: quietBus, config: defaults, log: silent });
  for (const day of days) {
    fixture.clock.set(`2026-${day}T${time}Z`);
    await admitLogin({ userId: user, at: fixture.clock.now().toString() });
  }
  await idle();
  for (const table of ['jobs', ...STATE_TABLES, 'job_subscribers', 'job_dependencies']) await fixture.db.run(`DELETE FROM ${table}`);
  fixture.clock.set(BEFORE);
}

test('what a user usually looks at in the coming hour is queued as background work, for that user', async () => {
  await hold(fixture.db, { alice: ['AAPL', 'SPY'] });
  await makeFresh(fixture.db, ['SPY']);
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  await fixture.db.run('UPDATE symbols SET as_of = ?, checked_at = ?, analysed_at = ?', Array(3).fill(new Date(BEFORE)));
  expect(await prefetch(ledger(), defaults)).toEqual({ users: 1, queued: 2 });
  const jobs = await listJobs(fixture.db, { user: 'alice', limit: 10 });
  expect(jobs.map(({ type, symbol, queue }) => ({ type, symbol, queue }))).toEqual(
    expect.arrayContaining([
      { type: 'fetch', symbol: 'AAPL', queue: 'background_fetch' },
      { type: 'analysis', symbol: 'AAPL', queue: 'background_analysis' },
    ]),
  );
  expect(await fixture.db.rows('SELECT triggered_by FROM jobs')).toEqual(Array(2).fill({ triggered_by: 'predictive' }));
});

test('the answers of what was queued are given to be announced', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  const committed: string[] = [];
  await prefetch(ledger(), defaults, (answers) => committed.push(...answers.map(({ outcome }) => outcome)));
  expect(committed).toEqual(['queued', 'queued']);
});

test('it looks every minute, once for an hour, and not after its end', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  await hold(fixture.db, { alice: ['AAPL'] });
  const users = async () => (await fixture.db.rows<{ n: number }>('SELECT COUNT(*) AS n FROM job_states'))[0]!.n;
  const stop = startPrefetching({ ledger: ledger(), announcer: announcer(), config: defaults, log: silent, instance: 'pp1' });
  await expect.poll(() => fixture.db.rows('SELECT holder FROM leases')).toEqual([{ holder: 'pp1' }]);
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  fixture.clock.set(BEFORE);
  expect(await users()).toBe(0);
  fixture.clock.advance({ minutes: 60 });
  await fixture.db.run('UPDATE logins SET hours = ?', [
    JSON.stringify(Array.from({ length: 24 }, (_, hour) => (hour === 17 ? [20_513, 20_514, 20_515] : []))),
  ]);
  await vi.advanceTimersByTimeAsync(60_000);
  await expect.poll(users).toBe(2);
  await stop();
  expect(vi.getTimerCount()).toBe(0);
});

test('it is done once a day', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  expect(await prefetch(ledger(), defaults)).toMatchObject({ users: 1 });
  expect(await prefetch(ledger(), defaults)).toEqual({ users: 0, queued: 0 });
  fixture.clock.advance({ hours: 24 });
  expect(await prefetch(ledger(), defaults)).toMatchObject({ users: 1 });
});

describe('nothing is fetched ahead', () => {
  test('for a user whose hour is another', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    await signInAt('alice', '19:10', '02-26', '02-27', '03-02');
    expect(await prefetch(ledger(), defaults)).toEqual({ users: 0, queued: 0 });
  });

  test('for a user without a habit yet', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    await signInAt('alice', '16:10', '02-27', '03-02');
    expect(await prefetch(ledger(), defaults)).toEqual({ users: 0, queued: 0 });
    expect(await prefetch(ledger(), withPredictive({ min_logins: 2 }))).toMatchObject({ users: 1 });
  });

  test('for a user who has stayed away for longer than is looked back', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    await signInAt('alice', '16:10', '02-16', '02-17', '02-18');
    expect(await prefetch(ledger(), withPredictive({ lookback_days: 7 }))).toEqual({ users: 0, queued: 0 });
    expect(await prefetch(ledger(), defaults)).toMatchObject({ users: 1 });
  });
});

test('the configured time before the hour decides when', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  expect(await prefetch(ledger(), withPredictive({ lead_minutes: 20 }))).toEqual({ users: 0, queued: 0 });
});

test('a habit just after midnight is fetched for in the evening before, once', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '00:10', '02-27', '02-28', '03-01');
  fixture.clock.set('2026-03-02T23:29:00Z');
  expect(await prefetch(ledger(), defaults)).toEqual({ users: 0, queued: 0 });
  fixture.clock.set('2026-03-02T23:31:00Z');
  expect(await prefetch(ledger(), defaults)).toEqual({ users: 1, queued: 2 });
  expect(await fixture.db.rows("SELECT DATE_FORMAT(prefetched_on, '%Y-%m-%d') AS day FROM logins")).toEqual([{ day: '2026-03-03' }]);
  fixture.clock.set('2026-03-03T00:05:00Z');
  expect(await prefetch(ledger(), defaults)).toEqual({ users: 0, queued: 0 });
  fixture.clock.set('2026-03-03T23:31:00Z');
  expect(await prefetch(ledger(), defaults)).toMatchObject({ users: 1 });
});

test('a habit across midnight is fetched for before 23:00', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '23:55', '02-25', '02-27');
  await signInAt('alice', '00:05', '03-01');
  fixture.clock.set('2026-03-02T22:31:00Z');
  expect(await prefetch(ledger(), defaults)).toMatchObject({ users: 1 });
});

test('users of more than one page are all found', async () => {
  const users = Array.from({ length: 450 }, (_, index) => `user${index}`);
  const symbols = symbolsOf(10);
  await hold(fixture.db, Object.fromEntries(users.map((user) => [user, symbols])));
  const day = Math.floor(Date.parse(BEFORE) / 86_400_000);
  const hours = JSON.stringify(Array.from({ length: 24 }, (_, hour) => (hour === 16 ? [day - 3, day - 2, day - 1] : [])));
  await fixture.db.run('INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES ?', [
    users.map((user) => [user, 2, new Date('2026-03-02T16:10:00Z'), hours]),
  ]);
  fixture.clock.set(BEFORE);
  expect(await prefetch(ledger(), defaults)).toEqual({ users: 450, queued: 20 });
  expect(await countRows(fixture.db, 'job_subscribers')).toBe(450 * 20);
});

test('of several instances only the one with the lease does it', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  expect(await tryLead(fixture.db, 'predictive', 'another', 60, new Date(BEFORE))).toBe(true);
  const stop = startPrefetching({ ledger: ledger(), announcer: announcer(), config: defaults, log: silent, instance: 'pp1' });
  await stop();
  expect(await countRows(fixture.db, 'jobs')).toBe(0);
  fixture.clock.advance({ seconds: 61 });
  await startPrefetching({ ledger: ledger(), announcer: announcer(), config: defaults, log: silent, instance: 'pp1' })();
  expect(await countRows(fixture.db, 'jobs')).toBe(2);
});

test('while automatic fetching is off nothing is fetched ahead', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  await signInAt('alice', '16:10', '02-26', '02-27', '03-02');
  const once = () => startPrefetching({ ledger: ledger(), announcer: announcer(), config: defaults, log: silent, instance: 'pp1' })();
  await switchAutoFetch(fixture.db, false, 'ada', new Date(BEFORE));
  await once();
  expect(await countRows(fixture.db, 'jobs')).toBe(0);
  await switchAutoFetch(fixture.db, true, 'ada', new Date(BEFORE));
  await once();
  expect(await countRows(fixture.db, 'jobs')).toBe(2);
});
