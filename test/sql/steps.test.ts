/** Migrations that are cut: at each of their statements, on their way up and on their way back. */
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../services/platform/database/database.ts';
import { assertSchemaCurrent, type Migration, migrateDown, migrateUp, migrations } from '../../sql/migrate.ts';
import { checksumOf, DONE_ALREADY, makeStepsTable, stepsOf, type Way } from '../../sql/steps.ts';
import { shapeOf, unmigratedOfEach } from './unmigrated.ts';

const known = await migrations();
const newest = known.at(-1)!;
/** The table whose shape it changes. */
const changed = /ALTER TABLE (\w+)/.exec(newest.up)![1]!;
/** Of the tables that the others change; those before have one statement a change, as these have. */
const recent = known.filter(({ version }) => version >= 30);

const own = unmigratedOfEach();

const countedIn = () => own.db.rows('SELECT version, way, done FROM schema_steps');

const shape = (): Promise<unknown> => shapeOf(own.db, own.database.name);

/** As a kill leaves it: so many statements are done, and so many of them are counted. */
async function leaveCut(migration: Migration, way: Way, done: number, counted: number): Promise<void> {
  await makeStepsTable(own.db);
  const steps = stepsOf(migration[way]);
  await own.db.transaction(async (tx) => {
    for (const step of steps.slice(0, done)) await tx.run(step);
  });
  if (way === 'down') await own.db.run('DELETE FROM schema_migrations WHERE version = ?', [migration.version]);
  await own.db.run('INSERT INTO schema_steps (version, way, done, checksum) VALUES (?, ?, ?, ?)', [
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
    await migrateUp(own.database.migrate, { last: version });
    const whole = await shape();
    await migrateDown(own.database.migrate, 1);
    for (const { done, counted } of cutsOf(migration.up)) {
      await leaveCut(migration, 'up', done, counted);
      expect([done, counted, await migrateUp(own.database.migrate, { last: version })]).toEqual([done, counted, [migration.name]]);
      expect([done, counted, await shape()]).toEqual([done, counted, whole]);
      expect(await countedIn()).toEqual([]);
      await migrateDown(own.database.migrate, 1);
    }
  });

  test('on its way back, is finished by the next "down", which takes back no other', async () => {
    await migrateUp(own.database.migrate, { last: version });
    await migrateDown(own.database.migrate, 1);
    const before = await shape();
    for (const { done, counted } of cutsOf(migration.down)) {
      await migrateUp(own.database.migrate, { last: version });
      await leaveCut(migration, 'down', done, counted);
      expect([done, counted, await migrateDown(own.database.migrate, 1)]).toEqual([done, counted, [migration.name]]);
      expect([done, counted, await shape()]).toEqual([done, counted, before]);
      expect(await countedIn()).toEqual([]);
    }
  });
});

test('every change of a shape says so when it is made already, in every migration, both ways', async () => {
  const twice: string[] = [];
  const run = async (step: string): Promise<void> => {
    await own.db.transaction(async (tx) => void (await tx.run(step)));
    if (!isChangeOfShape(step)) return;
    const error = await own.db.transaction(async (tx) => void (await tx.run(step))).catch((reason: { errno: number }) => reason);
    if (error !== undefined && !DONE_ALREADY.has(error.errno)) twice.push(`${step.slice(0, 80)}: ${error.errno}`);
  };
  for (const { up } of known) for (const step of stepsOf(up)) await run(step);
  for (const { down } of known.toReversed()) for (const step of stepsOf(down)) await run(step);
  expect(twice).toEqual([]);
});

test('a process whose connection is killed in the middle leaves a migration that the next one finishes', async () => {
  await migrateUp(own.database.migrate, { last: newest.version - 1 });
  const root = openDatabase(own.database.root);
  const holding = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  // A transaction that has read a table keeps its shape: the migration waits, with its begin committed.
  const reader = root.transaction(async (tx) => {
    await tx.rows(`SELECT 1 FROM ${own.database.name}.${changed}`);
    held.resolve();
    await holding.promise;
  });
  await held.promise;
  const cut = migrateUp(own.database.migrate).then(
    () => 'applied',
    (error: { code?: string }) => error.code,
  );
  await expect.poll(countedIn).toEqual([{ version: newest.version, way: 'up', done: 0 }]);
  const waiting = () =>
    root.rows<{ id: number }>(
      "SELECT id FROM information_schema.processlist WHERE db = ? AND state LIKE 'Waiting for table metadata lock%'",
      [own.database.name],
    );
  await expect.poll(async () => (await waiting()).length).toBe(1);
  await root.run(`KILL CONNECTION ${(await waiting())[0]!.id}`);
  expect(await cut).toBe('database.unavailable');
  holding.resolve();
  await reader;
  await root.close();
  await expect(assertSchemaCurrent(own.db)).rejects.toMatchObject({ code: 'schema.older' });
  expect(await migrateUp(own.database.migrate)).toEqual([newest.name]);
  await assertSchemaCurrent(own.db);
});

describe('over a migration that was cut', () => {
  test('on its way back, no service starts', async () => {
    await migrateUp(own.database.migrate);
    await leaveCut(newest, 'down', 0, 0);
    await expect(assertSchemaCurrent(own.db)).rejects.toMatchObject({ code: 'schema.older' });
  });

  test('on its way back, "up" takes it back whole, and applies it again', async () => {
    await migrateUp(own.database.migrate);
    const whole = await shape();
    await leaveCut(newest, 'down', 1, 0);
    expect(await migrateUp(own.database.migrate)).toEqual([newest.name]);
    expect(await shape()).toEqual(whole);
  });

  test('on its way up, "down" is refused with the way out', async () => {
    await migrateUp(own.database.migrate, { last: newest.version - 1 });
    await leaveCut(newest, 'up', 0, 0);
    await expect(migrateDown(own.database.migrate, 1)).rejects.toMatchObject({
      code: 'schema.cut',
      message: `migration ${newest.version} (${newest.name}) was cut on its way up; run "npx stockmesh migrate up" first`,
    });
  });

  test('by a build with another text of it, nothing is gone on with', async () => {
    await migrateUp(own.database.migrate, { last: newest.version - 1 });
    await leaveCut(newest, 'up', 0, 0);
    await own.db.run("UPDATE schema_steps SET checksum = 'another'");
    await expect(migrateUp(own.database.migrate)).rejects.toMatchObject({
      code: 'schema.cut',
      message: expect.stringContaining('go on with the build that began it'),
    });
  });

  test.each(['up', 'down'] as const)('that this build does not know, "%s" is refused', async (way) => {
    await migrateUp(own.database.migrate);
    await own.db.run("INSERT INTO schema_steps (version, way, done, checksum) VALUES (999, 'up', 0, '')");
    await expect(way === 'up' ? migrateUp(own.database.migrate) : migrateDown(own.database.migrate, 1)).rejects.toMatchObject({
      code: 'schema.newer',
      message: expect.stringContaining('migration 999'),
    });
  });
});

test('a statement that fails for another reason is not taken for done', async () => {
  await migrateUp(own.database.migrate, { last: newest.version - 1 });
  await leaveCut(newest, 'up', 0, 0);
  await own.db.run(`RENAME TABLE ${changed} TO gone`);
  await expect(migrateUp(own.database.migrate)).rejects.toMatchObject({ code: 'ER_NO_SUCH_TABLE' });
  await own.db.run(`RENAME TABLE gone TO ${changed}`);
  expect(await migrateUp(own.database.migrate)).toEqual([newest.name]);
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
