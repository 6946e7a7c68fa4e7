/** The migration from one row a job to one table a state, and back: with rows, and cut at any statement. */
import mysql from 'mysql2/promise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectionOptions, type Database, openDatabase } from '../../services/platform/database/database.ts';
import { JOB_STATES } from '../../services/platform/job-states.ts';
import { migrateDown, migrateUp, migrations } from '../../sql/migrate.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { longTest } from '../support/long.ts';

const NAME = 'one_table_a_state';
const all = await migrations();
const at = all.findIndex(({ name }) => name === NAME);
const migration = all[at]!;

let database: TestDatabase;
let db: Database;
let connection: mysql.Connection;
beforeEach(async () => {
  database = await testDatabase({ migrated: false });
  db = openDatabase(database.options);
  connection = await mysql.createConnection({ ...connectionOptions(database.migrate), multipleStatements: true });
  for (const { up } of all.slice(0, at)) await connection.query(up);
  await addJobs();
});
afterEach(async () => {
  await connection.end();
  await db.close();
  await database.drop();
});

/** One job in every state, with what jobs of that state have. */
async function addJobs(): Promise<void> {
  for (const [index, state] of JOB_STATES.entries()) {
    const id = Buffer.alloc(16, index + 1);
    const isEnded = !['scheduled', 'blocked', 'ready', 'running'].includes(state);
    const hasRun = isEnded || state === 'running';
    const time = (minutes: number): Date => new Date(Date.UTC(2026, 5, 2, 14, minutes));
    await db.run(
      'INSERT INTO jobs (id, queue, state, priority, attempt, max_attempts, due_at, type, symbol, user_id, worker_id, blocked_on, aged, has_dependents, dedupe_key, enqueued_at, started_at, ended_at, deaths, crashes) VALUES (?)',
      [
        [
          ...[
            id,
            'background_fetch',
            state,
            40_000 + index,
            index,
            9,
            time(40 + index),
            'fetch',
            'AAPL',
            'ada',
            hasRun ? 'worker-1' : null,
          ],
          ...[state === 'blocked' ? 'dependency' : null, 1, 1, `fetch:${state}`, time(0), hasRun ? time(10) : null],
          ...[isEnded ? time(40 + index) : null, 2, 1],
        ],
      ],
    );
    await db.run('INSERT INTO job_details (job_id, payload, why, triggered_by) VALUES (?)', [
      [id, `{"n":${index}}`, '{"text":"why"}', 'user_login'],
    ]);
    if (isEnded)
      await db.run('INSERT INTO job_results (job_id, code, reason, result) VALUES (?)', [
        [id, `code.${state}`, `because ${state}`, '{"rows":3}'],
      ]);
  }
}

const OLD = `SELECT j.id, j.queue, j.state, j.priority, j.attempt, j.max_attempts, j.due_at, j.type, j.symbol, j.user_id, j.worker_id, j.blocked_on, j.aged, j.has_dependents,
    j.dedupe_key, j.enqueued_at, j.started_at, j.ended_at, j.deaths, j.crashes, d.payload, d.why, d.triggered_by, r.code, r.reason, r.result
  FROM jobs j JOIN job_details d ON d.job_id = j.id LEFT JOIN job_results r ON r.job_id = j.id ORDER BY j.id`;
const NEW = `SELECT s.id, s.queue, s.state, s.priority, s.attempt, s.max_attempts, s.due_at, s.type, s.symbol, s.user_id, s.worker_id, s.blocked_on, s.aged, s.has_dependents,
    j.dedupe_key, s.enqueued_at, s.started_at, s.ended_at, s.deaths, s.crashes, j.payload, j.why, j.triggered_by, e.code, e.reason, e.result
  FROM job_states s JOIN jobs j ON j.id = s.id LEFT JOIN ended e ON e.job_id = s.id ORDER BY s.id`;
const KEYS = 'SELECT dedupe_key, job_id FROM live_keys ORDER BY job_id';

test('every job stands in the table of its state, and comes back as it was', async () => {
  const before = await db.rows<{ id: Buffer; dedupe_key: string; state: string }>(OLD);
  await connection.query(migration.up);
  expect(await db.rows(NEW)).toEqual(before);
  const live = before.filter(({ state }) => ['scheduled', 'blocked', 'ready', 'running'].includes(state));
  expect(await db.rows(KEYS)).toEqual(live.map(({ id, dedupe_key }) => ({ dedupe_key, job_id: id })));
  await connection.query(migration.down);
  expect(await db.rows(OLD)).toEqual(before);
});

const statementsOf = (text: string): string[] =>
  text
    .replaceAll(/^--.*$/gm, '')
    .split(/;\s*$/m)
    .map((one) => one.trim())
    .filter((one) => one !== '');

