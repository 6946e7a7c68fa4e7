/** What a batch of the largest logins writes is more than a server takes in one packet. Such a server closes the connection, which over TCP looked like an outage. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { createAdmission } from '../../services/logins/admission.ts';
import { readCommittedLogin } from '../../services/logins/commit.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../../services/platform/database/database.ts';
import { type EmbeddedDatabase, startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';
import { startDatabaseProxy } from '../support/database-proxy.ts';
import { STATE_TABLES } from '../support/job-rows.ts';
import { longTest } from '../support/long.ts';
import { countRows, hold, NOW, symbolsOf } from './ledger-fixture.ts';

const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };
const log = pino({ level: 'silent' });
const { config } = loadConfig({ env: {} });
let folder: string;
let server: EmbeddedDatabase;
let db: Database;

// A server of its own: the packet size is a global setting.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-packets-'));
  server = await startDatabase({ dataDir: join(folder, 'database'), passwords, log, durable: false });
  await migrateUp(server.options('migrate'));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const MEGABYTE = 1024 * 1024;

/** A database whose new connections take packets of so many megabytes, without logins and jobs. */
async function takes(megabytes: number, reach: DatabaseOptions = server.options('service')): Promise<void> {
  const root = await mysql.createConnection({ socketPath: server.socket, user: 'root', password: passwords.root });
  await root.query(`SET GLOBAL max_allowed_packet = ${megabytes * MEGABYTE}`);
  await root.end();
  db = openDatabase(reach);
  onTestFinished(() => db.close());
  const tables = ['jobs', ...STATE_TABLES, 'job_subscribers', 'job_dependencies', 'holdings', 'logins', 'user_portfolio_priority'];
  for (const table of tables) await db.run(`DELETE FROM ${table}`);
}

function admission() {
  const bus = { state: 'online' as const, publish: async () => undefined };
  const ledger = ledgerOf(db, new ManualClock(NOW), config);
  const announcer = createAnnouncer({ bus, sql: db, clock: ledger.clock, log });
  return createAdmission({ ledger, announcer, bus, config, log });
}

const SYMBOLS = 6_000;

test.each([16, 1])(
  'a login of 6,000 symbols is committed by a server that takes %i MB, and all its decisions can be read',
  async (megabytes) => {
    await takes(megabytes);
    await hold(db, { alice: symbolsOf(SYMBOLS) });
    const { at } = await admission().admitLogin({ userId: 'alice' });
    expect(await countRows(db, 'jobs')).toBe(2 * SYMBOLS);
    expect(await countRows(db, 'job_subscribers')).toBe(2 * SYMBOLS);
    const { total, decisions } = await readCommittedLogin(db, { user_id: 'alice', at });
    expect([total, new Set(decisions.map(({ symbol }) => symbol)).size]).toEqual([SYMBOLS, SYMBOLS]);
  },
);

/** Logins of `count` users with 800 symbols each, at once, to a server that takes 1 MB a packet. */
async function signInTogether(count: number): Promise<void> {
  await takes(1);
  const users = Array.from({ length: count }, (_, index) => `user${index}`);
  // Of their own, so that the keys to look for are 36 KB a user: one statement for 30 is more than 1 MB.
  await hold(db, Object.fromEntries(users.map((user, index) => [user, symbolsOf(800).map((symbol) => `${symbol}.OF.${index}`)])));
  const { admitLogin, counters } = admission();
  const answers = await Promise.all(users.map((userId) => admitLogin({ userId })));
  expect(answers.every(({ total }) => total === 800)).toBe(true);
  expect(counters).toMatchObject({ admitted: users.length, refused: 0 });
  expect(await countRows(db, 'user_portfolio_priority')).toBe(users.length);
}

test('a batch of logins that is more than a server of 1 MB takes is halved until each part fits', async () => {
  await signInTogether(30);
  expect(await countRows(db, 'jobs')).toBe(30 * 800 * 2);
}, 120_000);

longTest(
  'so is one of 200 logins with 800 symbols each',
  async () => {
    await signInTogether(200);
    // More than the queues take: the rest is counted as skipped.
    expect(await countRows(db, 'jobs')).toBeGreaterThan(40 * 800 * 2);
  },
  600_000,
);

test('a proxy that cuts connections at less than the server takes gets smaller packets, and the login is committed', async () => {
  const proxy = await startDatabaseProxy(server);
  onTestFinished(() => proxy.close());
  proxy.mostBytes = 0.75 * MEGABYTE;
  await takes(16, { ...server.options('service'), socketPath: undefined, host: proxy.host, port: proxy.port });
  await hold(db, { alice: symbolsOf(SYMBOLS).slice(0, 3_000) });
  const { admitLogin } = admission();
  // As the service does that gets it from the broker: again until it is committed.
  await expect
    .poll(() =>
      admitLogin({ userId: 'alice' }).then(
        () => 'committed',
        ({ code }) => code,
      ),
    )
    .toBe('committed');
  expect(await countRows(db, 'jobs')).toBe(6_000);
});

test('a batch of users with 550 holdings and the longest ids is committed at once by a server with the smallest packet size', async () => {
  await takes(16);
  // Some 11 MB of subscriptions and as much of decisions.
  const users = Array.from({ length: 60 }, (_, index) => String(index).padEnd(64, 'ж'));
  const symbols = symbolsOf(550).map((symbol) => symbol.repeat(10));
  await hold(db, Object.fromEntries(users.map((user) => [user, symbols])));
  const { admitLogin, counters } = admission();
  const answers = await Promise.all(users.map((userId) => admitLogin({ userId })));
  expect(answers.every(({ total }) => total === 550)).toBe(true);
  expect(counters).toMatchObject({ admitted: users.length, refused: 0, batches: 1 });
  expect(await countRows(db, 'user_portfolio_priority')).toBe(users.length);
}, 60_000);
