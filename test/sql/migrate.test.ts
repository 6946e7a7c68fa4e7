import { createHash } from 'node:crypto';
import mysql from 'mysql2/promise';
import { beforeEach, describe, expect, test } from 'vitest';
import { connectionOptions, openDatabase } from '../../services/platform/database/database.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { assertSchemaCurrent, migrateDown, migrateUp, migrationStatus, migrations } from '../../sql/migrate.ts';
import { testDatabase } from '../support/database.ts';
import { type Column, columnsOf, shapeOf, unmigratedOfEach } from './unmigrated.ts';

const known = await migrations();
const names = known.map(({ name }) => name);

const own = unmigratedOfEach();

/** A value that a column of this type takes. */
function valueFor({ data_type, column_type }: Column): unknown {
  switch (data_type) {
    case 'binary':
      return Buffer.alloc(Number(/\d+/.exec(column_type)?.[0]), 7);
    case 'enum':
      return /'([^']+)'/.exec(column_type)?.[1];
    case 'date':
      return '2026-06-02';
    case 'datetime':
      return new Date('2026-06-02T14:00:00.123Z');
    case 'char':
    case 'varchar':
      return 'x';
    case 'longtext':
    case 'json':
      return '{"a": 1}';
    case 'decimal':
    case 'double':
      return 1.2345;
    default:
      return 1;
  }
}

/** Their rows go into other tables and back: `one-table-a-state.test.ts`. */
const MOVED = ['jobs', 'job_details', 'job_results', 'job_states', 'ready', 'scheduled', 'blocked', 'running', 'ended', 'live_keys'];

