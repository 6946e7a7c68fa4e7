import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { createAdmission } from '../../services/logins/admission.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { connectionOptions, openDatabase } from '../../services/platform/database/database.ts';
import type { Body } from '../../services/platform/messages.ts';
import { silent } from '../broker/peers.ts';
import { countRows, everything, hold, ledgerFixture, symbolsOf } from '../logins/ledger-fixture.ts';
import { closing, openBus, proxyTo } from '../platform/bus/brokers.ts';
import { defaults, loginsWaiting, startInstance, startSite } from './service-fixture.ts';

const fixture = ledgerFixture();
const soon = { timeout: 20_000 };

test('a thousand logins at once are admitted, shared by symbol and committed without loss', { timeout: 120_000 }, async () => {
  // 1,000 users of 20 symbols each over 500 symbols, each symbol held by 40 users.
  const symbols = symbolsOf(500);
  const portfolioOf = (user: number): string[] => Array.from({ length: 20 }, (_, place) => symbols[(user + place * 25) % 500]!);
  const users = Array.from({ length: 1_000 }, (_, index) => `user${index}`);
  await hold(fixture.db, Object.fromEntries(users.map((user, index) => [user, portfolioOf(index)])));
  const site = await startSite();
  const { service, bus } = await startInstance(site, fixture.database);

  const cpu = process.cpuUsage();
  const started = performance.now();
  const at = new Date().toISOString();
  await Promise.all(users.map((userId) => site.signIn({ userId, at })));
  const published = performance.now() - started;
  await expect.poll(() => service.counters.admitted, { timeout: 100_000, interval: 5 }).toBe(1_000);
  const committed = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  await vi.waitFor(() => expect(site.answers.size).toBe(1_000), soon);
  console.info(
    `1,000 logins of 20 symbols: ${Math.round(published)} ms published, ${Math.round(committed)} ms committed, ${Math.round((user + system) / 1000)} ms of CPU with the broker's and the publisher's, in ${service.counters.batches} transactions`,
  );

  expect([...site.answers.values()].every(({ total, queued, fresh }) => total === 20 && queued === 20 && fresh === 0)).toBe(true);
  expect(
    await fixture.db.rows('SELECT type, COUNT(*) AS jobs, COUNT(DISTINCT symbol) AS symbols FROM job_states GROUP BY type ORDER BY type'),
  ).toEqual([
    { type: 'analysis', jobs: 500, symbols: 500 },
    { type: 'fetch', jobs: 500, symbols: 500 },
  ]);
  expect(await countRows(fixture.db, 'job_subscribers')).toBe(1_000 * 20 * 2);
  expect(
    await fixture.db.rows('SELECT MIN(n) AS least, MAX(n) AS most FROM (SELECT COUNT(*) AS n FROM job_subscribers GROUP BY job_id) s'),
  ).toEqual([{ least: 40, most: 40 }]);
  expect(await countRows(fixture.db, 'job_dependencies')).toBe(500);
  expect(await countRows(fixture.db, 'logins')).toBe(1_000);
  expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(1_000);
  expect(service.counters).toMatchObject({ refused: 0, queued: 1_000, joined: 39_000, full: 0 });
  await vi.waitFor(() => expect(loginsWaiting(bus)).toBe(0), soon);
});

test('a login calls the workers to its commit', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const site = await startSite();
  await startInstance(site, fixture.database);
  const worker = openBus(site.broker.port, { service: 'worker' });
  const calls: unknown[] = [];
  await worker.onDoorbell('work', (call) => void calls.push(call.read())).ready;
  await site.signIn({ userId: 'alice' });
  await expect.poll(() => calls, soon).toEqual([{ v: 1 }]);
});

test.each([
  ['an instance that died before it had answered are answered at its next start', 'pp1', 0],
  ['another process that did not answer are answered after ten seconds', 'gateway-1', 10_001],
])('the logins of %s', { timeout: 60_000 }, async (_, instance, msAgo) => {
  await hold(fixture.db, { alice: ['AAPL'], bob: ['IBM'] });
  const clock = new ManualClock(new Date(Date.now() - msAgo).toISOString());
  const away = { state: 'offline' as const, publish: async () => undefined };
  const ledger = ledgerOf(fixture.db, clock, defaults);
  const announcer = createAnnouncer({ bus: away, sql: fixture.db, clock, log: silent });
  const dead = createAdmission({ ledger, announcer, bus: away, config: defaults, log: silent, instance });
  const lost = await Promise.all(['alice', 'bob'].map((userId) => dead.admitLogin({ userId })));
  await dead.idle();
  const site = await startSite();
  await startInstance(site, fixture.database, { instance: 'pp1' });
  await vi.waitFor(() => expect(site.answers.size).toBe(2), soon);
  for (const { user_id, at, jobs } of lost) expect(site.answers.get(user_id)).toMatchObject({ at, total: 1, queued: 1, jobs });
  await vi.waitFor(async () => expect(await countRows(fixture.db, 'login_answers')).toBe(0), soon);
});

