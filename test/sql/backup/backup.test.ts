/** A backup with work under way, and what a restore makes of it. */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { reap } from '../../../services/ledger/maintain/rescue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { writeBackup } from '../../../sql/backup/backup.ts';
import { restoreBackup } from '../../../sql/backup/restore.ts';
import { ledgerFixture, request } from '../../ledger/fixture.ts';
import { testDatabase } from '../../support/database.ts';

const fixture = ledgerFixture();
let folder: string;
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function newFolder(): string {
  folder = mkdtempSync(join(tmpdir(), 'backup-'));
  return folder;
}
async function emptyDatabase() {
  const target = await testDatabase({ migrated: false });
  onTestFinished(() => target.drop());
  return target;
}
const rowsOf = async (sql: { rows<T>(text: string): Promise<T[]> }, text: string) => sql.rows<Record<string, unknown>>(text);

test('every value comes back as it was: text of all kinds, binary, numbers, times, nothing', async () => {
  const odd = 'a\u2028b\u2029c\n"\\\'\t😀%_';
  await fixture.db.run(
    "INSERT INTO settings (name, value, changed_at, changed_by) VALUES ('auto_fetch', 'true', '2026-06-02 14:00:00.123', ?)",
    [odd.slice(0, 9)],
  );
  await fixture.add({ payload: { symbol: 'AAPL', odd }, score: 1 / 3, user: 'Zoë' }, { symbol: 'IBM' });
  await writeBackup(fixture.database.options, newFolder(), {});
  const target = await emptyDatabase();
  await restoreBackup(target.migrate, folder);
  const db = openDatabase(target.options);
  onTestFinished(() => db.close());
  for (const table of ['jobs', 'ready', 'live_keys', 'settings', 'queues'])
    expect(await rowsOf(db, `SELECT * FROM ${table} ORDER BY 1`), table).toEqual(
      await rowsOf(fixture.db, `SELECT * FROM ${table} ORDER BY 1`),
    );
});

test('with work under way the backup has the rows of one moment, and jobs that ran go back', async () => {
  const ledger = fixture.ledger();
  let working = true;
  // Each round is one transaction: 20 jobs more, and one more of each count that must agree.
  await fixture.db.run('DELETE FROM dedupe_windows');
  const done = (async () => {
    for (let round = 0; working; round++) {
      await enqueue(
        ledger,
        Array.from({ length: 20 }, (_, index) => request({ symbol: `S${round}X${index}` })),
      );
      const { jobs } = await claim(ledger, 'worker-1', 15);
      await complete(
        ledger,
        'worker-1',
        jobs.slice(0, 10).map((job) => ({ job, result: { done: true } })),
      );
    }
  })();
  await expect.poll(() => fixture.count('running'), { timeout: 20_000 }).toBeGreaterThan(20);
  const before = await fixture.count('jobs');
  const { manifest } = await writeBackup(fixture.database.options, newFolder(), {});
  const after = await fixture.count('jobs');
  working = false;
  await done;

  const target = await emptyDatabase();
  await restoreBackup(target.migrate, folder);
  const db = openDatabase(target.options);
  onTestFinished(() => db.close());
  const counts = Object.fromEntries(manifest.tables.map(({ name, rows }) => [name, rows]));
  expect(counts.jobs).toBeGreaterThanOrEqual(before);
  expect(counts.jobs).toBeLessThanOrEqual(after);
  // Twenty a commit, ten done at a time: nothing of a commit is missing, and each job stands in one table.
  expect(counts.jobs! % 20).toBe(0);
  expect(counts.ended! % 10).toBe(0);
  expect(counts.ready! + counts.running! + counts.ended!).toBe(counts.jobs);
  expect(counts.running).toBeGreaterThan(0);
  expect(await db.rows('SELECT id FROM job_states WHERE state IS NULL')).toEqual([]);
  fixture.clock.advance({ minutes: 5 });
  const restored = { ...fixture.ledger(), db };
  while ((await reap(restored)).length > 0);
  expect(await db.rows('SELECT job_id FROM running')).toEqual([]);
  const [back] = await db.rows<{ ready: number }>('SELECT COUNT(*) AS ready FROM ready');
  expect(Number(back?.ready)).toBe(counts.ready! + counts.running!);
  expect(await db.rows('SELECT instance FROM instances')).toEqual([]);
});

