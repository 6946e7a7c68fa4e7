/** The edges of admitting logins: what counts as the present, how large a batch is, what the end waits for, and whose fault a refusal is. */
import { describe, expect, test } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { createAdmission, isPast } from '../../services/logins/admission.ts';
import { readCommittedLogin } from '../../services/logins/commit.ts';
import { readLoginToJobsP95 } from '../../services/logins/latency.ts';
import { sourceSet } from '../../services/market/freshness/freshness.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { silent } from '../broker/peers.ts';
import { defaults as config } from '../portfolio-priority/service-fixture.ts';
import { admissionInto } from './admission-fixture.ts';
import { countRows, hold, ledgerFixture, NOW } from './ledger-fixture.ts';

const fixture = ledgerFixture();
const DAY_MS = 86_400_000;

test.each([
  [60_000, true],
  [60_001, false],
])('a login %d ms ahead may have been by now: %s', (ms, past) => {
  expect(isPast(1_000_000_000 + ms, 1_000_000_000)).toBe(past);
});

test.each([
  [DAY_MS, 'is an event'],
  [DAY_MS + 1, 'is none'],
])('a login %d ms old %s', async (ms, verdict) => {
  const { admitLogin } = admissionInto(fixture);
  const admitted = admitLogin({ userId: 'alice', at: new Date(Date.parse(NOW) - ms).toISOString() });
  if (verdict === 'is an event') await expect(admitted).resolves.toMatchObject({ user_id: 'alice' });
  else
    await expect(admitted).rejects.toMatchObject({
      name: 'InputError',
      code: 'login.expired',
      message: expect.stringContaining('portfolio.login_max_age'),
    });
});

test('a login of another source is in the first transaction, though a burst came before it', async () => {
  const { admitLogin, counters } = admissionInto(fixture);
  const burst = Array.from({ length: 300 }, (_, index) => admitLogin({ userId: `a${index}`, at: NOW }, 'hook'));
  await admitLogin({ userId: 'bob', at: NOW }, 'other hook');
  expect(counters).toMatchObject({ batches: 1, admitted: 200 });
  await Promise.all(burst);
});

test('the first transaction takes two hundred logins, so that their jobs begin, the next ones five hundred', async () => {
  const { admitLogin, counters } = admissionInto(fixture);
  const users = (count: number, name: string) => Array.from({ length: count }, (_, index) => `${name}${index}`);
  await Promise.all(users(200, 'a').map((userId) => admitLogin({ userId, at: NOW })));
  expect(counters.batches).toBe(1);
  await Promise.all(users(201, 'b').map((userId) => admitLogin({ userId, at: NOW })));
  expect(counters).toMatchObject({ batches: 3, admitted: 401 });
  await Promise.all(users(700, 'c').map((userId) => admitLogin({ userId, at: NOW })));
  expect(counters.batches).toBe(5);
  await Promise.all(users(701, 'd').map((userId) => admitLogin({ userId, at: NOW })));
  expect(counters).toMatchObject({ batches: 8, admitted: 1_802 });
});

test('while the answers of two transactions are not published no third one begins, so that answers do not fill the memory', async () => {
  const gate = Promise.withResolvers<void>();
  const { admitLogin, counters } = admissionInto(fixture, { bus: { publish: () => gate.promise } });
  for (const userId of ['first', 'second']) await admitLogin({ userId, at: NOW });
  const third = admitLogin({ userId: 'third', at: NOW });
  // Longer than a transaction takes here: a login of its own, in another process, is committed meanwhile.
  for (const userId of ['elsewhere', 'elsewhere too']) await admissionInto(fixture).admitLogin({ userId, at: NOW });
  expect(counters.admitted).toBe(2);
  gate.resolve();
  await third;
  expect(counters.admitted).toBe(3);
});

test('the end waits until the answers have been given', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const gate = Promise.withResolvers<void>();
  const happened: string[] = [];
  const { admitLogin, idle } = admissionInto(fixture, { bus: { publish: () => gate.promise } });
  await admitLogin({ userId: 'alice', at: NOW });
  const ended = idle().then(() => happened.push('idle'));
  await countRows(fixture.db, 'jobs');
  happened.push('answered');
  gate.resolve();
  await ended;
  expect(happened).toEqual(['answered', 'idle']);
});

test('the end waits for a commit under way, and it is told how many logins wait', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const bus = { state: 'online' as const, publish: async () => undefined };
  const ledger = ledgerOf(fixture.db, fixture.clock, config);
  const announcer = createAnnouncer({ bus, sql: fixture.db, clock: fixture.clock, log: silent });
  const admission = createAdmission({ ledger, announcer, bus, config, log: silent });
  expect(admission.waiting).toBe(0);
  const admitted = Promise.all(['alice', 'bob'].map((userId) => admission.admitLogin({ userId, at: NOW })));
  expect(admission.waiting).toBe(2);
  await admission.idle();
  expect([admission.waiting, await countRows(fixture.db, 'jobs')]).toEqual([0, 2]);
  await admitted;
});

test('an answer that cannot be given is logged, and the login is committed', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const { admitLogin, idle, lines } = admissionInto(fixture, { bus: { publish: () => Promise.reject(new TypeError('not a message')) } });
  expect(await admitLogin({ userId: 'alice', at: NOW })).toMatchObject({ queued: 1 });
  await idle();
  expect(lines).toContainEqual(expect.objectContaining({ level: 50, msg: 'committed but not announced: not a message' }));
  expect(await countRows(fixture.db, 'jobs')).toBe(2);
});