describe('a malformed event', () => {
  test.for([
    ['this is not JSON', 'message.invalid_json', 'is not JSON'],
    [{ user: 'alice' }, 'message.invalid', 'userId'],
    [{ userId: '' }, 'message.invalid', 'userId'],
    [{ userId: 'alice', at: 'yesterday' }, 'message.invalid', '"yesterday"'],
  ] as const)('%o is refused, counted and logged with the reason', async ([event, code, named]) => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const site = await startSite();
    const { service, lines } = await startInstance(site, fixture.database);
    await site.signIn(event);
    await site.signIn({ userId: 'alice' });
    await vi.waitFor(() => expect(site.answers.get('alice')).toMatchObject({ queued: 1 }), soon);
    expect(service.counters).toMatchObject({ refused: 1, admitted: 1 });
    expect(lines).toContainEqual(expect.objectContaining({ level: 40, code, component: 'portfolio', msg: expect.stringContaining(named) }));
  });
});

test('a login that can never be admitted is refused and not tried again', async () => {
  await hold(fixture.db, { broken: ['AA PL'] });
  const site = await startSite();
  const { service, bus, lines } = await startInstance(site, fixture.database);
  await site.signIn({ userId: 'broken' });
  await vi.waitFor(() => expect(service.counters.refused).toBe(1), soon);
  expect(bus.report().counters.handlerFailed).toBe(0);
  expect(lines).toContainEqual(
    expect.objectContaining({ code: 'symbol.invalid', msg: expect.stringContaining('user "broken" holds "AA PL"') }),
  );
});

test('a login that the database refuses to write is acknowledged, counted and logged, and the others are admitted', async () => {
  const migrate = openDatabase(fixture.database.migrate);
  await migrate.run("ALTER TABLE user_portfolio_priority ADD CONSTRAINT no_poison CHECK (user_id <> 'poison')");
  onTestFinished(async () => {
    await migrate.run('ALTER TABLE user_portfolio_priority DROP CONSTRAINT no_poison');
    await migrate.close();
  });
  const site = await startSite();
  const { service, bus, lines } = await startInstance(site, fixture.database, { persistent: true });
  await Promise.all(['poison', 'alice', 'bob'].map((userId) => site.signIn({ userId, at: new Date().toISOString() })));
  await vi.waitFor(() => expect(service.counters).toMatchObject({ admitted: 2, refused: 1 }), soon);
  await vi.waitFor(() => expect(loginsWaiting(bus)).toBe(0), soon);
  expect(bus.report().counters.handlerFailed).toBe(0);
  expect(lines).toContainEqual(
    expect.objectContaining({
      level: 40,
      code: 'login.unwritable',
      msg: expect.stringMatching(/login refused: .*"poison".*is not tried again/),
    }),
  );
});

test('a login is not acknowledged before its jobs are committed: who dies in between is given it again, and it is done once', async () => {
  await hold(fixture.db, { alice: ['AAPL', 'SPY'] });
  const site = await startSite();
  const wire = await proxyTo(site.broker.port);
  const dying = await startInstance({ ...site, broker: { ...site.broker, port: wire.port } }, fixture.database, { persistent: true });
  const blocker = await mysql.createConnection(connectionOptions(fixture.database.options));
  onTestFinished(() => blocker.end());
  await blocker.query('START TRANSACTION');
  await blocker.query('INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES (?)', [['alice', 0, new Date(0), '[]']]);
  const at = new Date().toISOString();
  const acknowledged = site.signIn({ userId: 'alice', at });
  await vi.waitFor(() => expect(loginsWaiting(dying.bus)).toBe(1), soon);
  // As if it were killed: its connections break and do not come back.
  await wire.close();
  const heir = await startInstance(site, fixture.database, { persistent: true });
  await vi.waitFor(() => expect(loginsWaiting(heir.bus)).toBe(1), soon);
  expect(await countRows(fixture.db, 'jobs')).toBe(0);
  await blocker.query('ROLLBACK');
  await acknowledged;
  await vi.waitFor(() => expect(heir.service.counters.admitted).toBe(1), soon);
  await vi.waitFor(() => expect(dying.service.counters.admitted).toBe(1), soon);
  expect(await countRows(fixture.db, 'jobs')).toBe(4);
  expect(await fixture.db.rows('SELECT activity, last_login_at FROM logins')).toEqual([{ activity: 1, last_login_at: new Date(at) }]);
  expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(1);
});

