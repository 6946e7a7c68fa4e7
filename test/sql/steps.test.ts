/** Migrations that are cut: at each of their statements, on their way up and on their way back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { assertSchemaCurrent, type Migration, migrateDown, migrateUp, migrations } from '../../sql/migrate.ts';
import { checksumOf, makeStepsTable, stepsOf, type Way } from '../../sql/steps.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

const known = await migrations();
const newest = known.at(-1)!;
/** Of the tables that the others change; those before have one statement a change, as these have. */
const recent = known.filter(({ version }) => version >= 30);

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase({ migrated: false });
  db = openDatabase(database.migrate);
});
afterEach(async () => {
  await db.close();
  await database.drop();
});

const countedIn = () => db.rows('SELECT version, way, done FROM schema_steps');

const shapeOf = (): Promise<object[]> =>
  db.rows<object>(
    `SELECT table_name AS a, column_name AS b, column_type AS c, is_nullable AS d, ordinal_position AS e FROM information_schema.columns WHERE table_schema = ?
     UNION ALL SELECT table_name, index_name, column_name, non_unique, seq_in_index FROM information_schema.statistics WHERE table_schema = ? ORDER BY a, b, c, e`,
    [database.name, database.name],
  );

/** As a kill leaves it: so many statements are done, and so many of them are counted. */
async function leaveCut(migration: Migration, way: Way, done: number, counted: number): Promise<void> {
  await makeStepsTable(db);
  const steps = stepsOf(migration[way]);
  await db.transaction(async (tx) => {
    for (const step of steps.slice(0, done)) await tx.run(step);
  });
  if (way === 'down') await db.run('DELETE FROM schema_migrations WHERE version = ?', [migration.version]);
  await db.run('INSERT INTO schema_steps (version, way, done, checksum) VALUES (?, ?, ?, ?)', [
    ...[migration.version, way, counted, checksumOf(migration[way])],
  ]);
}

const isChangeOfShape = (step: string): boolean => /^(CREATE|ALTER|DROP|RENAME|SET @)/i.test(step);

/** Each number of statements that may be done, with what is counted of them: a change of shape is committed before it is counted, a change of rows with its count. */
function cutsOf(text: string): { done: number; counted: number }[] {
  const steps = stepsOf(text);
  const cuts = steps.map((step, index) => ({ done: index + 1, counted: isChangeOfShape(step) ? index : index + 1 }));
  return [...cuts, { done: steps.length, counted: steps.length }];
}

describe.each(recent.map((migration) => ({ migration, name: migration.name })))('$name, cut at any statement', ({ migration }) => {
  const { version } = migration;

  test('on its way up, is finished by the next "up"', async () => {
    await migrateUp(database.migrate, { last: version });
    const whole = await shapeOf();
    await migrateDown(database.migrate, 1);
    for (const { done, counted } of cutsOf(migration.up)) {
      await leaveCut(migration, 'up', done, counted);
      expect([done, counted, await migrateUp(database.migrate, { last: version })]).toEqual([done, counted, [migration.name]]);
      expect([done, counted, await shapeOf()]).toEqual([done, counted, whole]);
      expect(await countedIn()).toEqual([]);
      await migrateDown(database.migrate, 1);
    }
  });

  test('on its way back, is finished by the next "down", which takes back no other', async () => {
    await migrateUp(database.migrate, { last: version });
    await migrateDown(database.migrate, 1);
    const before = await shapeOf();
    for (const { done, counted } of cutsOf(migration.down)) {
      await migrateUp(database.migrate, { last: version });
      await leaveCut(migration, 'down', done, counted);
      expect([done, counted, await migrateDown(database.migrate, 1)]).toEqual([done, counted, [migration.name]]);
      expect([done, counted, await shapeOf()]).toEqual([done, counted, before]);
      expect(await countedIn()).toEqual([]);
    }
  });
});

test('every change of a shape says so when it is made already, in every migration, both ways', async () => {
  const twice: string[] = [];
  const run = async (step: string): Promise<void> => {
    await db.transaction(async (tx) => void (await tx.run(step)));
    if (!isChangeOfShape(step)) return;
    const error = await db.transaction(async (tx) => void (await tx.run(step))).catch((reason: { errno: number }) => reason);
    if (error !== undefined && ![1050, 1051, 1060, 1061, 1091].includes(error.errno)) twice.push(`${step.slice(0, 80)}: ${error.errno}`);
  };
  for (const { up } of known) for (const step of stepsOf(up)) await run(step);
  for (const { down } of known.toReversed()) for (const step of stepsOf(down)) await run(step);
  expect(twice).toEqual([]);
});

