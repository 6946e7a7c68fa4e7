/** Every wait for the database ends, whatever the network does. The proxy swallows what a test wants. */
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFinished, test } from 'vitest';
import { type Database, type DatabaseOptions, openDatabase } from '../../../services/platform/database/database.ts';
import { giveUpWhenSilent } from '../../../services/platform/database/give-up.ts';
import { createReadiness } from '../../../services/platform/database/suitable.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';

let database: TestDatabase;
let proxy: DatabaseProxy;
beforeAll(async () => {
  database = await testDatabase();
});
beforeEach(async () => {
  proxy = await startDatabaseProxy(inject('databaseServer'));
  return () => proxy.close();
});
afterAll(() => database.drop());

/** Longer than a test: what waits so long makes it fail. */
const FOR_EVER = 3_600;

function open(options: Partial<DatabaseOptions> = {}): Database {
  const limits = { connectSeconds: FOR_EVER, acquireSeconds: FOR_EVER, statementSeconds: FOR_EVER };
  const db = openDatabase({ ...database.options, socketPath: undefined, host: proxy.host, port: proxy.port, ...limits, ...options });
  onTestFinished(() => db.close());
  return db;
}
const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'answered',
    ({ code, message }) => `${code}: ${message}`,
  );
const NO_ANSWER = /^database\.unavailable: the database cannot be reached \(no answer within 0\.3 s\); it is tried again$/;

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['a single statement', (db) => db.rows('SELECT 1')],
  ['a transaction', (db) => db.transaction((tx) => tx.rows('SELECT 1'))],
])('%s without an answer ends with its limit, and its connection with it', async (_, ask) => {
  const db = open({ statementSeconds: 0.3, acquireSeconds: 0.3 });
  await ask(db);
  proxy.stall();
  expect(await outcome(ask(db))).toMatch(NO_ANSWER);
  await expect.poll(() => proxy.open).toBe(0);
  proxy.flow();
  await expect.poll(() => outcome(ask(db))).toBe('answered');
});

test('once a connection has not answered, none of those that were opened before is used', async () => {
  const db = open({ statementSeconds: 0.3, maxConnections: 16 });
  await Promise.all(Array.from({ length: 4 }, () => db.rows('SELECT SLEEP(0.05)')));
  proxy.strand();
  expect(await outcome(db.rows('SELECT 1'))).toMatch(NO_ANSWER);
  expect(await Promise.all(Array.from({ length: 4 }, () => outcome(db.rows('SELECT 1'))))).toEqual(Array(4).fill('answered'));
});

test('a server that does not answer the connection is given up after the limit', async () => {
  const db = open({ connectSeconds: 0.3 });
  proxy.stall();
  expect(await outcome(db.rows('SELECT 1'))).toMatch(/^database\.unavailable: .*ETIMEDOUT/);
});

test('a connection that is made but whose session is not set up is cut', async () => {
  const db = open({ acquireSeconds: 0.5 });
  proxy.refuse(1047, /max_allowed_packet/);
  expect(await outcome(db.rows('SELECT 1'))).toMatch(/^database\.unavailable/);
  expect(await outcome(db.rows('SELECT 1'))).toBe('answered');
});

test('nobody waits longer than the limit for a connection that others have', async () => {
  const db = open({ acquireSeconds: 0.2, maxConnections: 1 });
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const holders = [1, 2].map(() =>
    db.transaction(async (tx) => {
      await tx.rows('SELECT 1');
      await done;
    }),
  );
  // More than there are connections: each would be lost if the one that comes too late were kept.
  const late = await Promise.all([1, 2, 3].map(() => outcome(db.transaction((tx) => tx.rows('SELECT 1')))));
  expect(new Set(late)).toEqual(
    new Set(['database.unavailable: the database cannot be reached (no connection was free in time); it is tried again']),
  );
  resolve();
  await Promise.all(holders);
  expect(await outcome(db.transaction((tx) => tx.rows('SELECT 1')))).toBe('answered');
});

test('while no new connection can be made, the open ones are used', async () => {
  const db = open({ maxConnections: 16 });
  await db.rows('SELECT 1');
  proxy.refuseConnections();
  const both = [db.rows('SELECT SLEEP(0.2)'), db.rows('SELECT 1')];
  expect(await Promise.all(both.map(outcome))).toEqual(['answered', expect.stringMatching(/^database\.unavailable: .*ECONNREFUSED/)]);
  expect(await outcome(db.rows('SELECT 1'))).toBe('answered');
});

test('of eight connections two are for single statements and six for transactions', async () => {
  const db = open({ maxConnections: 8, acquireSeconds: 10 });
  const all = Promise.withResolvers<void>();
  let inside = 0;
  const enter = async (): Promise<void> => {
    if (++inside === 6) all.resolve();
    await all.promise;
  };
  const transactions = Array.from({ length: 6 }, () =>
    db.transaction(async (tx) => {
      await tx.rows('SELECT 1');
      await enter();
    }),
  );
  expect(await Promise.all(transactions.map(outcome))).toEqual(Array(6).fill('answered'));
  await Promise.all(Array.from({ length: 6 }, () => db.rows('SELECT SLEEP(0.05)')));
  expect(proxy.open).toBe(8);
});