/** Puts one more row into every table that there is, but for those that are moved; returns all rows of these tables. */
async function fill(): Promise<Map<string, unknown[]>> {
  const columns = (await columnsOf(own.db, own.database.name)).filter(
    ({ table_name, extra }) => !/GENERATED/i.test(extra) && !MOVED.includes(table_name),
  );
  for (const [table, group] of Map.groupBy(columns, ({ table_name }) => table_name))
    await own.db.run(`INSERT IGNORE INTO ${table} (${group.map(({ column_name }) => `\`${column_name}\``).join(', ')}) VALUES (?)`, [
      group.map(valueFor),
    ]);
  return rowsOf(
    new Map(
      [...Map.groupBy(columns, ({ table_name }) => table_name)].map(([table, group]) => [
        table,
        group.map(({ column_name }) => column_name),
      ]),
    ),
  );
}

/** Those columns of all rows of those tables. */
async function rowsOf(tables: ReadonlyMap<string, readonly string[]>): Promise<Map<string, unknown[]>> {
  const all = new Map<string, unknown[]>();
  for (const [table, columns] of tables)
    all.set(
      table,
      (await own.db.rows<object>(`SELECT ${columns.map((column) => `\`${column}\``).join(', ')} FROM ${table} ORDER BY 1`)).map(
        withNumbers,
      ),
    );
  return all;
}

/** A DECIMAL arrives as text, a DOUBLE as a number: a migration may change the one to the other, and not the value. */
function withNumbers(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, typeof value === 'string' && /^-?\d+\.\d+$/.test(value) ? Number(value) : value]),
  );
}

const columnsIn = (rows: ReadonlyMap<string, readonly unknown[]>): Map<string, string[]> =>
  new Map([...rows].map(([table, all]) => [table, Object.keys(all[0] as object)]));

/** The schema as the first `count` migrations make it, without any way back. */
async function shapeAfter(count: number): Promise<unknown> {
  const fresh = await testDatabase({ migrated: false });
  const connection = await mysql.createConnection({ ...connectionOptions(fresh.migrate), multipleStatements: true });
  for (const { up } of known.slice(0, count)) await connection.query(up);
  await connection.end();
  const reader = openDatabase(fresh.migrate);
  const shape = await shapeOf(reader, fresh.name);
  await reader.close();
  await fresh.drop();
  return shape;
}

test('the migrations are numbered in their order, each with its way back', () => {
  const versions = known.map(({ version }) => version);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
  for (const { name, down } of known) expect([name, down.trim()]).not.toEqual([name, '']);
});

test('each says in its first line whether the version before may serve through it; one that may only adds', async () => {
  const without = known.filter(({ up }) => !/^-- online: (yes|no, \S.{10,})\n/.test(up)).map(({ name }) => name);
  expect(without).toEqual([]);
  const online = known.filter(({ offline }) => offline === null);
  const taking = online.filter(({ up }) =>
    /^\s*(DROP(?! KEY)|RENAME|UPDATE|DELETE|REPLACE|TRUNCATE)\b|\b(DROP|CHANGE|RENAME) COLUMN\b/im.test(up),
  );
  expect(taking.map(({ name }) => name)).toEqual([]);
  expect(known.filter(({ offline }) => offline !== null).map(({ name }) => name)).toContain('one_table_a_state');
});

test('what was applied before the line was there counts as unchanged', async () => {
  const [first] = known;
  const sha256 = createHash('sha256').update(first!.up.split('\n').slice(1).join('\n')).digest('hex');
  expect(first!.checksum).toBe(sha256.slice(0, 16));
});

describe('up', () => {
  test('applies all that is missing in order, and says what', async () => {
    expect(await migrateUp(own.database.migrate)).toEqual(names);
    await assertSchemaCurrent(own.db);
  });

  test('applies nothing twice', async () => {
    await migrateUp(own.database.migrate);
    expect(await migrateUp(own.database.migrate)).toEqual([]);
  });

  test('run by three at once, is done by one, and the others wait for it', async () => {
    const applied = await Promise.all([migrateUp(own.database.migrate), migrateUp(own.database.migrate), migrateUp(own.database.migrate)]);
    expect(applied.toSorted((a, b) => b.length - a.length)).toEqual([names, [], []]);
  });

  test('needs an account that may change the schema: that of the services may not', async () => {
    await expect(migrateUp(own.database.options)).rejects.toMatchObject({ code: 'ER_TABLEACCESS_DENIED_ERROR' });
  });
});

describe('down', () => {
  test('takes back the newest first, as many as asked for', async () => {
    await migrateUp(own.database.migrate);
    expect(await migrateDown(own.database.migrate, 2)).toEqual(names.toReversed().slice(0, 2));
    expect(await migrateUp(own.database.migrate)).toEqual(names.slice(-2));
  });

  test('takes back everything: no table is left', async () => {
    await migrateUp(own.database.migrate);
    expect(await migrateDown(own.database.migrate, 100)).toEqual(names.toReversed());
    expect(await columnsOf(own.db, own.database.name)).toEqual([]);
  });

  test('with rows in every table, and up again, works', async () => {
    await migrateUp(own.database.migrate);
    await fill();
    await migrateDown(own.database.migrate, 100);
    expect(await migrateUp(own.database.migrate)).toEqual(names);
  });
});

describe.each(known.slice(0, -1).map(({ version, name }) => ({ version, name })))('from version $version ($name)', ({ version }) => {
  const newer = known.filter((one) => one.version > version).length;
  beforeEach(async () => {
    await migrateUp(own.database.migrate);
    await migrateDown(own.database.migrate, newer);
  });

  test('the way back has left exactly the schema that the migrations before it make', async () => {
    expect(await shapeOf(own.db, own.database.name)).toEqual(await shapeAfter(known.length - newer));
  });

  test('the rows of every table survive the way up, and the way back', async () => {
    const before = await fill();
    await migrateUp(own.database.migrate);
    expect(await rowsOf(columnsIn(before))).toEqual(before);
    await fill();
    const between = await rowsOf(columnsIn(before));
    await migrateDown(own.database.migrate, newer);
    expect(await rowsOf(columnsIn(before))).toEqual(between);
  });
});

describe('status', () => {
  test('tells of each migration when it was applied, or that it was not', async () => {
    await migrateUp(own.database.migrate);
    await migrateDown(own.database.migrate, 1);
    const status = await migrationStatus(own.database.migrate);
    expect(status.map(({ name, appliedAt }) => [name, appliedAt !== null])).toEqual(
      names.map((name, index) => [name, index < names.length - 1]),
    );
    expect(Math.abs((status[0]?.appliedAt?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });
});

describe('a schema that does not fit', () => {
  test('because it is empty, is named, with the command that helps', async () => {
    await expect(assertSchemaCurrent(own.db)).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'schema.older',
      message: expect.stringContaining('run "npx stockmesh migrate up"'),
    });
  });

  test('is not assumed because the database is away', async () => {
    const away = { ...own.db, rows: () => Promise.reject(new TransientError('database.unavailable', 'away')) };
    await expect(assertSchemaCurrent(away)).rejects.toMatchObject({ code: 'database.unavailable' });
  });

  test('because it is older, is named with the next migration', async () => {
    await migrateUp(own.database.migrate);
    await migrateDown(own.database.migrate, 1);
    await expect(assertSchemaCurrent(own.db)).rejects.toMatchObject({
      code: 'schema.older',
      message: `the database lacks 1 of ${known.length} migrations (next: ${names.at(-1)}); run "npx stockmesh migrate up"`,
    });
  });

  const newer = async (): Promise<void> => {
    await migrateUp(own.database.migrate);
    await own.db.run("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (999, 'tomorrow', '', UTC_TIMESTAMP())");
  };
  const wants: [string, () => Promise<unknown>][] = [
    ['the services', () => assertSchemaCurrent(own.db)],
    ['up', () => migrateUp(own.database.migrate)],
    ['down', () => migrateDown(own.database.migrate, 1)],
  ];
  test.each(wants)('because it is newer than this build, is refused by %s', async (_, run) => {
    await newer();
    await expect(run()).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'schema.newer',
      message: expect.stringContaining('migration 999'),
    });
  });

  /** `online` of the newer ones, in the order of their numbers. */
  const newerWith = async (...online: (0 | 1 | null)[]): Promise<void> => {
    await migrateUp(own.database.migrate);
    for (const [index, one] of online.entries())
      await own.db.run('INSERT INTO schema_migrations (version, name, checksum, applied_at, online) VALUES (?, ?, ?, UTC_TIMESTAMP(), ?)', [
        ...[900 + index, `tomorrow ${index}`, '', one],
      ]);
  };

  test('because it is newer, is served through when each newer migration was applied as one that lets the version before serve', async () => {
    await newerWith(1, 1);
    expect(await assertSchemaCurrent(own.db)).toEqual(['tomorrow 0', 'tomorrow 1']);
    // It is not this build's to change.
    await expect(migrateUp(own.database.migrate)).rejects.toMatchObject({ code: 'schema.newer' });
  });

  test.each([0, null] as const)(
    'because one of the newer migrations was applied with "online" %s, is refused, and named',
    async (online) => {
      await newerWith(1, online, 1);
      await expect(assertSchemaCurrent(own.db)).rejects.toMatchObject({
        code: 'schema.newer',
        message: expect.stringMatching(/is at migration 902, .*must not serve through 901 \(tomorrow 1\)/),
      });
    },
  );

  test('because a version before wrote no "online" fits, and "up" adds the column', async () => {
    await migrateUp(own.database.migrate);
    const migrating = openDatabase(own.database.migrate);
    await migrating.run('ALTER TABLE schema_migrations DROP COLUMN online');
    await migrating.run('DELETE FROM schema_migrations WHERE version = ?', [known.at(-1)!.version]);
    await migrating.run(known.at(-1)!.down);
    await expect(assertSchemaCurrent(own.db)).rejects.toMatchObject({ code: 'schema.older' });
    expect(await migrateUp(own.database.migrate)).toEqual(names.slice(-1));
    await migrating.close();
    const rows = await own.db.rows<{ version: number; online: number | null }>(
      'SELECT version, online FROM schema_migrations ORDER BY version',
    );
    expect(rows.map(({ online }) => online)).toEqual([...Array(known.length - 1).fill(null), known.at(-1)!.offline === null ? 1 : 0]);
    expect(await assertSchemaCurrent(own.db)).toEqual([]);
  });

  test.each(wants)('because a migration has changed since it was applied, is refused by %s', async (_, run) => {
    await migrateUp(own.database.migrate);
    await own.db.run("UPDATE schema_migrations SET checksum = 'another' WHERE version = 2");
    await expect(run()).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'schema.changed',
      message: expect.stringContaining('migration 2'),
    });
  });
});
