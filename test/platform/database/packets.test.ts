import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase, type Sql } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

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
