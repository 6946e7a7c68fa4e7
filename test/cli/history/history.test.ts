/** The commands of history over a database and a folder of files: what they print, and how they end. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { ManifestRow } from '../../../services/history/manifest.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { storeQuotes } from '../../history/stored-quotes.ts';
import { overDatabase } from '../over-database.ts';

const { db, here, run, json } = await overDatabase();
const dataFolder = here[3]!;
const { config } = loadConfig({ environment: 'development', env: {}, files: [here[1]!] });
const DATASET = ['--schema', 'quote', '--interval', '15m'];
const WEEK = ['--from', '2024-01-02', '--to', '2024-01-08'];
let row: ManifestRow;
beforeAll(async () => {
  [row] = (await storeQuotes({ config, dataFolder, db }, ['2024-01-02', '2024-01-04'])) as [ManifestRow];
});

test('coverage is a line a month with a mark a day', async () => {
  const { code, stdout } = await run('history', 'coverage', 'aapl', ...DATASET, ...WEEK);
  expect(code).toBe(0);
  // Tuesday stored, Wednesday missing, Thursday stored, Friday missing, a weekend, Monday missing.
  expect(stdout.split('\n')).toEqual([
    'AAPL option quote 15m from 2024-01-02 to 2024-01-08',
    '2024-01   █.█.  .',
    '█ 2 complete   . 3 missing',
    '',
  ]);
});

test('gaps lists the days that are missing, and says how to fill them', async () => {
  const { stdout } = await run('history', 'gaps', 'AAPL', ...DATASET, ...WEEK);
  expect(stdout).toMatch(/2024-01-03 +missing\n2024-01-05 +missing\n2024-01-08 +missing\n3 days; --fill downloads them/);
  const found = await json('history', 'gaps', 'AAPL', ...DATASET, '--from', '2024-01-02', '--to', '2024-01-02');
  expect(found).toEqual({ ok: true, days: [] });
});

test('gaps that are filled are a job for each range that a stored day parts', async () => {
  const { ok, days, jobs } = await json('history', 'gaps', 'AAPL', ...DATASET, ...WEEK, '--fill');
  expect([ok, days, jobs.map((job: { total_items: number; outcome: string }) => [job.total_items, job.outcome])]).toEqual([
    true,
    3,
    [
      [1, 'queued'],
      [2, 'queued'],
    ],
  ]);
});

test('what is asked for is named as over HTTP: a dataset of days without its interval', async () => {
  const { message } = await json('history', 'stock', 'AAPL', '--schema', 'earnings', '--from', '2024-01-02', '--to', '2024-01-31');
  expect(message).toBe('the download of AAPL stock earnings from 2024-01-02 to 2024-01-31 is queued');
});

test('a download is asked for, and asked for again it is the same job', async () => {
  const first = await json('history', 'option', 'AAPL', ...DATASET, ...WEEK);
  expect(first).toMatchObject({ ok: true, status: 'accepted', total_items: 5, outcome: 'queued' });
  expect(await json('history', 'option', 'AAPL', ...DATASET, ...WEEK)).toMatchObject({ job_id: first.job_id, outcome: 'joined' });
  expect(await json('job', first.job_id)).toMatchObject({ type: 'history', items: { pending: 5 } });
});

test('a dry run shows the objects and asks for nothing', async () => {
  const before = await db.rows('SELECT id FROM job_states');
  const { code, stdout } = await run('history', 'option', 'MSFT', ...DATASET, ...WEEK, '--dry-run');
  expect(code).toBe(0);
  expect(stdout).toContain('historical-options/quote/15m/root=MSFT/date=2024-01-02/data.parquet');
  expect(stdout).toMatch(/5 objects: 5 missing\n5 to download, .*nothing was asked for/);
  expect(await db.rows('SELECT id FROM job_states')).toEqual(before);
});

test('a dry run says what is skipped, and that a range without a trading day is none', async () => {
  const { stdout } = await run('history', 'option', 'AAPL', ...DATASET, ...WEEK, '--dry-run');
  expect(stdout).toMatch(/2 complete, 3 missing\n3 to download, 2 skipped, .*nothing was asked for/);
  const { code, stderr } = await run('history', 'option', 'AAPL', ...DATASET, '--from', '2024-01-06', '--to', '2024-01-07', '--dry-run');
  expect([code, stderr]).toEqual([2, expect.stringContaining('no trading day')]);
});

test.each([
  [['--from', '2024-01-08', '--to', '2024-01-02'], /--to: it is before --from/],
  [['--from', '2024-02-30'], /--from.*not a day/],
  [['--from', '2001-01-02', '--to', '2024-01-02'], /--from: it is more than 10 years/],
  [[...WEEK, '--interval', '10s'], /--interval: no interval that the sources have/],
  [[...WEEK, '--interval', '60'], /--interval: shorter than a minute/],
  [[...WEEK, '--max-dte', '400'], /--max-dte.*1 to 365/],
])('%j is wrong use, and the option is named', async (options, text) => {
  const { code, stderr } = await run('history', 'option', 'AAPL', '--schema', 'quote', ...options);
  expect(code).toBe(2);
  expect(stderr).toMatch(text);
});

test('one object is shown with its rows, and an unknown one is a failure', async () => {
  const { code, stdout } = await run('history', 'show', row.object.key, '--limit', '1');
  expect(code).toBe(0);
  expect(stdout).toContain(`sha256 ${row.sha256}`);
  expect(stdout).toMatch(/EXPIRATION +STRIKE +RIGHT/);
  expect(await run('history', 'show', 'none')).toMatchObject({ code: 1, stdout: '' });
});

test('the chain at a moment has a row a contract', async () => {
  const chain = await json('history', 'chain', 'AAPL', '--at', '2024-01-02T15:00:00Z');
  expect(chain).toMatchObject({ day: '2024-01-02', contracts: 8, next: null });
  expect(chain.rows).toHaveLength(8);
});

test('an export is refused for a range with gaps, and leaves no file', async () => {
  const out = join(dataFolder, 'a.csv');
  const asked = ['history', 'export', 'AAPL', ...DATASET, ...WEEK, '--out', out];
  const refused = await run(...asked);
  expect([refused.code, existsSync(out)]).toEqual([1, false]);
  expect(refused.stderr).toContain('3 days are not stored whole, the first is 2024-01-03');
  expect(await run(...asked, '--allow-gaps')).toMatchObject({ code: 0 });
  // A header and 32 quotes a day.
  expect(readFileSync(out, 'utf8').trimEnd().split('\n')).toHaveLength(65);
  expect((await run(...asked, '--allow-gaps')).stderr).toContain('exists already');
});

test('prune deletes nothing that is young, verify says that all is as the manifest says, and finds a file that is gone', async () => {
  expect(await json('history', 'prune')).toEqual({ ok: true, dry_run: false, deleted: [], leftovers: 0, lost: [] });
  expect(await json('history', 'verify', 'AAPL')).toMatchObject({ ok: true, objects: 2, faults: [] });
  rmSync(join(dataFolder, 'history', row.object.key));
  const { code, stdout } = await run('history', 'verify');
  expect(code).toBe(1);
  expect(stdout).toMatch(/missing/);
  expect(await json('history', 'prune')).toMatchObject({ ok: false, lost: [row.object.key] });
});

test('a gateway needs an address and a key', async () => {
  expect(await run('history', 'objects', '--gateway', 'nowhere')).toMatchObject({ code: 2, stdout: '' });
  const { code, stderr } = await run('history', 'objects', '--gateway', 'http://127.0.0.1:9');
  expect([code, stderr]).toEqual([2, expect.stringContaining('STOCKMESH_KEY')]);
});
