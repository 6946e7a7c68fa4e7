import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { startDatabase } from '../../../sql/embedded.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

let database: TestDatabase;
let db: Database;
let root: mysql.Connection;
beforeAll(async () => {
  database = await testDatabase();
  root = await mysql.createConnection({ ...database.root });
  await root.query('CREATE TABLE two (id INT PRIMARY KEY, n INT NOT NULL) ENGINE = InnoDB');
});
beforeEach(async () => {
  db = openDatabase(database.options);
  await root.query('REPLACE INTO two VALUES (1, 0), (2, 0)');
  return () => db.close();
});
afterAll(async () => {
  await root.end();
  await database.drop();
});

const add = (on: Pick<Database, 'run'>, id: number): Promise<unknown> => on.run('UPDATE two SET n = n + 1 WHERE id = ?', [id]);
const values = async (): Promise<number[]> => (await db.rows<{ n: number }>('SELECT n FROM two ORDER BY id')).map(({ n }) => n);
const failing = (errno: number): Error => Object.assign(new Error(`error ${errno}`), { errno });

describe('every connection', () => {
  const SETTINGS = {
    ...{ tx_isolation: 'READ-COMMITTED', time_zone: '+00:00', group_concat_max_len: '16777216' },
    // Seconds: half of the default lease, and half of the default limit of a statement.
    ...{ idle_transaction_timeout: '15', innodb_lock_wait_timeout: '5' },
  };
  const settings =
    "SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation', 'time_zone', 'group_concat_max_len', 'idle_transaction_timeout', 'innodb_lock_wait_timeout', 'wait_timeout')";
  const settingsOf = async (on: Pick<Database, 'rows'>) => {
    const found = new Map(
      (await on.rows<{ Variable_name: string; Value: string }>(settings)).map(({ Variable_name, Value }) => [Variable_name, Value]),
    );
    // MySQL's names: it ends an idle transaction with the idle connection.
    const { transaction_isolation, wait_timeout, ...rest } = Object.fromEntries(found);
    return { tx_isolation: transaction_isolation, idle_transaction_timeout: wait_timeout, ...rest };
  };

  test('of a single statement is READ COMMITTED and UTC, and cuts no text below 16 MB', async () => {
    expect(await settingsOf(db)).toEqual(SETTINGS);
  });

  test('of a transaction is READ COMMITTED and UTC, and cuts no text below 16 MB', async () => {
    expect(await db.transaction(settingsOf)).toEqual(SETTINGS);
  });

  test('is one of no more than were asked for', async () => {
    const small = openDatabase({ ...database.options, maxConnections: 4 });
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 2 === 0 ? small.rows('SELECT SLEEP(0.01)') : small.transaction((tx) => tx.rows('SELECT SLEEP(0.01)')),
      ),
    );
    const [rows] = await root.query<mysql.RowDataPacket[]>(
      'SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = ? AND user = ?',
      [database.name, database.options.user],
    );
    expect(rows[0]?.n).toBeLessThanOrEqual(4);
    await small.close();
  });
});

describe('values', () => {
  test('come as the ledger takes them: dates as text, times as UTC, decimals as text, bytes as bytes', async () => {
    const [row] = await db.rows(
      "SELECT DATE '2026-06-02' AS date, TIMESTAMP '2026-06-02 14:00:00.123' AS time, CAST('12345678901234.567890' AS DECIMAL(24,6)) AS amount, X'00FF' AS bytes, NULL AS nothing",
    );
    expect(row).toEqual({
      date: '2026-06-02',
      time: new Date('2026-06-02T14:00:00.123Z'),
      amount: '12345678901234.567890',
      bytes: Buffer.from([0, 255]),
      nothing: null,
    });
  });

  test('go to the server as UTC, whatever the time zone of this machine', async () => {
    expect(await db.rows("SELECT DATE_FORMAT(?, '%Y-%m-%d %H:%i:%s.%f') AS text", [new Date('2026-06-02T14:00:00.123Z')])).toEqual([
      { text: '2026-06-02 14:00:00.123000' },
    ]);
  });

  test('affectedRows counts the rows that matched, changed or not: fencing relies on it', async () => {
    expect(await db.run('UPDATE two SET n = 0 WHERE id IN (1, 2)')).toEqual({ affectedRows: 2 });
  });
});