test('a process whose connection is killed in the middle leaves a migration that the next one finishes', async () => {
  await migrateUp(database.migrate, { last: newest.version - 1 });
  const root = openDatabase(database.root);
  const holding = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  // A transaction that has read a table keeps its shape: the migration waits, with its begin committed.
  const reader = root.transaction(async (tx) => {
    await tx.rows(`SELECT 1 FROM ${database.name}.login_answers`);
    held.resolve();
    await holding.promise;
  });
  await held.promise;
  const cut = migrateUp(database.migrate).then(
    () => 'applied',
    (error: { code?: string }) => error.code,
  );
  await expect.poll(countedIn).toEqual([{ version: newest.version, way: 'up', done: 0 }]);
  const waiting = () =>
    root.rows<{ id: number }>(
      "SELECT id FROM information_schema.processlist WHERE db = ? AND state LIKE 'Waiting for table metadata lock%'",
      [database.name],
    );
  await expect.poll(async () => (await waiting()).length).toBe(1);
  await root.run(`KILL CONNECTION ${(await waiting())[0]!.id}`);
  expect(await cut).toBe('database.unavailable');
  holding.resolve();
  await reader;
  await root.close();
  await expect(assertSchemaCurrent(db)).rejects.toMatchObject({ code: 'schema.older' });
  expect(await migrateUp(database.migrate)).toEqual([newest.name]);
  await assertSchemaCurrent(db);
});

describe('over a migration that was cut', () => {
  test('on its way back, no service starts', async () => {
    await migrateUp(database.migrate);
    await leaveCut(newest, 'down', 0, 0);
    await expect(assertSchemaCurrent(db)).rejects.toMatchObject({ code: 'schema.older' });
  });

  test('on its way back, "up" takes it back whole, and applies it again', async () => {
    await migrateUp(database.migrate);
    const whole = await shapeOf();
    await leaveCut(newest, 'down', 1, 0);
    expect(await migrateUp(database.migrate)).toEqual([newest.name]);
    expect(await shapeOf()).toEqual(whole);
  });

  test('on its way up, "down" is refused with the way out', async () => {
    await migrateUp(database.migrate, { last: newest.version - 1 });
    await leaveCut(newest, 'up', 0, 0);
    await expect(migrateDown(database.migrate, 1)).rejects.toMatchObject({
      code: 'schema.cut',
      message: `migration ${newest.version} (${newest.name}) was cut on its way up; run "npx stockmesh migrate up" first`,
    });
  });

  test('by a build with another text of it, nothing is gone on with', async () => {
    await migrateUp(database.migrate, { last: newest.version - 1 });
    await leaveCut(newest, 'up', 0, 0);
    await db.run("UPDATE schema_steps SET checksum = 'another'");
    await expect(migrateUp(database.migrate)).rejects.toMatchObject({
      code: 'schema.cut',
      message: expect.stringContaining('another text'),
    });
  });

  test.each(['up', 'down'] as const)('that this build does not know, "%s" is refused', async (way) => {
    await migrateUp(database.migrate);
    await db.run("INSERT INTO schema_steps (version, way, done, checksum) VALUES (999, 'up', 0, '')");
    await expect(way === 'up' ? migrateUp(database.migrate) : migrateDown(database.migrate, 1)).rejects.toMatchObject({
      code: 'schema.newer',
      message: expect.stringContaining('migration 999'),
    });
  });
});

test('a statement that fails for another reason is not taken for done', async () => {
  await migrateUp(database.migrate, { last: newest.version - 1 });
  await leaveCut(newest, 'up', 0, 0);
  await db.run('RENAME TABLE login_answers TO gone');
  await expect(migrateUp(database.migrate)).rejects.toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
  await db.run('RENAME TABLE gone TO login_answers');
  expect(await migrateUp(database.migrate)).toEqual([newest.name]);
});

describe('the statements of a text', () => {
  test.each([
    ['end with a semicolon, the last also without', 'A;\nB; C', ['A', 'B', 'C']],
    [
      'are not cut in texts, names and comments',
      `A 'x;''y' "a;b" \`c;d\`; -- e; f\nB 'it\\';s'`,
      [`A 'x;''y' "a;b" \`c;d\``, `B 'it\\';s'`],
    ],
    ['keep a quote of a comment out of it', "-- it's one\nA;\n-- it's two\nB;", ['A', 'B']],
    [
      'that are prepared go with their variable',
      'SET @a = 1;\nPREPARE p FROM @a;\nEXECUTE p;\nB;',
      ['SET @a = 1;\nPREPARE p FROM @a;\nEXECUTE p', 'B'],
    ],
  ])('%s', (_, text, steps) => expect(stepsOf(text)).toEqual(steps));
});
