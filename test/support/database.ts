import mysql from 'mysql2/promise';
import { afterAll, inject } from 'vitest';
import { type Database, type DatabaseOptions, openDatabase, type Sql } from '../../services/platform/database/database.ts';
import { accountNames, createAccounts, type DatabaseRole } from '../../sql/accounts.ts';
import { databaseUrl } from '../../sql/embedded.ts';
import type {} from './global-setup.ts';
import { makeOfTemplate } from './schema/template.ts';

/** A schema of its own in the run's database server, and how each account reaches it. */
export interface TestDatabase {
  readonly name: string;
  /** The services' account: rows only, no schema changes. For `openDatabase`. */
  readonly options: DatabaseOptions;
  /** The account that may change the schema. For `migrateUp`, and for a test's own tables. */
  readonly migrate: DatabaseOptions;
  readonly read: DatabaseOptions;
  /** May do everything on the server that all tests share: look at locks and processes, change nothing global. */
  readonly root: DatabaseOptions;
  /** The services' account as a URL, for a service started as a process. */
  readonly url: string;
  drop(): Promise<void>;
}

/** Before a statement: its plan as a table, which a newer MySQL prints as a tree. MariaDB has one form and skips the comment. */
export const EXPLAIN = 'EXPLAIN /*!80000 FORMAT=TRADITIONAL */';

/**
 * Creates a fresh schema, by default as all migrations leave it. One per test file is enough for most: create it in `beforeAll`, drop it in `afterAll`.
 *
 *     const database = await testDatabase();
 *     const db = openDatabase(database.options);
 */
export async function testDatabase({ migrated = true }: { migrated?: boolean } = {}): Promise<TestDatabase> {
  const { socket, port, passwords } = inject('databaseServer');
  const name = `test_${process.pid}_${crypto.randomUUID().slice(0, 8)}`;
  const account = (role: DatabaseRole) => ({ user: accountNames[role], password: passwords[role], database: name });
  const options = (role: DatabaseRole): DatabaseOptions => ({ ...account(role), socketPath: socket });
  const asRoot = async (work: (root: mysql.Connection) => Promise<unknown>) => {
    const root = await mysql.createConnection({ socketPath: socket, user: accountNames.root, password: passwords.root });
    try {
      await work(root);
    } finally {
      await root.end();
    }
  };
  await asRoot((root) => createAccounts(root, { database: name, passwords, hosts: ['localhost', '127.0.0.1'] }));
  if (migrated) await makeOfTemplate({ ...account('migrate'), socketPath: socket }, inject('schemaTemplate'));
  return {
    name,
    options: options('service'),
    migrate: options('migrate'),
    read: options('read'),
    root: options('root'),
    url: databaseUrl({ ...account('service'), socket, port }),
    drop: () => asRoot((root) => root.query('DROP DATABASE IF EXISTS ??', [name])),
  };
}

/**
 * The same for a whole test file, with the services' pool on it; both are gone after its last test.
 *
 *     const { db } = await databaseOfFile();
 */
export async function databaseOfFile(): Promise<{ database: TestDatabase; db: Database }> {
  const database = await testDatabase();
  const db = openDatabase(database.options);
  afterAll(async () => {
    await db.close();
    await database.drop();
  });
  return { database, db };
}

/** Deletes the rows of the tables, in their order. One statement tells which of them have rows: a test leaves most of thirty as it has found them, and a statement for each takes ten times as long. */
export async function emptyTables(db: Pick<Sql, 'rows' | 'run'>, tables: readonly string[]): Promise<void> {
  const looks = tables.map((table) => `SELECT '${table}' AS name FROM DUAL WHERE EXISTS (SELECT 1 FROM ${table})`);
  const filled = new Set((await db.rows<{ name: string }>(looks.join(' UNION ALL '))).map(({ name }) => name));
  for (const table of tables) if (filled.has(table)) await db.run(`DELETE FROM ${table}`);
}
