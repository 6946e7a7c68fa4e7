/** `stockmesh db init`: schema and accounts on a database server of your own. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { accountNames, createAccounts } from '../../../sql/accounts.ts';
import { migrateUp } from '../../../sql/migrate.ts';
import { grantReading } from '../../../sql/read-rights.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { leaseSeconds } from '../../platform/config/load.ts';
import { databaseOptions } from '../../platform/connections.ts';
import { connectionOptions } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { fields } from '../output/table.ts';
import { type GlobalOptions, loadFor } from '../session.ts';

export interface DbInitOptions extends GlobalOptions {
  adminUrl?: string | undefined;
  host?: string[] | undefined;
  secrets?: string | undefined;
  newPasswords?: boolean | undefined;
  sql?: boolean | undefined;
  json?: boolean | undefined;
}

/** In the environment a URL with a password is not shown to every user of the machine, as an option is. */
const VARIABLE = 'STOCKMESH_DATABASE_ADMIN_URL';
const ROLES = ['service', 'migrate', 'read'] as const;
type Role = (typeof ROLES)[number];
const FILES: Record<Role, string> = { service: 'database-url', migrate: 'database-migrate-url', read: 'database-read-url' };

/**
 * Makes the schema, the accounts, the tables and the rights. Accounts that are there already keep their passwords: running services use them.
 * Errors: `InputError('db.no_admin' | 'db.accounts_exist')`, `ConfigError('database.bad_url')`, those of the server.
 */
export async function init(options: DbInitOptions): Promise<number> {
  const passwords = { service: secret(), migrate: secret(), read: secret() };
  const hosts = options.host ?? ['%'];
  const adminUrl = options.adminUrl ?? process.env[VARIABLE];
  if (!adminUrl)
    throw new InputError(
      'db.no_admin',
      `name the server and an account that may CREATE USER and GRANT, with the schema that is to be made, in ${VARIABLE} (or --admin-url): mysql://root:…@db.example:3306/stockmesh`,
    );
  const { loaded, dataFolder } = loadFor(options, {
    'database.url': { value: adminUrl, option: options.adminUrl ? '--admin-url' : VARIABLE },
  });
  const admin = databaseOptions(loaded.config, dataFolder, 'migrate');
  if (options.sql) return printSql(admin.database, passwords, hosts);

  const { database: _, ...server } = connectionOptions(admin.addresses === undefined ? admin : { ...admin, ...admin.addresses[0] });
  const root = await createConnection(server);
  try {
    const [known] = await root.query('SELECT DISTINCT User AS name FROM mysql.user WHERE User IN (?)', [
      ROLES.map((role) => accountNames[role]),
    ]);
    const names = (known as { name: string }[]).map(({ name }) => name).sort();
    if (names.length > 0 && !options.newPasswords)
      throw new InputError(
        'db.accounts_exist',
        `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} there already, and services may use ${names.length === 1 ? 'it' : 'them'}: --new-passwords replaces the passwords, and every service must get the new ones; "${COMMAND} migrate up" brings the schema up to date without that`,
      );
    const urls = urlsOf(adminUrl, passwords);
    // Before the accounts get these passwords: a folder that cannot be written would lose them.
    const files = options.secrets === undefined ? undefined : written(options.secrets, urls);
    await createAccounts(root, { database: admin.database, passwords, hosts });
    const applied = await migrateUp(
      { ...admin, user: accountNames.migrate, password: passwords.migrate },
      { aliveSeconds: leaseSeconds(loaded.config) },
    );
    await grantReading(root, { database: admin.database, hosts });
    report({ database: admin.database, hosts, applied, ...(files === undefined ? { urls } : { files }) }, options.json);
  } finally {
    await root.end();
  }
  return 0;
}

const secret = (): string => randomBytes(24).toString('base64url');

/** The statements in place of their effect, for whoever gives nobody else such an account. The rights of the reading account follow from the tables: `migrate grants`. */
async function printSql(database: string, passwords: Record<Role, string>, hosts: readonly string[]): Promise<number> {
  const statements: string[] = [];
  await createAccounts({ query: async (text) => void statements.push(text) }, { database, passwords, hosts });
  print(statements.map((statement) => `${statement};`).join('\n'));
  return 0;
}

/** The same address with another account. */
function urlsOf(adminUrl: string, passwords: Record<Role, string>): Record<Role, string> {
  const withAccount = (role: Role): string =>
    adminUrl.replaceAll(/((?:mysql|mariadb):\/\/)(?:[^@/?#]*@)?/g, `$1${accountNames[role]}:${passwords[role]}@`);
  return { service: withAccount('service'), migrate: withAccount('migrate'), read: withAccount('read') };
}

interface Made {
  database: string;
  hosts: readonly string[];
  applied: readonly string[];
  urls?: Record<Role, string>;
  files?: Record<Role, string>;
}

function report(made: Made, json: boolean | undefined): void {
  if (json) {
    printJson({ ...made });
    return;
  }
  const { database, applied, urls, files } = made;
  const { service, migrate, read } = (files ?? urls) as Record<Role, string>;
  print(
    `the schema ${database} and its accounts are there${applied.length === 0 ? '' : `; ${plural(applied.length, 'migration is', 'migrations are')} applied`}\n`,
  );
  print(
    fields([
      ['services', service],
      ['upgrades', migrate],
      ['dashboards', read],
    ]),
  );
  if (files === undefined)
    print(`\nThey are shown this once. The first is STOCKMESH_DATABASE_URL of every service, the second that of "${COMMAND} migrate up".`);
}

/** One file a URL, for its owner alone; what is there is replaced. */
function written(folder: string, urls: Record<Role, string>): Record<Role, string> {
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
  const put = (role: Role): string => {
    const file = join(folder, FILES[role]);
    writeFileSync(file, `${urls[role]}\n`, { mode: 0o600 });
    // One that was there keeps its mode.
    chmodSync(file, 0o600);
    return file;
  };
  return { service: put('service'), migrate: put('migrate'), read: put('read') };
}
