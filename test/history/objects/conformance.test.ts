import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import { filesIn, folderOfTest, hashOf, sampleFile } from './support/files.ts';
import { allStores, hasRealServer } from './support/stores.ts';

// What the port promises, over every store that there is.

const { signal } = new AbortController();
const folder = folderOfTest();
const small = sampleFile(folder, 'small', 1_000);
const other = sampleFile(folder, 'other', 1_000);
const large = sampleFile(folder, 'large', 3_000_000);
const empty = sampleFile(folder, 'empty', 0);
const stores = await allStores(folder);

test.skipIf(hasRealServer)('a server of your own is tried too where STOCKMESH_TEST_S3_URL names it', ({ skip }) => {
  skip('STOCKMESH_TEST_S3_URL is not set; it is such as https://key:secret@minio.example:9000/bucket');
});

describe.each(stores)('$name', ({ store, keepsChecksum }) => {
  let made = 0;
  /** A key that no other test uses. */
  const newKey = (root = 'AAPL') => `historical-stock/eod/root=${root}/year=${1000 + made++}/data.parquet`;
  const contentOf = async (key: string) => buffer(await store.read(key, signal));
  const keysFrom = async (prefix: string) => (await Array.fromAsync(store.list(prefix, signal))).flat().map(({ key }) => key);

  afterAll(async () => {
    for (const key of await keysFrom('')) await store.delete(key, signal);
  });

  test('an object is read as it was put', async () => {
    const key = newKey();
    const put = await store.put(key, large.path, large.digest, signal);
    expect(put).toEqual({ ...large.digest, etag: expect.stringMatching(/./) });
    expect(await store.head(key, signal)).toEqual({ ...put, sha256: keepsChecksum ? large.digest.sha256 : undefined });
    expect(hashOf(await contentOf(key))).toBe(large.digest.sha256);
  });

  test('an object without a byte is one', async () => {
    const key = newKey();
    await store.put(key, empty.path, empty.digest, signal);
    expect(await store.head(key, signal)).toMatchObject({ bytes: 0 });
    expect(await contentOf(key)).toHaveLength(0);
  });

  test.each(['BRK.B', '%5ESPX', 'A%26B', 'A%2BB', 'A%20B', 'Z%C3%BC', "A'B(C)*!~"])('a root is kept as it is spelled: %s', async (root) => {
    const key = newKey(root);
    await store.put(key, small.path, small.digest, signal);
    expect(await contentOf(key)).toEqual(small.content);
    expect(await keysFrom(key)).toEqual([key]);
    await store.delete(key, signal);
    expect(await store.head(key, signal)).toBeUndefined();
  });

  test('a range is read, both ends included, and ends with the object', async () => {
    const key = newKey();
    await store.put(key, small.path, small.digest, signal);
    const range = async (start: number, end: number) => buffer(await store.read(key, signal, { start, end }));
    expect(await range(0, 0)).toEqual(small.content.subarray(0, 1));
    expect(await range(10, 19)).toEqual(small.content.subarray(10, 20));
    expect(await range(990, 5_000)).toEqual(small.content.subarray(990));
  });

  test.each([
    { start: 1_000, end: 1_001 },
    { start: -1, end: 3 },
    { start: 5, end: 4 },
    { start: 0.5, end: 3 },
  ])('a range that the object does not have is refused: %o', async (range) => {
    const key = newKey();
    await store.put(key, small.path, small.digest, signal);
    await expect(store.read(key, signal, range)).rejects.toMatchObject({ name: 'PermanentError', code: 'objects.bad_range' });
  });

  test('a local file has the bytes, and a copy goes with its release', async () => {
    const key = newKey();
    await store.put(key, large.path, large.digest, signal);
    const before = filesIn(folder);
    const { path, release } = await store.local(key, signal);
    expect(hashOf(readFileSync(path))).toBe(large.digest.sha256);
    await release();
    expect(filesIn(folder)).toEqual(before);
    expect(existsSync(path)).toBe(before.some((name) => path.endsWith(name)));
    expect(hashOf(await contentOf(key))).toBe(large.digest.sha256);
  });

  test('an object that is not there is undefined to head, an error to read, and nothing to delete', async () => {
    const key = newKey();
    expect(await store.head(key, signal)).toBeUndefined();
    const missing = { name: 'PermanentError', code: 'objects.missing', message: expect.stringContaining(key) };
    await expect(store.read(key, signal)).rejects.toMatchObject(missing);
    await expect(store.local(key, signal)).rejects.toMatchObject(missing);
    await store.delete(key, signal);
  });

  test('an object with the name of a folder is none', async () => {
    const key = newKey();
    await store.put(key, small.path, small.digest, signal);
    const parent = key.slice(0, key.lastIndexOf('/'));
    expect(await store.head(parent, signal)).toBeUndefined();
    await expect(store.read(parent, signal)).rejects.toMatchObject({ code: 'objects.missing' });
    await store.delete(parent, signal);
    expect(await store.head(`${key}/below`, signal)).toBeUndefined();
    expect(await contentOf(key)).toEqual(small.content);
  });

  test.each([
    '',
    '/',
    '/etc/passwd',
    '../outside/data.parquet',
    'a/../../outside',
    'a/./b',
    'a//b',
    'a/',
    'a\0b',
    'a\nb',
    'a\\..\\b',
    '.lock',
    'a/.hidden',
    'a/data.parquet.part',
    `a/${'x'.repeat(300)}`,
    `a/${'ä'.repeat(120)}`,
    'a/'.repeat(500),
  ])('a key that could lead elsewhere or be taken for something else is refused by everything: %j', async (key) => {
    const refused = { name: 'PermanentError', code: 'objects.bad_key' };
    await expect(store.put(key, small.path, small.digest, signal)).rejects.toMatchObject(refused);
    await expect(store.head(key, signal)).rejects.toMatchObject(refused);
    await expect(store.read(key, signal)).rejects.toMatchObject(refused);
    await expect(store.local(key, signal)).rejects.toMatchObject(refused);
    await expect(store.delete(key, signal)).rejects.toMatchObject(refused);
  });

  test('all keys are listed page by page, in the order of their bytes, with their sizes and times', async () => {
    const began = Temporal.Now.instant();
    // "." comes before "/", and "Z" before "a": a folder sorts otherwise.
    const names = ['b/data', 'a/data', 'a.b/data', 'a', 'a-b/data', 'Z/data', ...Array.from({ length: 20 }, (_, n) => `c/${n}/data`)];
    for (const name of names.filter((name) => name !== 'a')) await store.put(`listed/${name}`, small.path, small.digest, signal);
    const pages = await Array.fromAsync(store.list('listed/', signal));
    const found = pages.flat();
    expect(found.map(({ key }) => key)).toEqual(
      names
        .filter((name) => name !== 'a')
        .map((name) => `listed/${name}`)
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    expect(found.every(({ bytes }) => bytes === 1_000)).toBe(true);
    // The clock of a real server may differ from this machine's by minutes.
    expect(found.every(({ modified }) => Math.abs(modified.since(began).total('minutes')) < 15)).toBe(true);
  });

  test('a prefix may end within a name', async () => {
    for (const root of ['AA', 'AAPL', 'AB', 'B']) await store.put(`prefixed/root=${root}/data.parquet`, small.path, small.digest, signal);
    expect(await keysFrom('prefixed/root=AA')).toEqual(['prefixed/root=AA/data.parquet', 'prefixed/root=AAPL/data.parquet']);
    expect(await keysFrom('prefixed/root=AA/')).toEqual(['prefixed/root=AA/data.parquet']);
    expect(await keysFrom('prefixed/none')).toEqual([]);
  });

  test('a file that is not what its maker says is not stored, and the error names both checksums', async () => {
    const key = newKey();
    await store.put(key, small.path, small.digest, signal);
    const wrong = { bytes: 1_000, sha256: other.digest.sha256 };
    await expect(store.put(key, small.path, wrong, signal)).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'objects.checksum',
      message: expect.stringMatching(new RegExp(`${small.digest.sha256}.*${other.digest.sha256}`)),
    });
    await expect(store.put(key, other.path, { ...other.digest, bytes: 999 }, signal)).rejects.toMatchObject({ code: 'objects.checksum' });
    expect(await contentOf(key)).toEqual(small.content);
  });

  test('an object is replaced by one of the same size, and its etag changes', async () => {
    const key = newKey();
    const etags = new Set<string>();
    for (const file of [small, other, small, other]) {
      const { etag } = await store.put(key, file.path, file.digest, signal);
      expect(await store.head(key, signal)).toMatchObject({ etag });
      expect(await contentOf(key)).toEqual(file.content);
      etags.add(etag);
    }
    expect(etags.size).toBeGreaterThan(1);
  });

  test('an object is replaced only if it is still the one that was seen', async () => {
    const key = newKey();
    const first = await store.put(key, small.path, small.digest, signal);
    const second = await store.put(key, other.path, { ...other.digest, replaces: first.etag }, signal);
    const changed = { name: 'TransientError', code: 'objects.changed', message: expect.stringContaining(key) };
    await expect(store.put(key, large.path, { ...large.digest, replaces: first.etag }, signal)).rejects.toMatchObject(changed);
    expect(await contentOf(key)).toEqual(other.content);
    await store.delete(key, signal);
    await expect(store.put(key, large.path, { ...large.digest, replaces: second.etag }, signal)).rejects.toMatchObject(changed);
    expect(await store.head(key, signal)).toBeUndefined();
  });

  test('of many who replace the same object at once, one does', async () => {
    const key = newKey();
    const { etag } = await store.put(key, small.path, small.digest, signal);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => store.put(key, large.path, { ...large.digest, replaces: etag }, signal)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const errors = results.flatMap((result) => (result.status === 'rejected' ? result.reason.code : []));
    expect(new Set(errors)).toEqual(new Set(['objects.changed']));
    expect(hashOf(await contentOf(key))).toBe(large.digest.sha256);
  });

  test('a reader sees the old object or the new one while it is replaced, and never a mixture', async () => {
    const key = newKey();
    const versions = [sampleFile(folder, 'version-1', 400_000), sampleFile(folder, 'version-2', 700_000)];
    await store.put(key, versions[0]!.path, versions[0]!.digest, signal);
    let isWriting = true;
    const read: string[] = [];
    const readers = Array.from({ length: 3 }, async () => {
      while (isWriting) read.push(hashOf(await contentOf(key)));
    });
    for (let round = 0; round < 20; round++) {
      const { path, digest } = versions[(round + 1) % 2]!;
      await store.put(key, path, digest, signal);
    }
    isWriting = false;
    await Promise.all(readers);
    expect(read.length).toBeGreaterThan(3);
    expect(read.filter((hash) => !versions.some(({ digest }) => digest.sha256 === hash))).toEqual([]);
  });

  test('nothing is done once it is cancelled, and the reason is that of the caller', async () => {
    const key = newKey();
    const reason = new Error('cancelled by the test');
    const cancelled = AbortSignal.abort(reason);
    await expect(store.put(key, small.path, small.digest, cancelled)).rejects.toBe(reason);
    await expect(store.head(key, cancelled)).rejects.toBe(reason);
    await expect(store.read(key, cancelled)).rejects.toBe(reason);
    await expect(store.local(key, cancelled)).rejects.toBe(reason);
    await expect(Array.fromAsync(store.list('', cancelled))).rejects.toBe(reason);
    expect(await store.head(key, signal)).toBeUndefined();
  });

  test('nothing is pruned of what is whole', async () => {
    const key = newKey();
    await store.put(key, small.path, small.digest, signal);
    await store.prune(Temporal.Now.instant().add({ hours: 1 }), signal);
    expect(await contentOf(key)).toEqual(small.content);
  });

  test('the place is named for people', () => {
    expect(store.where).toMatch(/^the (folder|bucket) \S+/);
  });

  test('the file that was put is left alone', async () => {
    await store.put(newKey(), small.path, small.digest, signal);
    expect(await buffer(createReadStream(small.path))).toEqual(small.content);
  });
});