test('cut after any of its statements, it goes on when it is run again', async () => {
  const before = await db.rows(OLD);
  for (const [way, other, picture] of [
    ['up', 'down', NEW],
    ['down', 'up', OLD],
  ] as const) {
    if (way === 'down') await connection.query(migration.up);
    const statements = statementsOf(migration[way]);
    for (let done = 1; done <= statements.length; done++) {
      const cut = await mysql.createConnection({ ...connectionOptions(database.migrate), multipleStatements: true });
      await cut.query(statements.slice(0, done).join(';\n'));
      // As a killed process leaves it: what was not committed is lost, and so are the variables.
      await cut.end();
      await connection.query(migration[way]);
      await connection.query('COMMIT');
      expect([way, done, await db.rows(picture)]).toEqual([way, done, before]);
      await connection.query(migration[other]);
      await connection.query('COMMIT');
    }
  }
});

/** The versions before it are on record, as the command leaves them. */
async function recordEarlier(): Promise<void> {
  await connection.query(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, checksum CHAR(16) NOT NULL, applied_at DATETIME(3) NOT NULL)',
  );
  for (const { version, name, checksum } of all.slice(0, at))
    await db.run('INSERT INTO schema_migrations VALUES (?, ?, ?, UTC_TIMESTAMP(3))', [version, name, checksum]);
}

test('the command applies it to the rows that are there, and takes it back', async () => {
  const before = await db.rows(OLD);
  await recordEarlier();
  await migrateUp(database.migrate);
  expect(await db.rows(NEW)).toEqual(before);
  await migrateDown(database.migrate, all.length - at);
  expect(await db.rows(OLD)).toEqual(before);
});

/** Copies of the ready job and of the completed one, 1,000,000 of each, with ids, keys and details of their own. */
async function addMillions(): Promise<void> {
  const digits = Array.from(
    { length: 6 },
    (_, place) =>
      `(SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) d${place}`,
  );
  const number = digits.map((_, place) => `d${place}.n * ${10 ** place}`).join(' + ');
  const copied = `j.queue, j.state, j.priority, j.attempt, j.max_attempts, j.due_at, j.type, j.symbol, j.user_id, j.worker_id, j.enqueued_at, j.started_at, j.ended_at`;
  for (const [mark, state] of ['ready', 'completed'].entries()) {
    const id = `UNHEX(CONCAT('0${mark + 8}', LPAD(HEX(${number} + 1), 30, '0')))`;
    await connection.query(
      `INSERT INTO jobs (id, ${copied.replaceAll('j.', '')}, dedupe_key)
       SELECT ${id}, ${copied}, CONCAT('many:${state}:', ${number}) FROM jobs j JOIN ${digits.join(' JOIN ')} WHERE j.state = ? AND j.dedupe_key LIKE 'fetch:%'`,
      [state],
    );
  }
  await connection.query(
    'INSERT INTO job_details (job_id, payload, why, triggered_by) SELECT id, \'{"symbol":"AAPL"}\', \'{"text":"why"}\', \'user_login\' FROM jobs WHERE dedupe_key LIKE \'many:%\'',
  );
  await connection.query(
    "INSERT INTO job_results (job_id, result) SELECT id, '{\"rows\":3}' FROM jobs WHERE dedupe_key LIKE 'many:completed:%'",
  );
}

const MILLIONS_MS = 900_000;

longTest(
  '1,000,000 waiting and 1,000,000 ended jobs are moved in under two minutes, by a command that was killed once',
  { timeout: MILLIONS_MS },
  async () => {
    await recordEarlier();
    await addMillions();
    const started = performance.now();
    const cut = expect(migrateUp(database.migrate)).rejects.toThrow();
    await expect
      .poll(
        async () =>
          (await db.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'ready'")).length,
        { timeout: MILLIONS_MS },
      )
      .toBe(1);
    const root = await mysql.createConnection(connectionOptions(database.root));
    await expect
      .poll(
        async () => {
          const [rows] = await root.query(
            "SELECT id FROM information_schema.processlist WHERE db = ? AND info LIKE 'INSERT%' AND time >= 2",
            [database.options.database],
          );
          for (const { id } of rows as { id: number }[]) await root.query('KILL ?', [id]);
          return (rows as unknown[]).length;
        },
        { timeout: MILLIONS_MS },
      )
      .toBe(1);
    await cut;
    await root.end();
    await migrateUp(database.migrate);
    const seconds = (performance.now() - started) / 1000;
    const [count] = await db.rows(
      "SELECT (SELECT COUNT(*) FROM ready) AS ready, (SELECT COUNT(*) FROM ended WHERE state = 'completed') AS completed, (SELECT COUNT(*) FROM jobs) AS jobs",
    );
    expect(count).toEqual({ ready: 1_000_001, completed: 1_000_001, jobs: 2_000_000 + JOB_STATES.length });
    console.log(`1,000,000 waiting and 1,000,000 ended jobs: ${seconds.toFixed(0)} s`);
    expect(seconds).toBeLessThan(120);
  },
);