describe('a transaction', () => {
  test('is committed when its work is done', async () => {
    expect(await db.transaction((tx) => add(tx, 1).then(() => 'done'))).toBe('done');
    expect(await values()).toEqual([1, 0]);
  });

  test('is gone when its work throws', async () => {
    const work = db.transaction(async (tx) => {
      await add(tx, 1);
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect(await values()).toEqual([0, 0]);
  });

  test('sends a statement for later in its place before the next one', async () => {
    const seen = await db.transaction(async (tx) => {
      tx.later('UPDATE two SET n = 7 WHERE id = ?', [1]);
      tx.later('UPDATE two SET n = n * 6 WHERE id = ?', [1]);
      return tx.rows('SELECT n FROM two WHERE id = ?', [1]);
    });
    expect(seen).toEqual([{ n: 42 }]);
  });

  test('commits what was left for later', async () => {
    await db.transaction(async (tx) => {
      tx.later('UPDATE two SET n = 7 WHERE id IN (?)', [[1, 2]]);
    });
    expect(await values()).toEqual([7, 7]);
  });

  test('sends what comes last after all others', async () => {
    await db.transaction(async (tx) => {
      tx.last('UPDATE two SET n = n * 6 WHERE id = 1');
      tx.later('UPDATE two SET n = 7 WHERE id = 1');
      await tx.rows('SELECT 1');
      tx.later('UPDATE two SET n = n + 1 WHERE id = 1');
    });
    expect(await values()).toEqual([48, 0]);
  });

  test('is gone when a statement for later fails, and says which error it was', async () => {
    const work = db.transaction(async (tx) => {
      await add(tx, 1);
      tx.later('INSERT INTO two VALUES (?)', [[2, 0]]);
      tx.later('UPDATE two SET n = 9 WHERE id = 2');
    });
    await expect(work).rejects.toMatchObject({ errno: 1062 });
    expect(await values()).toEqual([0, 0]);
  });

  test('fails with a stack that leads to the statement, outside of the driver', async () => {
    async function askingWrongly(): Promise<void> {
      await db.transaction((tx) => tx.rows('SELECT nothing FROM two'));
    }
    const error: Error = await askingWrongly().catch((caught) => caught);
    expect(error).toMatchObject({ errno: 1054, sql: 'SELECT nothing FROM two' });
    expect(error.stack).toContain('askingWrongly');
  });

  test('tells of its commit before the last statements are sent, though one of them fails', async () => {
    const told: string[] = [];
    const work = db.transaction(async (tx) => {
      tx.committing(() => void told.push('it begins'));
      tx.later('INSERT INTO two VALUES (?)', [[2, 0]]);
      told.push('its work is done');
    });
    await expect(work).rejects.toMatchObject({ errno: 1062 });
    expect(told).toEqual(['its work is done', 'it begins']);
  });

  test('tells of no commit when its work throws', async () => {
    const tell = vi.fn();
    const work = db.transaction(async (tx) => {
      tx.committing(tell);
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect(tell).not.toHaveBeenCalled();
  });

  test('leaves a single statement beside it alone: that one is committed at once', async () => {
    await db.transaction(async (tx) => {
      await add(tx, 1);
      await add(db, 2);
      expect(await values()).toEqual([0, 1]);
    });
    expect(await values()).toEqual([1, 1]);
  });

  test('that meets a deadlock is run again as a whole, and counted', async () => {
    const both = Promise.withResolvers<void>();
    let first = 0;
    const crosswise = (a: number, b: number) =>
      db.transaction(async (tx) => {
        await add(tx, a);
        if (++first === 2) both.resolve();
        await both.promise;
        await add(tx, b);
      });
    await Promise.all([crosswise(1, 2), crosswise(2, 1)]);
    expect(await values()).toEqual([2, 2]);
    expect(db.retries).toEqual(new Map([[1213, 1]]));
  });

  test('that waits too long for a lock gives up all its locks before it is run again, and is counted', async () => {
    let tries = 0;
    const held = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const holder = db.transaction(async (tx) => {
      await add(tx, 2);
      held.resolve();
      await gate.promise;
    });
    await held.promise;
    await db.transaction(async (tx) => {
      if (++tries === 2) {
        // Row 1 was ours in the first try: anybody may have it now.
        await root.query('SELECT n FROM two WHERE id = 1 FOR UPDATE NOWAIT');
        gate.resolve();
      }
      await tx.run('SET SESSION innodb_lock_wait_timeout = 1');
      await add(tx, 1);
      await add(tx, 2);
    });
    await holder;
    expect(await values()).toEqual([1, 2]);
    expect(db.retries).toEqual(new Map([[1205, 1]]));
  });

  test.each([1213, 1205, 1020])('that fails with %i five times fails', async (errno) => {
    let tries = 0;
    const work = db.transaction(async (tx) => {
      tries++;
      await add(tx, 1);
      throw failing(errno);
    });
    // Transient: HTTP answers 503, and finished work waits.
    await expect(work).rejects.toMatchObject({ name: 'TransientError', code: 'database.busy', errno });
    expect(tries).toBe(5);
    expect(db.retries).toEqual(new Map([[errno, 4]]));
    expect(await values()).toEqual([0, 0]);
  });

  test('that fails with another error is not run again', async () => {
    let tries = 0;
    const work = db.transaction(async () => {
      tries++;
      throw failing(1062);
    });
    await expect(work).rejects.toMatchObject({ errno: 1062 });
    expect([tries, db.retries.size]).toEqual([1, 0]);
  });

  test('whose owner is frozen in the midst of it is ended by the server: its rows are free for others', async () => {
    const freezing = openDatabase({ ...database.options, idleTransactionSeconds: 1 });
    const holds = Promise.withResolvers<void>();
    const thawed = Promise.withResolvers<void>();
    const frozen = freezing.transaction(async (tx) => {
      await add(tx, 1);
      holds.resolve();
      await thawed.promise;
      await add(tx, 2);
    });
    const refused = expect(frozen).rejects.toMatchObject({ name: 'TransientError', code: 'database.unavailable' });
    await holds.promise;
    await add(db, 1);
    thawed.resolve();
    await refused;
    expect(await values()).toEqual([1, 0]);
    await freezing.close();
  });
});

describe('a server that cannot be reached', () => {
  test.each<[string, (gone: Database) => Promise<unknown>]>([
    ['a read', (gone) => gone.rows('SELECT 1')],
    ['a write', (gone) => gone.run('DO 1')],
    ['a transaction', (gone) => gone.transaction((tx) => tx.rows('SELECT 1'))],
  ])('fails %s as transient, with the cause', async (_, ask) => {
    const gone = openDatabase({ ...database.options, socketPath: `${database.options.socketPath}.gone` });
    await expect(ask(gone)).rejects.toMatchObject({
      name: 'TransientError',
      code: 'database.unavailable',
      message: expect.stringContaining('ENOENT'),
    });
    await gone.close();
  });

  test('fails as transient when its port is closed', async () => {
    const gone = openDatabase({ ...database.options, socketPath: undefined, host: '127.0.0.1', port: 1 });
    await expect(gone.rows('SELECT 1')).rejects.toMatchObject({
      code: 'database.unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await gone.close();
  });

  test('an error of a statement is not taken for that', async () => {
    await expect(db.rows('SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
  });
});

const killAll = async (): Promise<void> => {
  const [rows] = await root.query<mysql.RowDataPacket[]>('SELECT id FROM information_schema.processlist WHERE db = ? AND user = ?', [
    database.name,
    database.options.user,
  ]);
  for (const { id } of rows) await root.query(`KILL ${id}`);
};

describe('connections that the server ends', () => {
  test('while nobody uses them are replaced without an error', async () => {
    await Promise.all([db.rows('SELECT 1'), db.transaction((tx) => tx.rows('SELECT 1'))]);
    await killAll();
    await expect.poll(() => db.rows('SELECT 1').then(() => 'answered', String)).toBe('answered');
    await expect.poll(() => db.transaction((tx) => tx.rows('SELECT 1')).then(() => 'answered', String)).toBe('answered');
  });

  test('in the midst of a transaction fail it as transient, and nothing of it is kept', async () => {
    const work = db.transaction(async (tx) => {
      await add(tx, 1);
      await killAll();
      await add(tx, 2);
    });
    await expect(work).rejects.toMatchObject({ code: 'database.unavailable' });
    expect(await values()).toEqual([0, 0]);
  });

  test('before their settings are made fail single statements and transactions as transient', async () => {
    const unset = openDatabase({ ...database.options, idleTransactionSeconds: Number.NaN });
    await expect(unset.rows('SELECT 1')).rejects.toMatchObject({ code: 'database.unavailable' });
    await expect(unset.transaction((tx) => tx.rows('SELECT 1'))).rejects.toMatchObject({ code: 'database.unavailable' });
    await unset.close();
  });
});

describe('over a restart of the server', () => {
  test('calls fail as transient while it is away, and succeed again afterwards', { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stockmesh-restart-'));
    const start = () =>
      startDatabase({
        dataDir: join(folder, 'database'),
        passwords: { root: 'r', migrate: 'm', service: 's', read: 'd' },
        log: pino({ level: 'silent' }),
        durable: false,
      });
    const server = await start();
    const restarted = openDatabase({ ...server.options('service'), maxConnections: 4 });
    const ask = () => Promise.all([restarted.rows('SELECT 1'), restarted.transaction((tx) => tx.rows('SELECT 1'))]);
    try {
      await ask();
      await server.stop();
      await expect(ask()).rejects.toMatchObject({ name: 'TransientError', code: 'database.unavailable' });
      const again = await start();
      try {
        await ask();
      } finally {
        await again.stop();
      }
    } finally {
      await restarted.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
