import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { assertSuitable } from '../../../services/platform/database/suitable.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.options);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

describe('what the ledger stands on', () => {
  test('is found on this server', async () => {
    await assertSuitable(db);
  });

  test('is found with a single connection, too', async () => {
    const small = openDatabase({ ...database.options, maxConnections: 1 });
    await assertSuitable(small);
    await small.close();
  });

  test('is found by twenty that start at once', async () => {
    const all = Array.from({ length: 20 }, () => openDatabase({ ...database.options, maxConnections: 2 }));
    await Promise.all(all.map(assertSuitable));
    await Promise.all(all.map((one) => one.close()));
  });

  /** What a server, or a proxy before it, might answer. */
  const answering = (settings: Record<string, string>): Database => ({
    ...db,
    rows: async <T>() => Object.entries(settings).map(([Variable_name, Value]) => ({ Variable_name, Value })) as T[],
  });

  test.each([
    [{ max_allowed_packet: '524288' }, /max_allowed_packet is 524288 bytes, the ledger needs 1048576: set max_allowed_packet = 16M/],
    [{ tx_isolation: 'REPEATABLE-READ' }, /runs at REPEATABLE-READ, the ledger needs READ-COMMITTED/],
    [{ transaction_isolation: 'SERIALIZABLE' }, /runs at SERIALIZABLE/],
    [{ time_zone: 'SYSTEM' }, /time_zone is "SYSTEM", the ledger needs "\+00:00"/],
    [{ sql_mode: 'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES,ANSI_QUOTES' }, /sql_mode has NO_BACKSLASH_ESCAPES, ANSI_QUOTES/],
    [{ sql_mode: 'NO_ENGINE_SUBSTITUTION' }, /sql_mode is not strict/],
  ])('is missed at %j, and named', async (settings, message) => {
    await expect(assertSuitable(answering(settings as Record<string, string>))).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'database.unsuitable',
      message: expect.stringMatching(message),
    });
  });

  test('takes packets of 1 MB, the smallest that the ledger works with', async () => {
    await assertSuitable(answering({ max_allowed_packet: '1048576' }));
  });

  test('is missed where SKIP LOCKED gives a locked row away', async () => {
    const generous: Database = {
      ...db,
      transaction: (work) =>
        work({
          open: true,
          mostBytes: 1_000_000,
          run: db.run,
          later: () => {},
          last: () => {},
          committing: () => {},
          rows: (sql, params) => db.rows(sql.replace('FOR UPDATE SKIP LOCKED', ''), params),
        }),
    };
    await expect(assertSuitable(generous)).rejects.toMatchObject({
      code: 'database.unsuitable',
      message: expect.stringContaining('accepts FOR UPDATE SKIP LOCKED but gives the same row twice'),
    });
  });

  test('is not missed where the server has ended the transaction that held the row: that is tried again', async () => {
    let holder: number | undefined;
    const interrupted: Database = {
      ...db,
      async transaction(work) {
        if (holder !== undefined) await db.run(`KILL ${holder}`);
        return db.transaction(async (tx) => {
          holder ??= (await tx.rows<{ id: number }>('SELECT CONNECTION_ID() AS id'))[0]!.id;
          return work(tx);
        });
      },
    };
    await expect(assertSuitable(interrupted)).rejects.toMatchObject({ code: 'database.unavailable' });
  });
});