test('an answer that came while this process was busy is no missed one, and its connection goes on', async () => {
  const db = open({ statementSeconds: 0.2, maxConnections: 1 });
  const connection = () => db.rows('SELECT CONNECTION_ID() AS id');
  const before = await connection();
  const asked = outcome(db.rows('SELECT SLEEP(0.05)'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  // The timer is due by then, and so is the answer.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
  expect(await asked).toBe('answered');
  await new Promise((resolve) => setImmediate(resolve));
  expect(await connection()).toEqual(before);
});

test('a transaction that waits too long for a lock is run again, and not taken for an outage', async () => {
  const db = open({ statementSeconds: 2 });
  await db.run("INSERT INTO leases (name, holder, until) VALUES ('lock', 'test', NOW(3))");
  const held = Promise.withResolvers<void>();
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const holder = db.transaction(async (tx) => {
    await tx.run("UPDATE leases SET holder = 'first' WHERE name = 'lock'");
    held.resolve();
    await done;
  });
  await held.promise;
  const other = db.transaction((tx) => tx.run("UPDATE leases SET holder = 'second' WHERE name = 'lock'"));
  await expect.poll(() => db.retries.get(1205)).toBe(1);
  resolve();
  await Promise.all([holder, other]);
  expect(await db.rows("SELECT holder FROM leases WHERE name = 'lock'")).toEqual([{ holder: 'second' }]);
});

test.each([1213, 1205, 1020])('a single statement that meets %i is run again, and counted', async (errno) => {
  const db = open();
  proxy.refuse(errno, /SELECT 1/);
  expect(await outcome(db.rows('SELECT 1'))).toBe('answered');
  expect(db.retries).toEqual(new Map([[errno, 1]]));
});

test('what refuses new connections after the first ones is an outage, and before it an error of its own', async () => {
  const gone = await testDatabase();
  const db = open({ ...gone.options, socketPath: undefined, host: proxy.host, port: proxy.port });
  await db.rows('SELECT 1');
  await gone.drop();
  expect(await outcome(db.transaction((tx) => tx.rows('SELECT 1')))).toMatch(/^database\.unavailable/);
  const never = open({ ...gone.options, socketPath: undefined, host: proxy.host, port: proxy.port });
  expect(await outcome(never.rows('SELECT 1'))).toMatch(/^ER_(BAD_DB|DBACCESS_DENIED)_ERROR/);
});

test('a statement that may take long gets its own limit while the server answers others', async () => {
  const db = open({ statementSeconds: 0.2, longStatementSeconds: FOR_EVER });
  expect(await outcome(db.long.rows('SELECT SLEEP(1)'))).toBe('answered');
});

test('statements that may take long wait for each other longer than others wait for a connection', async () => {
  const db = open({ statementSeconds: 5, acquireSeconds: 0.2, longStatementSeconds: FOR_EVER });
  const both = [db.long.rows('SELECT SLEEP(0.8)'), db.long.rows('SELECT 1')];
  expect(await Promise.all(both.map(outcome))).toEqual(['answered', 'answered']);
});

test('a statement that may take long ends with the short limit when the server answers nobody', async () => {
  const db = open({ statementSeconds: 0.3, acquireSeconds: 0.3, longStatementSeconds: FOR_EVER });
  await db.long.rows('SELECT 1');
  proxy.stall();
  expect(await outcome(db.long.rows('SELECT 1'))).toMatch(/^database\.unavailable/);
});

test('a statement that may take long ends with the long limit', async () => {
  const db = open({ statementSeconds: 0.2, longStatementSeconds: 0.4 });
  expect(await outcome(db.long.rows('SELECT SLEEP(30)'))).toMatch(/^database\.unavailable: .*no answer within 0\.4 s/);
});

test('a process that gives the database up waits for nothing any more', async () => {
  const db = open();
  await db.rows('SELECT 1');
  proxy.stall();
  const waiting = [outcome(db.rows('SELECT 1')), outcome(db.transaction((tx) => tx.rows('SELECT 1')))];
  db.giveUp();
  const later = outcome(db.rows('SELECT 1'));
  for (const one of [...waiting, later]) expect(await one).toMatch(/^database\.closed/);
});

test('after that it asks nothing, though the database would answer', async () => {
  const db = open();
  await db.rows('SELECT 1');
  db.giveUp();
  const asked = [db.rows('SELECT 1'), db.transaction((tx) => tx.rows('SELECT 1')), db.long.rows('SELECT 1')];
  for (const one of await Promise.all(asked.map(outcome))) expect(one).toMatch(/^database\.closed/);
});

test('the end does not wait for the goodbye of a server that answers nothing', async () => {
  const db = open();
  await db.rows('SELECT 1');
  proxy.stall();
  const asked = outcome(db.rows('SELECT 1'));
  await db.close();
  expect(await asked).toMatch(/^database\./);
});

test('a service that stops gives up a database that takes no writes, and not one that does', async () => {
  const db = open();
  const stop = giveUpWhenSilent(db, 0);
  onTestFinished(stop);
  await expect.poll(() => db.rows('SELECT 1 FROM write_probes WHERE at > UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE')).toHaveLength(1);
  expect(await outcome(db.rows('SELECT 1'))).toBe('answered');
  proxy.refuse(1290, /write_probes/, Number.POSITIVE_INFINITY);
  await expect.poll(() => outcome(db.rows('SELECT 1'))).toMatch(/^database\.closed/);
});

test.each<[string, () => void]>([
  ['answers nothing', () => proxy.stall()],
  ['is read-only', () => proxy.refuse(1290, /write_probes/, Number.POSITIVE_INFINITY)],
  ['is gone', () => void proxy.die()],
])('a database that %s is found not to be ready without a limit of its statements', async (_, strike) => {
  const db = open();
  const takesWrites = createReadiness(db);
  expect(await takesWrites()).toBe(true);
  strike();
  await expect.poll(takesWrites).toBe(false);
});