test('a second restore over data is refused, and changes nothing', async () => {
  await fixture.add({});
  await writeBackup(fixture.database.options, newFolder(), {});
  const target = await emptyDatabase();
  await restoreBackup(target.migrate, folder);
  await expect(restoreBackup(target.migrate, folder)).rejects.toMatchObject({
    code: 'restore.not_empty',
    message: expect.stringContaining('has rows already'),
  });
});

test('a restore goes into a new database whose tables are there already', async () => {
  await fixture.add({});
  await writeBackup(fixture.database.options, newFolder(), {});
  const target = await testDatabase();
  onTestFinished(() => target.drop());
  await restoreBackup(target.migrate, folder);
  const db = openDatabase(target.options);
  onTestFinished(() => db.close());
  expect(await db.rows('SELECT 1 FROM ready')).toHaveLength(1);
});

test('a file that was damaged is found, and named', async () => {
  await fixture.add({});
  await writeBackup(fixture.database.options, newFolder(), {});
  const path = join(folder, 'manifest.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/("name": "jobs",[\s\S]*?"sha256": ")../, '$1zz'));
  await expect(restoreBackup((await emptyDatabase()).migrate, folder)).rejects.toMatchObject({
    code: 'restore.differs',
    message: expect.stringMatching(/^jobs has 1 rows/),
  });
});

describe('a backup of which a part is damaged is refused by name, before anything is written', () => {
  test.each<[string, (folder: string) => void, { code: string; message: RegExp }]>([
    [
      'a missing file of a table',
      (from) => rmSync(join(from, 'tables/jobs.jsonl.gz')),
      { code: 'restore.differs', message: /jobs\.jsonl\.gz is damaged \(ENOENT/ },
    ],
    [
      'a file that was cut',
      (from) => truncateSync(join(from, 'tables/jobs.jsonl.gz'), 60),
      { code: 'restore.differs', message: /jobs\.jsonl\.gz is damaged \(unexpected end of file\)/ },
    ],
    [
      'a manifest that was cut',
      (from) => truncateSync(join(from, 'manifest.json'), 600),
      { code: 'restore.no_backup', message: /is no backup: its manifest\.json: .*JSON/ },
    ],
  ])('%s', async (_, damage, { code, message }) => {
    await fixture.add({});
    await writeBackup(fixture.database.options, newFolder(), {});
    damage(folder);
    const target = await emptyDatabase();
    await expect(restoreBackup(target.migrate, folder)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    const db = openDatabase(target.migrate);
    onTestFinished(() => db.close());
    expect(await db.rows('SHOW TABLES')).toEqual([]);
  });
});

test.each(['up', 'down'] as const)(
  'over a migration that was cut on its way %s no backup is made, since none could be restored',
  async (way) => {
    await fixture.db.run("INSERT INTO schema_steps (version, way, done, checksum) VALUES (37, ?, 0, 'abc')", [way]);
    onTestFinished(async () => void (await fixture.db.run('DELETE FROM schema_steps')));
    await expect(writeBackup(fixture.database.options, newFolder(), {})).rejects.toMatchObject({
      code: 'backup.schema_cut',
      message: expect.stringContaining(`migration 37 is on its way ${way}`),
    });
  },
);

test('what an interrupted backup has left is not restored', async () => {
  await writeBackup(fixture.database.options, newFolder(), {});
  rmSync(join(folder, 'manifest.json'));
  await expect(restoreBackup((await emptyDatabase()).migrate, folder)).rejects.toMatchObject({ code: 'restore.no_backup' });
});

test('a backup is for its owner only, is recorded, and goes into no folder that has files', async () => {
  await writeBackup(fixture.database.options, newFolder(), { keys: [] });
  expect(statSync(join(folder, 'tables/api_keys.jsonl.gz')).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'manifest.json')).mode & 0o777).toBe(0o600);
  const [row] = await fixture.db.rows<{ folder: string }>('SELECT folder FROM backups ORDER BY snapshot_at DESC LIMIT 1');
  expect(row?.folder).toBe(folder);
  await expect(writeBackup(fixture.database.options, folder, {})).rejects.toMatchObject({ code: 'backup.not_empty' });
});

test('a folder that cannot be made is named at once, also where the system says that its parent is not there', async () => {
  const never = process.platform === 'linux' ? '/proc/stockmesh-backup' : join(import.meta.filename, 'backup');
  await expect(writeBackup(fixture.database.options, never, {})).rejects.toMatchObject({
    code: 'backup.folder',
    message: expect.stringContaining(never),
  });
});