test('the log says what came of each transaction', async () => {
  await hold(fixture.db, { alice: ['AAPL'], bob: ['AAPL', 'IBM'] });
  const { admitLogin, lines } = admissionInto(fixture);
  await Promise.all(['alice', 'bob'].map((userId) => admitLogin({ userId, at: NOW })));
  await admitLogin({ userId: 'alice', at: NOW });
  expect(lines.filter(({ msg }) => msg.endsWith('admitted'))).toMatchObject([
    { msg: 'logins admitted', logins: 2, queued: 4, joined: 2, full: 0 },
    { msg: 'login admitted', logins: 1, queued: 0, joined: 2, full: 0 },
  ]);
});

test('a job that somebody wants more urgently says so, and scores are told with four decimals', async () => {
  await hold(fixture.db, { idle: ['AAPL'], busy: ['AAPL'] });
  await fixture.db.run("UPDATE holdings SET quantity = 1000000 WHERE user_id = 'busy'");
  await fixture.db.run('INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES (?)', [
    ['busy', 30, new Date(Date.parse(NOW) - 60_000), JSON.stringify(Array(24).fill([]))],
  ]);
  const { admitLogin } = admissionInto(fixture);
  const busy = await admitLogin({ userId: 'busy', at: NOW });
  const idle = await admitLogin({ userId: 'idle', at: NOW });
  const [urgent, shared] = [busy.jobs[0]!, idle.jobs[0]!];
  expect([urgent.priority, shared.priority, shared.id]).toEqual([1, 1, urgent.id]);
  expect(urgent.why.text).not.toContain('shared');
  expect(shared.why.text).toMatch(/; shared with a request of priority 1$/);
  for (const { score } of [urgent, shared]) expect(score).toBe(Math.round(score * 10_000) / 10_000);
  expect(shared.score).toBeLessThan(urgent.score);
});

test('a login that is not kept any more is to be sent again', async () => {
  await expect(readCommittedLogin(fixture.db, { user_id: 'alice', at: NOW })).rejects.toMatchObject({
    name: 'TransientError',
    code: 'login.unanswered',
    message: `the login of alice at ${NOW} is not in the database any more; send it again`,
  });
});

test('a reason that is longer than a message takes is cut, and the answer can be published', async () => {
  await hold(fixture.db, { alice: ['FB'] });
  await fixture.db.run("INSERT INTO symbols (symbol) VALUES ('FB')");
  const again = new Date(Date.parse(NOW) + 60_000);
  await fixture.db.run('INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES (?)', [
    ['FB', 'bars', sourceSet(config), new Date(NOW), new Date(NOW), again, 1, 'source.unknown_symbol', 'x'.repeat(480)],
  ]);
  const { admitLogin, idle, published } = admissionInto(fixture);
  const { skipped } = await admitLogin({ userId: 'alice', at: NOW });
  await idle();
  expect(skipped.map(({ reason }) => reason.length)).toEqual([500]);
  expect(published.map(({ kind }) => kind)).toEqual(['portfolio']);
});

describe('an error of the database', () => {
  const refusedBy = async (fault: object): Promise<string> => {
    const db: Database = { ...fixture.db, transaction: () => Promise.reject(Object.assign(new Error('refused'), fault)) };
    return admissionInto(fixture, { db })
      .admitLogin({ userId: 'alice', at: NOW })
      .then(
        () => 'committed',
        ({ code }) => code,
      );
  };

  // https://mariadb.com/kb/en/mariadb-error-codes/: parse error, row size, packet, truncated, no default, wrong value; SQLSTATE classes 22 and 23 are data and constraints.
  test.each([...[1064, 1118, 1153, 1265, 1364, 1366].map((errno) => [errno, 'HY000']), [1406, '22001'], [1452, '23000']])(
    '%d (%s) is the fault of the login: it is not tried again',
    async (errno, sqlState) => {
      expect(await refusedBy({ errno, sqlState })).toBe('login.unwritable');
    },
  );

  test.each([
    [1062, '23000'],
    [1114, 'HY000'],
    [1065, 'HY000'],
    [1205, undefined],
  ])('%d (%s) is the fault of the moment: it is tried again', async (errno, sqlState) => {
    expect(await refusedBy({ errno, sqlState })).toBe('database.refused');
  });
});

test('the time from a login to its jobs is that of the newest thousand logins of five minutes', async () => {
  const now = Date.parse(NOW);
  const row = (user: string, agoMs: number, tookMs: number) => [user, new Date(now - agoMs), new Date(now - agoMs + tookMs), 1, 1, 0, '[]'];
  await fixture.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ?', [
    [row('late', 300_000, 9_000), row('old', 299_999, 2_000)],
  ]);
  expect(await readLoginToJobsP95(fixture.db, new Date(now))).toBe(2);
  await fixture.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ?', [
    Array.from({ length: 1_000 }, (_, index) => row(`u${index}`, 1_000, 100)),
  ]);
  expect(await readLoginToJobsP95(fixture.db, new Date(now))).toBe(0.1);
});
