import { expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { testDatabase } from '../database.ts';

/** Each relation as the server would make it again, and its rows but for the moments of the migrations. */
async function everythingOf(db: Database): Promise<unknown> {
  const relations = await db.rows<{ name: string }>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name',
  );
  return Promise.all(
    relations.map(async ({ name }) => {
      const [made] = await db.rows<Record<string, string>>(`SHOW CREATE TABLE ${name}`);
      const rows = made?.['Create Table'] !== undefined ? await db.rows<Record<string, unknown>>(`SELECT * FROM ${name} ORDER BY 1`) : [];
      return { made, rows: rows.map(({ applied_at: _, ...row }) => row) };
    }),
  );
}

test("a test's schema is the one that the migrations make, rows included", async () => {
  const [made, migrated] = [await testDatabase(), await testDatabase({ migrated: false })];
  await migrateUp(migrated.migrate);
  const [one, other] = [made, migrated].map(({ migrate }) => openDatabase({ ...migrate, maxConnections: 4 })) as [Database, Database];
  const expected = await everythingOf(other);
  expect(expected).toEqual(expect.arrayContaining([expect.objectContaining({ rows: expect.arrayContaining([{ queue: 'foreground' }]) })]));
  expect(await everythingOf(one)).toEqual(expected);
  for (const db of [one, other]) await db.close();
  for (const database of [made, migrated]) await database.drop();
});