test('its presence says how many logins it takes at once and has under way, and its end how many it took', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const site = await startSite();
  const states: Body<'presence'>[] = [];
  const watcher = closing(openBus(site.broker.port, { instance: 'watcher' }));
  await watcher.subscribe('presence', { params: { service: 'portfolio-priority' } }, ({ body }) => void states.push(body)).ready;
  const { stop, lines } = await startInstance(site, fixture.database);
  await vi.waitFor(() => expect(states.at(-1)).toMatchObject({ state: 'online', capacity: 1_000, running: 0, degraded: [] }), soon);
  await site.signIn({ userId: 'alice' });
  await vi.waitFor(() => expect(site.answers.get('alice')).toMatchObject({ queued: 1 }), soon);
  await stop();
  expect(lines).toContainEqual(
    expect.objectContaining({ msg: 'logins of this process', admitted: 1, refused: 0, batches: 1, queued: 2, joined: 0, full: 0 }),
  );
});

test('two instances deal the logins out between them', async () => {
  const users = Array.from({ length: 40 }, (_, index) => `user${index}`);
  await hold(fixture.db, Object.fromEntries(users.map((user) => [user, ['AAPL']])));
  const site = await startSite();
  const instances = await Promise.all(['pp1', 'pp2'].map((instance) => startInstance(site, fixture.database, { instance })));
  await Promise.all(users.map((userId) => site.signIn({ userId, at: new Date().toISOString() })));
  await vi.waitFor(() => expect(site.answers.size).toBe(40), soon);
  const admitted = instances.map(({ service }) => service.counters.admitted);
  expect(admitted[0]! + admitted[1]!).toBe(40);
  expect(Math.min(...admitted)).toBeGreaterThan(0);
});

test('a drained service has finished what it took, and leaves the rest to the broker', async () => {
  const users = Array.from({ length: 100 }, (_, index) => `user${index}`);
  await hold(fixture.db, Object.fromEntries(users.map((user) => [user, ['AAPL']])));
  const site = await startSite();
  const leaving = await startInstance(site, fixture.database, { persistent: true });
  const at = new Date().toISOString();
  const publishing = Promise.all(users.map((userId) => site.signIn({ userId, at })));
  await expect.poll(() => leaving.service.counters.admitted, { interval: 1 }).toBeGreaterThan(0);
  await leaving.stop();
  await publishing;
  const before = await everything(fixture.db);
  expect(before.user_portfolio_priority).toHaveLength(leaving.service.counters.admitted);
  await startInstance(site, fixture.database, { persistent: true });
  await vi.waitFor(async () => expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(100), soon);
  expect(await fixture.db.rows('SELECT MAX(activity) AS most FROM logins')).toEqual([{ most: 1 }]);
});

describe('the configured portfolios', () => {
  function sources(...contents: string[]) {
    const folder = mkdtempSync(join(tmpdir(), 'sources-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const paths = contents.map((_, index) => join(folder, `${index}.csv`));
    for (const [index, path] of paths.entries()) writeFileSync(path, contents[index]!);
    return { ...defaults, portfolio: { ...defaults.portfolio, sources: paths.map((csv_file) => ({ csv_file })) } };
  }

  test('are imported at the start, once', async () => {
    const config = sources('user,symbol,quantity,cost\nalice,AAPL,1,2\n');
    const site = await startSite();
    await (await startInstance(site, fixture.database, { config })).stop();
    await fixture.db.run('DELETE FROM holdings');
    await startInstance(site, fixture.database, { config });
    expect(await countRows(fixture.db, 'holdings')).toBe(0);
    expect(await countRows(fixture.db, 'imports')).toBe(1);
  });

  test('of which one is broken are imported without it; the log names the lines and the presence says so', async () => {
    const config = sources('user,symbol,quantity,cost\nalice,AAPL,many,2\n', 'user,symbol,quantity,cost\nbob,SPY,1,2\n');
    const site = await startSite();
    const states: Body<'presence'>[] = [];
    const watcher = closing(openBus(site.broker.port, { instance: 'watcher' }));
    watcher.subscribe('presence', { params: { service: 'portfolio-priority' } }, ({ body }) => void states.push(body));
    const { lines } = await startInstance(site, fixture.database, { config });
    expect(await fixture.db.rows('SELECT user_id FROM holdings')).toEqual([{ user_id: 'bob' }]);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 50, code: 'portfolio.bad_line', msg: expect.stringMatching(/0\.csv:2: quantity "many"/) }),
    );
    await vi.waitFor(
      () =>
        expect(states.at(-1)).toMatchObject({
          state: 'online',
          degraded: [expect.stringContaining('was not imported (portfolio.bad_line)')],
        }),
      soon,
    );
  });
});
