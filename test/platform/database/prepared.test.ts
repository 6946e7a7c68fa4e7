/** Reads by prepared statements, which many numbers are worth: the same rows as by text. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

let server: TestDatabase;
let db: Database;
beforeAll(async () => {
  server = await testDatabase();
  db = openDatabase({ ...server.root, maxConnections: 1 });
  await db.run('CREATE TABLE readings (id INT PRIMARY KEY, name VARCHAR(20), day DATE, at DATETIME(3), value DOUBLE)');
  await db.run('INSERT INTO readings VALUES ?', [
    [
      [1, 'one', '2026-03-10', new Date('2026-03-10T14:00:00.123Z'), 0.1 + 0.2],
      [2, "it's ? two", '2026-03-11', null, 5e-324],
      [3, 'three', '2026-03-12', null, 1.7976931348623157e308],
    ],
  ]);
});
afterAll(async () => {
  await db.close();
  await server.drop();
});

const READ = 'SELECT id, name, day, at, value FROM readings WHERE id IN (?) AND name <> ? ORDER BY id';

test('give the same rows as a statement of text, to the last digit', async () => {
  const params = [[1, 2, 3], 'none'];
  const prepared = await db.rows(READ, params, 'prepared');
  expect(prepared).toEqual(await db.rows(READ, params));
  expect(prepared).toHaveLength(3);
  expect(prepared[0]).toEqual({ id: 1, name: 'one', day: '2026-03-10', at: new Date('2026-03-10T14:00:00.123Z'), value: 0.1 + 0.2 });
});

test('take a text with a quote and a question mark as a value', async () => {
  expect(await db.rows('SELECT id FROM readings WHERE name = ?', ["it's ? two"], 'prepared')).toEqual([{ id: 2 }]);
});

test('with lists of up to a hundred values prepare eight statements', async () => {
  const prepared = async () => Number((await db.rows<{ Value: string }>("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'"))[0]?.Value);
  const sql = 'SELECT id FROM readings WHERE id IN (?) AND id < ?';
  const before = await prepared();
  for (let count = 1; count <= 100; count++) {
    const ids = Array.from({ length: count }, (_, at) => at + 1);
    expect(await db.rows(sql, [ids, 50], 'prepared')).toHaveLength(Math.min(count, 3));
  }
  expect((await prepared()) - before).toBe(8);
});

test('tell a fault of the statement as any other does, and leave the connection', async () => {
  const [before] = await db.rows('SELECT CONNECTION_ID() AS id');
  await expect(db.rows('SELECT nothing FROM readings WHERE id = ?', [1], 'prepared')).rejects.toMatchObject({ errno: 1054 });
  expect(await db.rows('SELECT CONNECTION_ID() AS id')).toEqual([before]);
});

test('outlive a change of their table', async () => {
  await db.rows('SELECT * FROM readings WHERE id = ?', [1], 'prepared');
  await db.run('ALTER TABLE readings ADD COLUMN more INT NULL');
  expect(await db.rows('SELECT * FROM readings WHERE id = ?', [1], 'prepared')).toMatchObject([{ id: 1, more: null }]);
});
