/** Several addresses of one database: two proxies in front of one server stand for the nodes of a cluster. */
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';

let database: TestDatabase;
let first: DatabaseProxy;
let second: DatabaseProxy;
let db: Database;
beforeAll(async () => {
  database = await testDatabase();
});
beforeEach(async () => {
  const server = inject('databaseServer');
  [first, second] = await Promise.all([startDatabaseProxy(server), startDatabaseProxy(server)]);
  const addresses = [first, second].map(({ host, port }) => ({ host, port }));
  db = openDatabase({ ...database.options, socketPath: undefined, addresses, statementSeconds: 0.5, connectSeconds: 0.5 });
  await Promise.all([db.rows('SELECT 1'), db.transaction((tx) => tx.rows('SELECT 1'))]);
  return async () => {
    await db.close();
    await Promise.all([first.close(), second.close()]);
  };
});
afterAll(() => database.drop());

const ask = (): Promise<string> =>
  Promise.all([db.rows('SELECT 1'), db.transaction((tx) => tx.rows('SELECT 1'))]).then(
    () => 'answered',
    ({ code }) => code,
  );

test('the first one is used while it works', async () => {
  await ask();
  expect([first.made > 0, second.made]).toEqual([true, 0]);
});

test('when the node dies, the next statement goes to the other one without an error', async () => {
  await first.die();
  await expect.poll(() => first.open).toBe(0);
  expect(await ask()).toBe('answered');
  expect(second.open).toBeGreaterThan(0);
});

test('what the node had under way fails as transient, and works with the other one', async () => {
  const underWay = db.rows('SELECT SLEEP(20)').catch(({ code }) => code);
  await expect
    .poll(() => db.rows("SELECT 1 FROM information_schema.processlist WHERE info LIKE '%SLEEP(20)%' AND info NOT LIKE '%processlist%'"))
    .toHaveLength(1);
  await first.die();
  expect(await underWay).toBe('database.unavailable');
  await expect.poll(ask).toBe('answered');
});

test.each<[string, () => void]>([
  ['answers nothing any more', () => first.stall()],
  ['becomes read-only', () => first.refuse(1290, /SELECT 1/, Number.POSITIVE_INFINITY)],
  ['loses its quorum', () => first.refuse(1047, /SELECT 1/, Number.POSITIVE_INFINITY)],
])('when the node %s, the other one is used', async (_, strike) => {
  strike();
  expect(await ask()).toBe('database.unavailable');
  expect(await ask()).toBe('answered');
  expect(second.open).toBeGreaterThan(0);
});

test('the other one stays in use when the first is back', async () => {
  await first.die();
  await expect.poll(ask).toBe('answered');
  await first.listen();
  const { made } = first;
  for (let times = 0; times < 5; times++) expect(await ask()).toBe('answered');
  expect(first.made).toBe(made);
});

test('while none works it is an outage, and the first that is back is used', async () => {
  await Promise.all([first.die(), second.die()]);
  expect(await ask()).toBe('database.unavailable');
  await second.listen();
  await expect.poll(ask).toBe('answered');
});
