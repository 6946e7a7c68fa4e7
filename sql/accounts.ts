import { escapeId, escape as quote } from 'mysql2';
import { SET_SQL_MODE } from '../services/platform/database/database.ts';

/** The accounts of the database: `root` only to set up, `migrate` to change the schema, `service` for every service, `read` for dashboards such as Grafana. */
export type DatabaseRole = 'root' | 'migrate' | 'service' | 'read';
export type DatabasePasswords = Readonly<Record<DatabaseRole, string>>;

export const accountNames: Readonly<Record<DatabaseRole, string>> = {
  root: 'root',
  migrate: 'stockmesh_migrate',
  service: 'stockmesh',
  read: 'stockmesh_read',
};

/** All that each account may do, and only inside the one schema. What `read` may see is listed by column: `grantReading`. */
const rights: Readonly<Record<Exclude<DatabaseRole, 'root'>, string | undefined>> = {
  migrate: 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, CREATE VIEW, SHOW VIEW',
  service: 'SELECT, INSERT, UPDATE, DELETE',
  read: undefined,
};

export interface AccountOptions {
  /** The schema; it is created where it is missing. */
  readonly database: string;
  readonly passwords: Omit<DatabasePasswords, 'root'>;
  /**
   * Where the accounts may connect from, as MySQL host patterns. Default `['%']`, anywhere. A server with `skip-name-resolve`
   * distinguishes `localhost` (the socket) and `127.0.0.1` (TCP), so name both for one machine.
   */
  readonly hosts?: readonly string[];
}

/**
 * Creates the schema and the accounts `stockmesh_migrate`, `stockmesh` and `stockmesh_read` with exactly the rights that they need, and sets
 * their passwords. May be repeated at any time. For a server of your own (MariaDB 10.6+, MySQL 8.0+) call it once with a connection of an
 * account that may CREATE USER and GRANT. After the migrations `grantReading` gives `stockmesh_read` its rights with the same connection; nothing else in the project needs
 * that account again.
 */
export async function createAccounts(
  root: { query(sql: string): Promise<unknown> },
  { database, passwords, hosts = ['%'] }: AccountOptions,
): Promise<void> {
  // The server's own mode decides how the quoted names and passwords below are read.
  await root.query(SET_SQL_MODE);
  // Binary order: a symbol, a user or a topic is equal to itself only, and both servers agree on it.
  await root.query(`CREATE DATABASE IF NOT EXISTS ${escapeId(database, true)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  // `_` and `%` in the schema of a GRANT are wildcards.
  const schema = escapeId(database.replaceAll(/[_%\\]/g, '\\$&'), true);
  for (const role of ['migrate', 'service', 'read'] as const) {
    for (const host of hosts) {
      const account = `${quote(accountNames[role])}@${quote(host)}`;
      const identified = `IDENTIFIED BY ${quote(passwords[role])}`;
      await root.query(`CREATE USER IF NOT EXISTS ${account} ${identified}`);
      await root.query(`ALTER USER ${account} ${identified}`);
      if (rights[role] !== undefined) await root.query(`GRANT ${rights[role]} ON ${schema}.* TO ${account}`);
    }
  }
}
