import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { folderStore } from '../../../services/history/objects/folder.ts';
import { filesIn, folderOfTest, hashOf, sampleFile } from './support/files.ts';

const PUT = fileURLToPath(new URL('support/put.ts', import.meta.url));
const { signal } = new AbortController();
const folder = folderOfTest();
const small = sampleFile(folder, 'small', 1_000);
const key = 'historical-stock/eod/root=AAPL/year=2024/data.parquet';
const later = () => Temporal.Now.instant().add({ hours: 1 });

test('kill -9 in the middle of a put leaves the old object or the new one, and what is left over is pruned', async () => {
  const place = join(folder, 'killed');
  const versions = [sampleFile(folder, 'version-1', 20_000_000), sampleFile(folder, 'version-2', 30_000_000)];
  const hashes = versions.map(({ digest }) => digest.sha256);
  const store = folderStore({ folder: place, isPrivate: true });
  for (let round = 0; round < 20; round++) {
    const child = spawn(process.execPath, [PUT, place, key, '1000', ...versions.map(({ path }) => path)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await putsBegun(child, 1 + (round % 3));
    // Some die while they copy, and some while they flush or rename.
    await delay(round * 2);
    child.kill('SIGKILL');
    await once(child, 'close');
    if (existsSync(join(place, key))) expect(hashes).toContain(hashOf(readFileSync(join(place, key))));
    expect((await Array.fromAsync(store.list('', signal))).flat().length).toBeLessThanOrEqual(1);
  }
  const left = filesIn(place).filter((name) => name !== key);
  expect(left.length).toBeGreaterThan(0);
  expect(left.every((name) => name.startsWith(`${key}.`) && name.endsWith('.part'))).toBe(true);
  expect(await store.prune(later(), signal)).toBe(left.length);
  expect(filesIn(place)).toEqual(existsSync(join(place, key)) ? [key] : []);
});

async function putsBegun(child: ChildProcess, count: number): Promise<void> {
  let begun = 0;
  for await (const chunk of child.stdout!) {
    begun += String(chunk).split('\n').length - 1;
    if (begun >= count) return;
  }
  throw new Error('the process ended by itself');
}

test('what is being written is not pruned', async () => {
  const place = join(folder, 'pruned');
  const store = folderStore({ folder: place, isPrivate: true });
  await store.put(key, small.path, small.digest, signal);
  const [old, young] = ['old', 'young'].map((name) => join(place, `${key}.${name}.part`)) as [string, string];
  for (const path of [old, young]) writeFileSync(path, 'half');
  utimesSync(old, new Date('2026-01-01'), new Date('2026-01-01'));
  expect(await store.prune(Temporal.Instant.from('2026-01-02T00:00:00Z'), signal)).toBe(1);
  expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
});

test('a put that fails leaves nothing', async () => {
  const place = join(folder, 'failed');
  const store = folderStore({ folder: place, isPrivate: true });
  await expect(store.put(key, small.path, { ...small.digest, bytes: 999 }, signal)).rejects.toMatchObject({ code: 'objects.checksum' });
  const cancel = new AbortController();
  const stored = store.put(key, sampleFile(folder, 'long', 50_000_000).path, { bytes: 50_000_000, sha256: 'never' }, cancel.signal);
  await expect.poll(() => filesIn(place)).toHaveLength(1);
  cancel.abort(new Error('cancelled by the test'));
  await expect(stored).rejects.toThrow('cancelled by the test');
  expect(filesIn(place)).toEqual([]);
});

test('the objects of the data folder are open to their owner only, those of a folder of your own as the umask says', async () => {
  const modes = async (isPrivate: boolean) => {
    const place = join(folder, `modes-${isPrivate}`);
    const umask = process.umask(0o027);
    try {
      await folderStore({ folder: place, isPrivate }).put(key, small.path, small.digest, signal);
    } finally {
      process.umask(umask);
    }
    return ['', 'historical-stock', key].map((path) => (statSync(join(place, path)).mode & 0o777).toString(8));
  };
  expect(await modes(true)).toEqual(['700', '700', '600']);
  expect(await modes(false)).toEqual(['750', '750', '640']);
});

test('nothing of the store but objects matches a pattern of the data', async () => {
  const place = join(folder, 'pattern');
  const store = folderStore({ folder: place, isPrivate: true });
  const { etag } = await store.put(key, small.path, small.digest, signal);
  await store.put(key, small.path, { ...small.digest, replaces: etag }, signal);
  expect(filesIn(place).filter((name) => name.endsWith('.parquet'))).toEqual([key]);
  expect((await Array.fromAsync(store.list('', signal))).flat().map((object) => object.key)).toEqual([key]);
});

test('a copy that keeps the times keeps the etags', async () => {
  const [place, copy] = [join(folder, 'original'), join(folder, 'copy')];
  const { etag } = await folderStore({ folder: place, isPrivate: true }).put(key, small.path, small.digest, signal);
  expect(spawnSync('cp', ['-a', place, copy]).status).toBe(0);
  expect(await folderStore({ folder: copy, isPrivate: true }).head(key, signal)).toMatchObject({ etag });
});

test('a folder that does not exist has no objects', async () => {
  const store = folderStore({ folder: join(folder, 'absent'), isPrivate: true });
  expect(await store.head(key, signal)).toBeUndefined();
  expect(await Array.fromAsync(store.list('', signal))).toEqual([]);
  expect(await store.prune(later(), signal)).toBe(0);
});

test('a disk that is full is an error that may be retried, and leaves nothing', async ({ skip }) => {
  const place = join(folder, 'full');
  mkdirSync(place);
  const mount = `mount -t tmpfs -o size=1m tmpfs ${place}`;
  if (spawnSync('unshare', ['-rm', 'sh', '-c', mount]).status !== 0) skip('this system lets no user mount a small disk');
  const large = sampleFile(folder, 'large', 3_000_000);
  const script = `${mount} && "$0" ${PUT} ${place}/store ${key} 1 ${large.path} && find ${place} -type f`;
  const { stdout } = await promisify(execFile)('unshare', ['-rm', 'sh', '-c', script, process.execPath]);
  const [began, error, ...files] = stdout.trim().split('\n');
  expect(began).toBe('put');
  expect(JSON.parse(error!)).toMatchObject({
    name: 'TransientError',
    code: 'objects.unavailable',
    message: expect.stringMatching(/ENOSPC.*free space/),
  });
  expect(files).toEqual([]);
});

test('a folder without the right to write is refused with the way out', async () => {
  const place = join(folder, 'closed');
  mkdirSync(place);
  chmodSync(place, 0o555);
  const error = await asOrdinaryUser(() =>
    folderStore({ folder: place, isPrivate: true })
      .put(key, small.path, small.digest, signal)
      .catch((error: unknown) => error),
  );
  expect(error).toMatchObject({
    name: 'PermanentError',
    code: 'objects.refused',
    message: expect.stringMatching(/EACCES.*history\.store\.folder/),
  });
});

/** The superuser may write everywhere. */
async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  const user = process.geteuid!();
  if (user !== 0) return work();
  chmodSync(folder, 0o755);
  process.seteuid!(65_534);
  try {
    return await work();
  } finally {
    process.seteuid!(user);
  }
}

test('a file in place of a folder is refused with the way out', async () => {
  const place = join(folder, 'a-file');
  writeFileSync(place, '');
  await expect(folderStore({ folder: place, isPrivate: true }).put(key, small.path, small.digest, signal)).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'objects.refused',
    message: expect.stringContaining('a file stands where a folder is needed'),
  });
});

test('a link to a disk that is not mounted may work later, and is not followed for ever', async () => {
  const place = join(folder, 'link');
  symlinkSync(join(folder, 'not-mounted'), place);
  const store = folderStore({ folder: place, isPrivate: true });
  await expect(store.put(key, small.path, small.digest, signal)).rejects.toMatchObject({
    name: 'TransientError',
    code: 'objects.unavailable',
  });
  mkdirSync(join(folder, 'not-mounted'));
  await store.put(key, small.path, small.digest, signal);
  expect((await Array.fromAsync(store.list('', signal))).flat()).toHaveLength(1);
});
