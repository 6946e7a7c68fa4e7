/** The schema of this build as statements: a server makes a schema of them in a third of the time that the migrations take. */
import mysql from 'mysql2/promise';
import { accountNames, createAccounts, type DatabasePasswords } from '../../../sql/accounts.ts';
import { migrateUp } from '../../../sql/migrate.ts';

const NAME = 'test_template';

interface Reach {
  socketPath: string;
  passwords: DatabasePasswords;
}

/** Migrates a schema and reads what the migrations have made of it, rows included; the schema is gone afterwards. */
export async function readTemplate({ socketPath, passwords }: Reach): Promise<string> {
  const root = await mysql.createConnection({ socketPath, user: accountNames.root, password: passwords.root, dateStrings: true });
  try {
    await createAccounts(root, { database: NAME, passwords, hosts: ['localhost', '127.0.0.1'] });
    await migrateUp({ socketPath, user: accountNames.migrate, password: passwords.migrate, database: NAME });
    await root.query('USE ??', [NAME]);
    const statements = ['SET FOREIGN_KEY_CHECKS = 0'];
    const [relations] = await root.query<mysql.RowDataPacket[]>(
      'SELECT table_name AS name, table_type AS type FROM information_schema.tables WHERE table_schema = ? ORDER BY table_type, table_name',
      [NAME],
    );
    // Views come after all tables.
    for (const { name, type } of relations) {
      const [[made]] = await root.query<mysql.RowDataPacket[]>('SHOW CREATE TABLE ??', [name]);
      if (type === 'VIEW') {
        const { character_set_client: characters, collation_connection: collation, 'Create View': view } = made as Record<string, string>;
        statements.push(`SET NAMES ${characters} COLLATE ${collation}`, view as string);
        continue;
      }
      statements.push((made as Record<string, string>)['Create Table'] as string);
      const [rows] = await root.query<mysql.RowDataPacket[]>('SELECT * FROM ??', [name]);
      for (const row of rows) statements.push(mysql.format('INSERT INTO ?? SET ?', [name, row]));
    }
    await root.query('DROP DATABASE ??', [NAME]);
    return statements.join(';\n');
  } finally {
    await root.end();
  }
}

/** Makes the schema of the account's database, which is empty. */
export async function makeOfTemplate(account: mysql.ConnectionOptions, template: string): Promise<void> {
  const connection = await mysql.createConnection({ ...account, multipleStatements: true });
  try {
    await connection.query(template);
  } finally {
    await connection.end();
  }
}
