/** Schema and accounts on a database server of one's own, of which this is one. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { databaseUrl, type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';
import { silent } from '../../broker/peers.ts';
import { stockmesh } from '../command-line.ts';

const home = mkdtempSync(join(tmpdir(), 'stockmesh-db-init-'));
const passwords = { root: 'the-root', migrate: 'a', service: 'b', read: 'c' };
let server: EmbeddedDatabase;
let root: mysql.Connection;
beforeAll(async () => {
  server = await startDatabase({ dataDir: join(home, 'database'), passwords, log: silent, durable: false });
  root = await mysql.createConnection({ socketPath: server.socket, user: 'root', password: passwords.root });
  // A server on which nothing of ours is.
  const [accounts] = await root.query("SELECT User AS user, Host AS host FROM mysql.user WHERE User LIKE 'stockmesh%'");
  for (const { user, host } of accounts as { user: string; host: string }[]) await root.query('DROP USER ?@?', [user, host]);
  await root.query('DROP DATABASE stockmesh');
});
afterAll(async () => {
  await root.end();
  await server.stop();
  rmSync(home, { recursive: true });
});

const adminUrl = (database = 'shop') =>
  databaseUrl({ user: 'root', password: passwords.root, socket: server.socket, port: server.port, database });
const init = (...args: string[]) => stockmesh(['db', 'init', '--host', 'localhost', ...args, '--data', home]);
const ask = async (url: string, sql: string): Promise<unknown> => {
  const connection = await mysql.createConnection(url);
  try {
    return (await connection.query(sql))[0];
  } finally {
    await connection.end();
  }
};

test('with --sql nothing is changed, and what would be done is printed', async () => {
  const { code, stdout } = await init('--admin-url', adminUrl(), '--sql');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /\nCREATE DATABASE IF NOT EXISTS `shop` .*;\nCREATE USER IF NOT EXISTS 'stockmesh_migrate'@'localhost' IDENTIFIED BY '[\w-]{32}';\n/,
  );
  expect((await root.query("SHOW DATABASES LIKE 'shop'"))[0]).toEqual([]);
});

test('an empty server gets tables, and accounts that may do their own work alone', async () => {
  vi.stubEnv('STOCKMESH_DATABASE_ADMIN_URL', adminUrl());
  const { code, stdout, stderr } = await init('--json');
  vi.unstubAllEnvs();
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { database, hosts, applied, urls } = JSON.parse(stdout);
  expect({ database, hosts, first: applied[0] }).toEqual({ database: 'shop', hosts: ['localhost'], first: 'ledger' });
  expect(await ask(urls.service, 'SELECT COUNT(*) AS jobs FROM jobs')).toEqual([{ jobs: 0 }]);
  await expect(ask(urls.service, 'DROP TABLE jobs')).rejects.toMatchObject({ code: 'ER_TABLEACCESS_DENIED_ERROR' });
  await ask(urls.migrate, 'CREATE TABLE t (id INT)');
  expect(await ask(urls.read, 'SELECT state FROM job_states')).toEqual([]);
  await expect(ask(urls.read, 'SELECT hash FROM api_keys')).rejects.toMatchObject({ code: 'ER_TABLEACCESS_DENIED_ERROR' });
});

test('passwords that services may use are not replaced by accident', async () => {
  const { code, stderr } = await init('--admin-url', adminUrl());
  expect(code).toBe(1);
  expect(stderr).toMatch(/^stockmesh: stockmesh, stockmesh_migrate, stockmesh_read are there already, .*--new-passwords.*\n$/);
});

test('on request they are, and stand in files for their owner alone', async () => {
  const secrets = join(home, 'secrets');
  const { code, stdout } = await init('--admin-url', adminUrl(), '--new-passwords', '--secrets', secrets);
  expect(code).toBe(0);
  expect(stdout).not.toContain('mysql://');
  const file = join(secrets, 'database-url');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await ask(readFileSync(file, 'utf8').trim(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a folder that cannot be written changes no password', async () => {
  const before = (await root.query("SELECT User, authentication_string FROM mysql.user WHERE User LIKE 'stockmesh%' ORDER BY 1"))[0];
  const { code } = await init('--admin-url', adminUrl(), '--new-passwords', '--secrets', join(home, 'nowhere', 'secrets'));
  expect(code).toBe(1);
  expect((await root.query("SELECT User, authentication_string FROM mysql.user WHERE User LIKE 'stockmesh%' ORDER BY 1"))[0]).toEqual(
    before,
  );
});

test('without an account that may make others it says which one is wanted', async () => {
  const { code, stderr } = await init();
  expect(code).toBe(2);
  expect(stderr).toMatch(/^stockmesh: .*CREATE USER and GRANT.*STOCKMESH_DATABASE_ADMIN_URL.*\n$/);
});
