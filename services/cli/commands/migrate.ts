/** `stockmesh migrate`: applies migrations and takes them back. */

import { escape as quote } from 'mysql2';
import { assertSchemaCurrent, migrateDown, migrateUp, migrationStatus, migrations, servicesAlive } from '../../../sql/migrate.ts';
import { readGrants } from '../../../sql/read-rights.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { leaseSeconds } from '../../platform/config/load.ts';
import { databaseOptions } from '../../platform/connections.ts';
import { type DatabaseOptions, openDatabase } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { cliActor } from '../actor.ts';
import { confirmed } from '../operate/confirm.ts';
import { paint } from '../output/colour.ts';
import { FAILURE } from '../output/failure.ts';
import { plural, stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { table } from '../output/table.ts';
import { type GlobalOptions, loadJoining } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

interface Target {
  database: DatabaseOptions;
  /** A service without a sign of life for longer counts as dead. */
  aliveSeconds: number;
}

function target(options: GlobalOptions): Target {
  const { loaded, dataFolder } = loadJoining(options);
  return { database: databaseOptions(loaded.config, dataFolder, 'migrate'), aliveSeconds: leaseSeconds(loaded.config) };
}

/** Errors: `ConfigError('schema.in_use')` where services are alive that may not serve through what is missing; `yes` applies it all the same. */
export async function up({ yes, ...options }: Options & { yes?: boolean | undefined }): Promise<number> {
  const { database, aliveSeconds } = target(options);
  const applied = await migrateUp(database, yes ? {} : { aliveSeconds });
  await record(database, 'schema.up', applied);
  const known = await migrations();
  const offline = known.filter((one) => one.offline !== null && applied.includes(one.name)).map(({ name }) => name);
  if (options.json) printJson({ ok: true, applied, online: offline.length === 0 });
  else if (applied.length === 0) print('the schema is current: nothing to apply');
  // Into an empty database nobody served before.
  else if (applied.length === known.length) print(`applied ${applied.join(', ')}`);
  else
    print(
      `applied ${applied.join(', ')}; services of the version before ${offline.length === 0 ? 'may go on serving until they are restarted' : `must not run any more (${offline.join(', ')})`}`,
    );
  return 0;
}

/** Takes the newest migrations back, after showing what is lost. Errors: `InputError('migrate.unconfirmed')` where there is no terminal to ask on. */
export async function down({ steps, yes, ...options }: Options & { steps: number; yes?: boolean | undefined }): Promise<number> {
  const { database, aliveSeconds } = target(options);
  // One that was cut on its way back does not count as applied, and is the first to go.
  const names = (await migrationStatus(database))
    .filter(({ appliedAt, begun }) => appliedAt !== null || begun === 'down')
    .slice(-steps)
    .map(({ name }) => name)
    .reverse();
  if (names.length === 0) {
    if (options.json) printJson({ ok: true, taken_back: [] });
    else print('no migration is applied: nothing to take back');
    return 0;
  }
  if (!yes) {
    const loss = `${await lossOf(names)}${await thoseWhoServe(database, aliveSeconds)}`;
    const question = `This ${paint('bold', loss, process.stderr)}. Go on?`;
    if (!(await confirmed('migrate.unconfirmed', { happens: loss, question }))) return FAILURE;
  }
  const takenBack = await migrateDown(database, steps);
  await record(database, 'schema.down', takenBack);
  if (options.json) printJson({ ok: true, taken_back: takenBack });
  else print(`took back ${takenBack.join(', ')}; "${COMMAND} migrate up" applies them again, without the data`);
  return 0;
}

/** After the change, since a server commits each statement of a schema by itself; not where the audit log itself was taken back. */
async function record(options: DatabaseOptions, action: 'schema.up' | 'schema.down', names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const db = openDatabase({ ...options, maxConnections: 1 });
  try {
    const [known] = await db.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'audit_log'");
    if (known !== undefined) await db.transaction(async (tx) => recordChange(tx, cliActor(), { action, details: names.join(', ') }));
  } finally {
    await db.close();
  }
}

/** What taking migrations back drops, read from their SQL. */
async function lossOf(names: readonly string[]): Promise<string> {
  const known = new Map((await migrations()).map(({ name, down: sql }) => [name, sql]));
  const found = (what: RegExp): string[] =>
    names.flatMap((name) =>
      [...(known.get(name) ?? '').matchAll(what)].flatMap(([, list]) => (list as string).replaceAll('`', '').split(/, */)),
    );
  const tables = found(/DROP TABLE (?:IF EXISTS )?([\w`, ]+)/gi);
  const columns = found(/DROP COLUMN ([\w`]+)/gi);
  const lost = [
    ...(tables.length === 0 ? [] : [`all rows of ${tables.join(', ')} are lost`]),
    ...(columns.length === 0 ? [] : [`all values of ${columns.join(', ')} are lost`]),
  ];
  return `takes back ${plural(names.length, 'migration')} (${names.join(', ')}): ${lost.join(', ') || 'no table and no column is dropped'}`;
}

/** A way back takes from under running services what they use. */
async function thoseWhoServe(database: DatabaseOptions, aliveSeconds: number): Promise<string> {
  const db = openDatabase({ ...database, maxConnections: 1 });
  try {
    const alive = await servicesAlive(db, aliveSeconds);
    return alive.length === 0
      ? ''
      : `; ${plural(alive.length, 'service is', 'services are')} alive that may need them (${alive.join(', ')}), stop them first where they were started (systemctl stop, kubectl scale; "${COMMAND} drain ${alive[0]}" for one that nobody starts again)`;
  } finally {
    await db.close();
  }
}

/** Prints the statements that give an account of a server of your own the rights of `stockmesh_read`. They name the columns of the schema as it is now. */
export async function grants({ account, ...options }: Options & { account: string }): Promise<number> {
  const { database } = target(options);
  const [, user, host = '%'] = /^([^@]+)(?:@([^@]+))?$/.exec(account) ?? [];
  if (user === undefined)
    throw new InputError(
      'option.bad_account',
      `--account ${JSON.stringify(account)}: write it as USER or USER@HOST, such as stockmesh_read@%`,
    );
  const db = openDatabase({ ...database, maxConnections: 2 });
  try {
    await assertSchemaCurrent(db);
    const statements = await readGrants(db, database.database, `${quote(user)}@${quote(host)}`);
    if (options.json) printJson({ statements });
    else print(statements.map((statement) => `${statement};`).join('\n'));
    return 0;
  } finally {
    await db.close();
  }
}

export async function status(options: Options): Promise<number> {
  const all = await migrationStatus(target(options).database);
  const missing = all.filter(({ appliedAt }) => appliedAt === null);
  const cut = all.find(({ begun }) => begun !== null);
  if (options.json)
    printJson({
      current: missing.length === 0,
      migrations: all.map(({ version, name, appliedAt, offline, begun }) => ({
        ...{ version, name, applied_at: appliedAt, cut_on_its_way: begun },
        ...{ online: offline === null, why_not: offline },
      })),
    });
  else {
    print(
      table(all, [
        { title: 'VERSION', value: ({ version }) => version, align: 'right' },
        { title: 'NAME', value: ({ name }) => name },
        {
          title: 'APPLIED',
          value: ({ appliedAt, begun }) => (begun !== null ? `cut on its way ${begun}` : appliedAt === null ? 'missing' : stamp(appliedAt)),
          paint: (text, { appliedAt }) => (appliedAt === null ? paint('yellow', text) : text),
        },
        { title: 'WHILE SERVICES RUN', value: ({ offline }) => (offline === null ? 'yes' : `no: ${offline}`) },
      ]),
    );
    print(
      missing.length === 0
        ? '\nthe schema is current'
        : `\n${plural(missing.length, 'migration is', 'migrations are')} missing; "${COMMAND} migrate up" applies them`,
    );
    if (cut?.begun === 'up') print(`${cut.name} was cut on its way up: "${COMMAND} migrate up" goes on with it`);
    if (cut?.begun === 'down')
      print(`${cut.name} was cut on its way down: "${COMMAND} migrate down --steps 1" ends that, "${COMMAND} migrate up" does both`);
  }
  return 0;
}
