/** What a batch of the largest logins writes is more than a server takes in one packet. Such a server closes the connection, which over TCP looked like an outage. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { createAdmission } from '../../services/logins/admission.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { type EmbeddedDatabase, startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';
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
  const root = await mysql.createConnection({ socketPath: server.socket, user: 'root', password: passwords.root });
  await root.query(`SET GLOBAL max_allowed_packet = ${16 * 1024 * 1024}`);
  await root.end();
  db = openDatabase(server.options('service'));
});
afterAll(async () => {
  await db.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a batch of users with 550 holdings and the longest ids is committed at once by a server with the smallest packet size', async () => {
  // Some 11 MB of subscriptions and as much of decisions.
  const users = Array.from({ length: 60 }, (_, index) => String(index).padEnd(64, 'ж'));
  const symbols = symbolsOf(550).map((symbol) => symbol.repeat(10));
  await hold(db, Object.fromEntries(users.map((user) => [user, symbols])));
  const bus = { state: 'online' as const, publish: async () => undefined };
  const clock = new ManualClock(NOW);
  const ledger = ledgerOf(db, clock, config);
  const announcer = createAnnouncer({ bus, sql: db, clock, log });
  const { admitLogin, counters } = createAdmission({ ledger, announcer, bus, config, log });
  const answers = await Promise.all(users.map((userId) => admitLogin({ userId })));
  expect(answers.every(({ total }) => total === 550)).toBe(true);
  expect(counters).toMatchObject({ admitted: users.length, refused: 0, batches: 1 });
  expect(await countRows(db, 'user_portfolio_priority')).toBe(users.length);
}, 60_000);
