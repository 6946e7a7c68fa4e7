import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import { openDatabase } from '../../services/platform/database/database.ts';
import { testDatabase } from '../support/database.ts';

test('two test databases do not see each other', async () => {
  const [one, other] = await Promise.all([testDatabase({ migrated: false }), testDatabase({ migrated: false })]);
  const migrator = await mysql.createConnection({ ...one.migrate });
  await migrator.query('CREATE TABLE only_here (id INT PRIMARY KEY)');
  await migrator.end();
  const db = openDatabase(other.options);
  await expect(db.rows('SELECT * FROM only_here')).rejects.toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
  await db.close();
  await Promise.all([one.drop(), other.drop()]);
});

test('a test database has every migration and is reached by its URL', async () => {
  const database = await testDatabase();
  const connection = await mysql.createConnection(database.url);
  await expect(connection.query('SELECT * FROM job_states')).resolves.toMatchObject([[], {}]);
  await connection.end();
  await database.drop();
});
