import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../services/platform/database/database.ts';
import { type EmbeddedDatabase, startDatabase } from '../../sql/embedded.ts';
import { migrateUp } from '../../sql/migrate.ts';
import { silent } from '../broker/peers.ts';
import { countRows, hold, symbolsOf } from '../logins/ledger-fixture.ts';
import { loginsWaiting, startInstance, startSite } from './service-fixture.ts';

const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };

test('logins that arrive while the database restarts are admitted afterwards, all of them, each once', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'restart-'));
  let database: EmbeddedDatabase | undefined;
  onTestFinished(async () => {
    await database?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const start = async (): Promise<EmbeddedDatabase> =>
    startDatabase({ dataDir: join(folder, 'database'), passwords, log: silent, durable: false });
  database = await start();
  await migrateUp(database.options('migrate'));
  const db = openDatabase(database.options('service'));
  onTestFinished(() => db.close());
  const symbols = symbolsOf(50);
  const users = Array.from({ length: 300 }, (_, index) => `user${index}`);
  await hold(db, Object.fromEntries(users.map((user, index) => [user, symbols.slice(index % 30, (index % 30) + 20)])));

  const site = await startSite();
  const { service, bus } = await startInstance(site, { options: database.options('service') });
  const at = new Date().toISOString();
  const signIn = (some: readonly string[]) => Promise.all(some.map((userId) => site.signIn({ userId, at })));
  await signIn(users.slice(0, 100));
  await expect.poll(() => service.counters.admitted, { interval: 1, timeout: 20_000 }).toBeGreaterThan(0);
  // Some of these are on their way when the server goes.
  const underway = signIn(users.slice(100, 200));
  await database.stop();
  const during = signIn(users.slice(200));
  await expect.poll(() => bus.report().counters.handlerFailed, { timeout: 20_000 }).toBeGreaterThan(0);
  expect(service.counters.admitted).toBeLessThanOrEqual(200);
  expect(service.counters.refused).toBe(0);

  database = await start();
  await Promise.all([underway, during]);
  await expect.poll(() => loginsWaiting(bus), { timeout: 60_000 }).toBe(0);
  expect(await countRows(db, 'user_portfolio_priority')).toBe(300);
  expect(await db.rows('SELECT COUNT(*) AS users, MIN(activity) AS least, MAX(activity) AS most FROM logins')).toEqual([
    { users: 300, least: 1, most: 1 },
  ]);
  // Symbols 0 to 48 are held by somebody: a fetch and an analysis each.
  expect(await countRows(db, 'jobs')).toBe(2 * 49);
  expect(await countRows(db, 'job_subscribers')).toBe(300 * 20 * 2);
});
