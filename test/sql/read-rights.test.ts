/** What the account for dashboards may read, asked of the server. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../services/platform/database/database.ts';
import { grantReading, mayRead, READ_RIGHTS, readGrants } from '../../sql/read-rights.ts';
import { databaseOfFile } from '../support/database.ts';

const { database, db } = await databaseOfFile();
const HOSTS = ['localhost', '127.0.0.1'];
const DENIED = /^ER_(TABLE|COLUMN)ACCESS_DENIED_ERROR$/;

let root: mysql.Connection;
let reader: mysql.Connection;
beforeAll(async () => {
  const { socketPath, user, password } = database.root;
  root = await mysql.createConnection({ socketPath, user, password, database: database.name } as mysql.ConnectionOptions);
  // As an earlier version left it.
  for (const host of HOSTS) {
    const schema = `\`${database.name.replaceAll('_', '\\_')}\``;
    await root.query(`GRANT SELECT, SHOW VIEW ON ${schema}.* TO 'stockmesh_read'@'${host}'`);
    await root.query(`GRANT SELECT ON api_keys TO 'stockmesh_read'@'${host}'`);
    await root.query(`GRANT SELECT (name, hash) ON api_keys TO 'stockmesh_read'@'${host}'`);
    await root.query(`GRANT SELECT (url), UPDATE (url) ON callbacks TO 'stockmesh_read'@'${host}'`);
  }
  await grantReading(root, { database: database.name, hosts: HOSTS });
  const read = database.read as mysql.ConnectionOptions;
  reader = await mysql.createConnection({
    socketPath: read.socketPath!,
    user: read.user!,
    password: read.password!,
    database: database.name,
  });
});
afterAll(async () => {
  await reader.end();
  await root.end();
});

const columns = await db.rows<{ table: string; column: string }>(
  'SELECT table_name AS `table`, column_name AS `column` FROM information_schema.columns WHERE table_schema = ?',
  [database.name],
);
const answer = (sql: string): Promise<string> =>
  reader.query(sql).then(
    () => 'answered',
    ({ code }) => code,
  );

test('it is decided for each column of each table whether dashboards may read it', () => {
  const undecided = columns.filter(({ table, column }) => mayRead(table, column) === undefined);
  expect(undecided, 'put each into sql/read-rights.ts').toEqual([]);
});

test('no column is both readable and hidden', () => {
  const both = Object.entries(READ_RIGHTS).filter(
    ([, rights]) => rights !== 'hidden' && rights.read.split(' ').some((column) => rights.hidden?.split(' ').includes(column)),
  );
  expect(both).toEqual([]);
});

test('nothing that is called like a secret is readable', () => {
  // Tokens of a language model are counted, and are no secret.
  const secret = /hash|secret|password|token(?!s_)|url|address|session|payload/;
  expect(columns.filter(({ table, column }) => mayRead(table, column) && secret.test(column))).toEqual([]);
});

test.each([...new Set(columns.map(({ table }) => table))])('the server lets it read of %s exactly what is listed', async (table) => {
  for (const { column } of columns.filter((one) => one.table === table))
    expect([column, await answer(`SELECT \`${column}\` FROM \`${table}\` LIMIT 0`)]).toEqual([
      column,
      mayRead(table, column) ? 'answered' : expect.stringMatching(DENIED),
    ]);
});

test('what the rights of an earlier version allowed beyond it is gone', async () => {
  expect(await answer('UPDATE callbacks SET url = ""')).toMatch(DENIED);
  const [grants] = await root.query<mysql.RowDataPacket[]>("SHOW GRANTS FOR 'stockmesh_read'@'localhost'");
  const text = JSON.stringify(grants);
  expect(text.includes(`${database.name}\`.*`) || text.includes(`${database.name.replaceAll('_', '\\\\\\\\_')}\`.*`)).toBe(false);
  expect(text).not.toContain(`\`${database.name}\`.\`api_keys\``);
});

test('system tables and files stay closed', async () => {
  expect(await answer('SELECT * FROM mysql.user')).toMatch(DENIED);
  expect(await answer("SELECT 1 INTO OUTFILE '/tmp/stolen'")).toBe('ER_SPECIFIC_ACCESS_DENIED_ERROR');
});

test('a new table and a new column are not readable', async () => {
  await root.query('CREATE TABLE fresh (id INT)');
  await root.query('ALTER TABLE leases ADD COLUMN secret_note INT');
  await grantReading(root, { database: database.name, hosts: HOSTS });
  expect(await answer('SELECT id FROM fresh')).toMatch(DENIED);
  expect(await answer('SELECT secret_note FROM leases')).toMatch(DENIED);
  expect(await answer('SELECT name, holder, until FROM leases')).toBe('answered');
});

describe('a second time', () => {
  test('nothing is granted or revoked', async () => {
    const sent: string[] = [];
    const query = (sql: string, params: unknown[]) => {
      sent.push(sql);
      return root.query(sql, params);
    };
    await grantReading({ query } as unknown as mysql.Connection, { database: database.name, hosts: HOSTS });
    expect(sent.filter((sql) => /^(GRANT|REVOKE)/.test(sql))).toEqual([]);
  });
});

test('the printed statements give another account the same rights', async () => {
  const account = `'grafana_${database.name}'@'localhost'`;
  await root.query(`CREATE USER ${account} IDENTIFIED BY 'grafana-secret'`);
  try {
    await root.query(`GRANT SELECT ON \`${database.name}\`.* TO ${account}`);
    const migrate = openDatabase(database.migrate);
    const statements = await readGrants(migrate, database.name, account).finally(() => migrate.close());
    for (const statement of statements) await root.query(statement);
    const rights = async (grantee: string) =>
      (
        await root.query(
          'SELECT table_name, column_name, privilege_type FROM information_schema.column_privileges WHERE grantee = ? AND table_schema = ? ORDER BY 1, 2',
          [grantee, database.name],
        )
      )[0];
    expect(await rights(account)).toEqual(await rights("'stockmesh_read'@'localhost'"));
    const [broad] = await root.query('SELECT 1 FROM information_schema.schema_privileges WHERE grantee = ?', [account]);
    expect(broad).toEqual([]);
  } finally {
    await root.query(`DROP USER ${account}`);
  }
});
