/** What becomes of a download when its store fails under the running worker: with a real folder, and a disk of one megabyte where this system lets one be mounted. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FolderStore } from '../../../services/history/objects/folder.ts';
import type { ObjectStore } from '../../../services/history/objects/store.ts';
import { currentRow } from '../../../services/history/stored/current.ts';
import { pruneObjects } from '../../../services/history/stored/prune.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { temporaryFolder } from '../../history/sources/theta/support/bench.ts';
import { setJobs } from '../../support/job-rows.ts';
import { type HistoryDoubles, historyDoubles, scriptedSource } from './doubles.ts';
import { downloadsOfFile } from './downloads.ts';

const on = await downloadsOfFile({ 'history.concurrency': 1, 'history.items_per_job': 10 });
const never = new AbortController().signal;

/** Downloads into a folder of the test; `during` is called with each request to the source. */
async function into(folder: string, during: (day: string) => void | Promise<void>): Promise<HistoryDoubles> {
  const store = new FolderStore({ folder, isPrivate: true });
  const doubles = await historyDoubles(
    scriptedSource(async ({ period }, days) => {
      await during(period.name);
      return days;
    }),
  );
  return { ...doubles, store, history: async () => ({ ...(await doubles.history()), store }) };
}

/** Each row of the manifest has the file that it describes. */
async function expectWhole(store: ObjectStore, periods: readonly string[]): Promise<void> {
  const rows = await on.manifest();
  expect(rows.map(({ object }) => object.period.name)).toEqual(periods);
  for (const row of rows) expect(await currentRow({ sql: on.db, store }, row, never)).toBe(row);
}

async function retryNow(id: string): Promise<void> {
  await setJobs(on.db, { state: 'ready' }, 'id = ?', [idToBytes(id)]);
}

test('a disk that becomes full leaves the rest to another attempt, with the reason, and that attempt stores it', async ({ skip }) => {
  const folder = await temporaryFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
  if (mounted.status !== 0) skip('this system lets no small disk be mounted');
  onTestFinished(() => void spawnSync('umount', ['-l', folder]));
  const filler = join(folder, 'filler');
  let isFull = true;
  const doubles = await into(folder, (day) => {
    if (day === '2024-01-03' && isFull) fill(filler);
  });
  const [id] = await on.request();
  on.downloader(doubles);
  await on.reaches(id!, 'scheduled');
  // As `jobs show` and GET /v1/jobs/{id} have it.
  expect((await readJob(on.db, id!))?.reason).toMatch(/2 of 4 objects are left: .*ENOSPC.*the disk is full; free space there/);
  await expectWhole(doubles.store, ['2024-01-04', '2024-01-05']);
  isFull = false;
  rmSync(filler);
  await retryNow(id!);
  await on.reaches(id!, 'completed');
  await expectWhole(doubles.store, ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05']);
  expect(filesOf(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test('a disk that becomes read-only fails the job at once with the way out, and what was stored stays', async ({ skip }) => {
  const folder = await temporaryFolder();
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status !== 0) skip('this system lets no disk be mounted');
  onTestFinished(() => void spawnSync('umount', ['-l', folder]));
  const doubles = await into(folder, (day) => {
    if (day === '2024-01-04') expect(spawnSync('mount', ['-o', 'remount,ro', folder]).status).toBe(0);
  });
  const [id] = await on.request();
  on.downloader(doubles);
  const { reason } = await on.reaches(id!, 'failed');
  expect(reason).toMatch(/EROFS.*mounted for reading only: mount it for writing, or name another folder with history\.store\.folder/);
  // The days before it are not asked for: they could not be stored either.
  expect(doubles.source.asked).toEqual(['2024-01-05', '2024-01-04']);
  await expectWhole(doubles.store, ['2024-01-05']);
});

test('a file in place of the folder fails the job at once with the way out', async () => {
  const folder = join(await temporaryFolder(), 'store');
  const doubles = await into(folder, () => writeFileSync(folder, ''));
  const [id] = await on.request();
  on.downloader(doubles);
  expect((await on.reaches(id!, 'failed')).reason).toContain('a file stands where a folder is needed');
  expect(doubles.source.asked).toEqual(['2024-01-05']);
  expect(await on.manifest()).toEqual([]);
});

test('a folder that is deleted is made again, and what was lost with it is refused by every read and comes back with the next download', async () => {
  const folder = join(await temporaryFolder(), 'store');
  let isThere = true;
  const doubles = await into(folder, (day) => {
    if (day === '2024-01-03' && isThere) rmSync(folder, { recursive: true });
    if (day === '2024-01-03') isThere = false;
  });
  const [id] = await on.request();
  on.downloader(doubles);
  await on.reaches(id!, 'completed');
  const rows = await on.manifest();
  for (const row of rows.slice(2))
    await expect(currentRow({ sql: on.db, store: doubles.store }, row, never)).rejects.toMatchObject({
      code: 'objects.damaged',
      message: expect.stringContaining(`history option AAPL --from ${row.object.period.from} --to ${row.object.period.to}`),
    });
  doubles.source.asked.length = 0;
  const [again] = await on.request();
  await on.reaches(again!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-05', '2024-01-04']);
  await expectWhole(doubles.store, ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05']);
});

test('a file that is not that of its row is no reason to skip the day', async () => {
  const folder = join(await temporaryFolder(), 'store');
  const doubles = await into(folder, () => {});
  const [id] = await on.request();
  on.downloader(doubles);
  await on.reaches(id!, 'completed');
  const [cut, replaced, copied] = (await on.manifest()).map(({ object }) => join(folder, object.key));
  truncateSync(cut!, 4);
  writeFileSync(replaced!, readFileSync(replaced!).fill('x'));
  // Without its times: the same file with another etag.
  utimesSync(copied!, 1, 1);
  doubles.source.asked.length = 0;
  const [again] = await on.request();
  await on.reaches(again!, 'completed');
  expect(doubles.source.asked).toEqual(['2024-01-03', '2024-01-02']);
  await expectWhole(doubles.store, ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05']);
});

test('a prune during every put takes nothing', async () => {
  const folder = join(await temporaryFolder(), 'store');
  const doubles = await into(folder, () => {});
  const { store } = doubles;
  const put = store.put.bind(store);
  // As late as can be: the file of the day is there, and its row is not.
  store.put = async (...given) => {
    const stored = await put(...given);
    const pruned = await pruneObjects({ db: on.db, store }, { now: Temporal.Now.instant().add({ hours: 2 }) }, never);
    expect(pruned).toMatchObject({ objects: [], lost: [] });
    return stored;
  };
  const [id] = await on.request();
  on.downloader(doubles);
  await on.reaches(id!, 'completed');
  await expectWhole(store, ['2024-01-02', '2024-01-03', '2024-01-04', '2024-01-05']);
});

/** Takes all that is left of a disk. */
function fill(path: string): void {
  for (let size = 1 << 20; size >= 1; size >>= 1)
    for (;;)
      try {
        writeFileSync(path, Buffer.alloc(size), { flag: 'a' });
      } catch {
        break;
      }
}

const filesOf = (folder: string): string[] => readdirSync(folder, { recursive: true }) as string[];
