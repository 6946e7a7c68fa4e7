/** A server whose default mode reads literals in another way than the driver writes them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, fromJson, openDatabase, toJson } from '../../../services/platform/database/database.ts';
import { assertSuitable } from '../../../services/platform/database/suitable.ts';
import { type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';
import { migrateUp } from '../../../sql/migrate.ts';

const INJECTION = "x'); DELETE FROM holdings; COMMIT; -- ";
const NASTY = [INJECTION, 'a\\', "\\'", "'", '"', '\\\\', "o'brien\\", '\\"; --', 'tab\tline\nnul\0'];

let folder: string;
let server: EmbeddedDatabase;
let db: Database;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-sql-mode-'));
  server = await startDatabase({
    dataDir: join(folder, 'database'),
    passwords: { root: "ro'ot\\", migrate: "mi'gr\\ate", service: "ser'\\vice", read: '\\' },
    log: pino({ level: 'silent' }),
    durable: false,
    settings: { 'sql-mode': 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT' },
  });
  await migrateUp(server.options('migrate'));
  db = openDatabase(server.options('service'));
});
afterAll(async () => {
  await db.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

const held = async (): Promise<string[]> =>
  (await db.rows<{ user_id: string }>('SELECT user_id FROM holdings ORDER BY user_id')).map(({ user_id }) => user_id);
beforeEach(async () => {
  await db.run('DELETE FROM holdings');
  await db.run("INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('alice', 'AAPL', 1, NOW())");
});

test('the mode of the server is not the mode of a connection', async () => {
  const [own] = await db.rows<{ mode: string; server: string }>('SELECT @@SESSION.sql_mode AS mode, @@GLOBAL.sql_mode AS server');
  expect(own?.server).toContain('NO_BACKSLASH_ESCAPES');
  expect(own?.mode).toMatch(/STRICT_TRANS_TABLES/);
  expect(own?.mode).not.toMatch(/NO_BACKSLASH_ESCAPES|ANSI_QUOTES|PAD_CHAR|PIPES/);
  await assertSuitable(db);
});

describe.each(NASTY)('the text %j', (text) => {
  test('comes back from a single statement and deletes nothing', async () => {
    expect(await db.rows('SELECT ? AS text, (?) AS json', [text, toJson({ text })])).toEqual([{ text, json: JSON.stringify({ text }) }]);
    expect(await held()).toEqual(['alice']);
  });

  test('comes back from a transaction of several statements and deletes nothing', async () => {
    const rows = await db.transaction((tx) => {
      tx.later('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES (?)', [[text, 'IBM', 1, new Date(0)]]);
      tx.later('SET @json = ?', [toJson([text])]);
      return tx.rows<{ user_id: string; json: unknown }>('SELECT user_id, @json AS json FROM holdings WHERE user_id = ?', [text]);
    });
    expect(rows.map(({ user_id, json }) => [user_id, fromJson(json)])).toEqual([[text, [text]]]);
    expect((await held()).sort()).toEqual([text, 'alice'].sort());
  });
});

test('a text that is too long for its column is an error, not cut', async () => {
  const long = db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES (?)', [
    ['u'.repeat(1_000), 'IBM', 1, new Date(0)],
  ]);
  await expect(long).rejects.toMatchObject({ code: 'ER_DATA_TOO_LONG' });
});

test('JSON ends its literal in neither mode', async () => {
  for (const mode of ['NO_BACKSLASH_ESCAPES', '']) {
    await db.transaction(async (tx) => {
      await tx.run('SET SESSION sql_mode = ?', [mode]);
      for (const text of NASTY) expect(await tx.rows('SELECT LENGTH(?) > 0 AS one', [toJson({ text })])).toEqual([{ one: 1 }]);
    });
    expect(await held()).toEqual(['alice']);
  }
});
