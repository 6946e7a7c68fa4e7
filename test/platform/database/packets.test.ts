import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Database, openDatabase, type Sql } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';

let server: TestDatabase;
let db: Database;
beforeAll(async () => {
  server = await testDatabase();
  db = openDatabase(server.options);
});
afterAll(async () => {
  await db.close();
  await server.drop();
});

describe('more than a server takes in one packet', () => {
  const filler = (megabytes: number): string => 'x'.repeat(megabytes * 1024 * 1024);

  test('is sent in several, in the order of the statements', async () => {
    const rows = await db.transaction(async (tx) => {
      tx.later('SET @first = LENGTH(?)', [filler(10)]);
      tx.later('SET @second = @first + LENGTH(?)', [filler(10)]);
      return tx.rows<{ n: number }>('SELECT @second + LENGTH(?) AS n', [filler(10)]);
    });
    expect(rows.map(({ n }) => Number(n))).toEqual([30 * 1024 * 1024]);
  });

  test('is sent as a statement of its own where the server takes it', async () => {
    const rows = await db.transaction((tx) => tx.rows<{ n: number }>('SELECT LENGTH(?) AS n', [filler(20)]));
    expect(rows).toEqual([{ n: 20 * 1024 * 1024 }]);
  });

  test('is refused as a statement outside of a transaction, too, and the connection stays', async () => {
    const one = openDatabase({ ...server.options, maxConnections: 1 });
    const [before] = await one.rows('SELECT CONNECTION_ID() AS id');
    await expect(one.rows('SELECT LENGTH(?)', [filler(65)])).rejects.toMatchObject({ name: 'PermanentError', code: 'database.too_large' });
    expect(await one.rows('SELECT CONNECTION_ID() AS id')).toEqual([before]);
    await one.close();
  });

  test('is cut between its rows where it is an INSERT of many, and all its rows are counted', async () => {
    await db.transaction(async (tx) => {
      const rows = Array.from({ length: 70 }, (_, index) => [`setting ${index}`, JSON.stringify(filler(1)), 'test', new Date(0)]);
      expect(await tx.run('INSERT INTO settings (name, value, changed_by, changed_at) VALUES ?', [rows])).toEqual({ affectedRows: 70 });
    });
    expect(await db.rows("SELECT COUNT(*) AS n, MIN(LENGTH(value)) AS bytes FROM settings WHERE changed_by = 'test'")).toEqual([
      { n: 70, bytes: 1024 * 1024 + 2 },
    ]);
  });

  test.each<[string, (proxy: DatabaseProxy) => void]>([
    ['is cut off', (proxy) => proxy.cutAt(/xxxx/)],
    ['is refused with 1153', (proxy) => proxy.refuse(1153, /xxxx/)],
  ])('is sent in smaller packets after it %s', async (_, strike) => {
    const proxy = await startDatabaseProxy(inject('databaseServer'));
    const through = openDatabase({ ...server.options, socketPath: undefined, host: proxy.host, port: proxy.port });
    const write = () =>
      through.transaction(async (tx) => {
        for (let times = 0; times < 4; times++) tx.later('SET @all = LENGTH(?)', [filler(1)]);
        return tx.mostBytes;
      });
    strike(proxy);
    await expect(write()).rejects.toMatchObject({ name: 'TransientError', code: 'database.packet_lost' });
    const most = await write();
    // Half of the four megabytes that were lost.
    expect(most / 1024 / 1024).toBeCloseTo(2, 1);
    await through.close();
    await proxy.close();
  });

  test('is refused at once as a statement of its own, and the connection stays', async () => {
    const connectionOf = (sql: Sql) => sql.rows('SELECT CONNECTION_ID() AS id');
    const one = openDatabase({ ...server.options, maxConnections: 1 });
    const before = await one.transaction(connectionOf);
    await expect(one.transaction((tx) => tx.rows('SELECT LENGTH(?)', [filler(65)]))).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'database.too_large',
      message: expect.stringMatching(/^a statement of 681\d+ bytes is not sent, since the database's max_allowed_packet is 67108864/),
    });
    expect(await one.transaction(connectionOf)).toEqual(before);
    await one.close();
  });
});
