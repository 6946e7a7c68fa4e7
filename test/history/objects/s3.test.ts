import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import type { S3Options } from '../../../services/history/objects/s3.ts';
import { startS3Server, TEST_ACCOUNT } from '../../support/s3/server.ts';
import { folderOfTest, hashOf, sampleFile } from './support/files.ts';
import { QUICK, serverOfTest, storeAt } from './support/stores.ts';

// What happens between the store and a server that fails, refuses or lies.

const { signal } = new AbortController();
const folder = folderOfTest();
const file = sampleFile(folder, 'file', 2_000_000);
const other = sampleFile(folder, 'other', 1_000);
const server = await serverOfTest({ folder: join(folder, 'server') });
const store = storeAt(server);
const key = 'historical-stock/eod/root=AAPL/year=2024/data.parquet';
const SLOW_DOWN = { kind: 'answer', status: 503, code: 'SlowDown' } as const;
const CONFLICT = { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' } as const;

afterEach(async () => {
  expect(server.faults.left, 'faults that no request met').toBe(0);
  await store.delete(key, signal);
  server.requests.length = 0;
});

const put = () => store.put(key, file.path, file.digest, signal);
const copies = () => (existsSync(join(folder, 'copies')) ? readdirSync(join(folder, 'copies')) : []);
const operations = () => server.requests.map(({ operation }) => operation);
const expectWhole = async () => expect(hashOf(await buffer(await store.read(key, signal)))).toBe(file.digest.sha256);

test.each(['PUT', 'GET', 'HEAD', 'LIST', 'DELETE'] as const)('a server that is too busy is asked again: %s', async (operation) => {
  await put();
  server.faults.next(operation, SLOW_DOWN, 3);
  await put();
  await expectWhole();
  expect((await Array.fromAsync(store.list('', signal))).flat()).toHaveLength(1);
  await store.delete(key, signal);
  expect(await store.head(key, signal)).toBeUndefined();
});

test('a server that stays too busy is given up after five attempts, with an error that may be retried', async () => {
  server.faults.next('PUT', SLOW_DOWN, 5);
  await expect(put()).rejects.toMatchObject({
    name: 'TransientError',
    code: 'objects.unavailable',
    message: expect.stringMatching(/put historical-stock.* in the bucket quotes at 127\.0\.0\.1:\d+: SlowDown \(HTTP 503\)/),
  });
  expect(operations().filter((operation) => operation === 'PUT')).toHaveLength(5);
});

test('the pause that the server asks for is told to the job', async () => {
  server.faults.next('HEAD', { ...SLOW_DOWN, retryAfter: 7 });
  await expect(storeAt(server, { patience: { ...QUICK, attempts: 1 } }).head(key, signal)).rejects.toMatchObject({ retryAfterMs: 7_000 });
});

test('an upload that is cut is sent again, and nothing of it is seen before', async () => {
  server.faults.next('PUT', { kind: 'cut', after: 500_000 });
  await put();
  await expectWhole();
  expect(operations()).toEqual(expect.arrayContaining(['PUT', 'PUT']));
});

test('an upload that is always cut leaves no object, and one that was there stays', async () => {
  server.faults.next('PUT', { kind: 'cut', after: 500_000 }, 5);
  await expect(put()).rejects.toMatchObject({ code: 'objects.unavailable' });
  expect(await store.head(key, signal)).toBeUndefined();
  await store.put(key, other.path, other.digest, signal);
  server.faults.next('PUT', { kind: 'cut', after: 500_000 }, 5);
  await expect(put()).rejects.toMatchObject({ code: 'objects.unavailable' });
  expect(await store.head(key, signal)).toMatchObject(other.digest);
});

test('an upload whose answer is lost counts once', async () => {
  server.faults.next('PUT', { kind: 'cut-answer' });
  expect(await put()).toMatchObject(file.digest);
  await expectWhole();
});

test('a replacement whose answer is lost is not taken for that of another process', async () => {
  const { etag } = await store.put(key, other.path, other.digest, signal);
  // Whether the server heeds conditions is tried out before.
  await store.put(key, other.path, { ...other.digest, replaces: etag }, signal);
  server.faults.next('PUT', { kind: 'cut-answer' });
  expect(await store.put(key, file.path, { ...file.digest, replaces: etag }, signal)).toMatchObject(file.digest);
  await expectWhole();
});

test('a replacement that met another one is tried again', async () => {
  const { etag } = await store.put(key, other.path, other.digest, signal);
  server.faults.next('PUT', CONFLICT, 2);
  await store.put(key, file.path, { ...file.digest, replaces: etag }, signal);
  await expectWhole();
});

test.each([
  { fault: { kind: 'cut', after: 300_000 } as const, name: 'cut' },
  { fault: { kind: 'silent', after: 300_000 } as const, name: 'silent' },
])('a download whose connection is $name goes on from its next byte', async ({ fault }) => {
  const impatient = storeAt(server, { patience: { ...QUICK, silenceMs: 300 } });
  await put();
  server.faults.next('GET', fault, 2);
  expect(hashOf(await buffer(await impatient.read(key, signal)))).toBe(file.digest.sha256);
  const ranges = server.requests.filter(({ operation }) => operation === 'GET').map(({ headers }) => headers.range);
  expect(ranges).toEqual([undefined, 'bytes=300000-1999999', 'bytes=600000-1999999']);
});

test('a range whose connection is cut goes on within the range', async () => {
  await put();
  server.faults.next('GET', { kind: 'cut', after: 100_000 });
  const read = await buffer(await store.read(key, signal, { start: 50_000, end: 449_999 }));
  expect(hashOf(read)).toBe(hashOf(file.content.subarray(50_000, 450_000)));
});

test('a download that is cut after the object was replaced is no mixture', async () => {
  await put();
  server.faults.next('GET', { kind: 'cut', after: 300_000 });
  const stream = await store.read(key, signal);
  await store.put(key, other.path, other.digest, signal);
  await expect(buffer(stream)).rejects.toMatchObject({ name: 'TransientError', code: 'objects.changed' });
});

test('a download that is always cut is an error, and leaves no copy', async () => {
  await put();
  server.faults.next('GET', { kind: 'cut', after: 300_000 });
  server.faults.next('GET', { kind: 'cut', after: 0 }, 5);
  await expect(store.local(key, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'objects.unavailable' });
  expect(copies()).toEqual([]);
});

test('a server that never answers is given up', async () => {
  const impatient = storeAt(server, { patience: { attempts: 2, backoffMs: 5, silenceMs: 100 } });
  server.faults.next('HEAD', { kind: 'silent', after: 0 }, 2);
  await expect(impatient.head(key, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'objects.unavailable' });
});

test('a request is given up at once when the job is cancelled', async () => {
  const cancel = new AbortController();
  await store.head(key, signal);
  server.faults.next('PUT', { kind: 'silent', after: 0 });
  const stored = store.put(key, file.path, file.digest, cancel.signal);
  await expect.poll(operations).toContain('PUT');
  const reason = new Error('cancelled by the test');
  cancel.abort(reason);
  await expect(stored).rejects.toBe(reason);
});

test('a reader that goes away ends its download', async () => {
  await put();
  server.faults.next('GET', { kind: 'silent', after: 300_000 });
  const stream = await store.read(key, signal);
  for await (const _ of stream) break;
  expect(stream.destroyed).toBe(true);
});

test('a server that keeps fewer bytes than it confirms is found out', async () => {
  server.faults.next('PUT', { kind: 'short', keep: 1_999_999 }, 5);
  await expect(put()).rejects.toMatchObject({
    name: 'TransientError',
    code: 'objects.unavailable',
    message: expect.stringContaining('has confirmed 2000000 bytes and keeps 1999999'),
  });
});

test('a server that kept fewer bytes once is given the whole object, also in place of one that was seen', async () => {
  const { etag } = await store.put(key, other.path, other.digest, signal);
  server.faults.next('PUT', { kind: 'short', keep: 7 });
  await store.put(key, file.path, { ...file.digest, replaces: etag }, signal);
  await expectWhole();
});

test('an object that was damaged in the store is not handed out as a local file', async () => {
  await put();
  const stored = server.objects.get(`stockmesh/${key}`)!;
  const damaged = sampleFile(folder, 'damaged', 1_000);
  server.objects.put({ ...stored, file: damaged.path, bytes: 1_000 });
  await expect(store.local(key, signal)).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'objects.damaged',
    message: expect.stringMatching(new RegExp(`${file.digest.sha256}.*${damaged.digest.sha256}`)),
  });
  expect(copies()).toEqual([]);
});

test('the sha256 of the file is in the signature, in a checksum and beside the object', async () => {
  await put();
  const { headers } = server.requests.find(({ operation }) => operation === 'PUT')!;
  expect(headers).toMatchObject({
    'x-amz-content-sha256': file.digest.sha256,
    'x-amz-checksum-sha256': Buffer.from(file.digest.sha256, 'hex').toString('base64'),
    'x-amz-meta-sha256': file.digest.sha256,
    'content-length': '2000000',
  });
  expect(headers['content-encoding']).toBeUndefined();
});

async function refusal(options: Partial<S3Options>) {
  const error = await storeAt(server, options)
    .put(key, file.path, file.digest, signal)
    .catch((error: unknown) => error as Error & { code: string });
  if (!(error instanceof Error)) throw new Error('it was stored');
  expect(JSON.stringify(error) + error.stack + error.message, 'a secret in an error').not.toContain(TEST_ACCOUNT.secretAccessKey);
  expect(error.cause).toBeUndefined();
  return error;
}

test.each([
  {
    name: 'a bucket that does not exist',
    options: { bucket: 'absent' },
    message: /the bucket absent at 127\.0\.0\.1:\d+: NoSuchBucket .*history\.store\.s3\.bucket/,
  },
  {
    name: 'an access key that is unknown',
    options: { credentials: { ...TEST_ACCOUNT, accessKeyId: 'AKIAOTHER' } },
    message: /InvalidAccessKeyId .*STOCKMESH_S3_ACCESS_KEY_ID/,
  },
  {
    name: 'a secret key that is wrong',
    options: { credentials: { ...TEST_ACCOUNT, secretAccessKey: 'not the secret' } },
    message: /SignatureDoesNotMatch .*STOCKMESH_S3_SECRET_ACCESS_KEY/,
  },
])('$name is refused with the way out', async ({ options, message }) => {
  expect(await refusal(options)).toMatchObject({
    name: 'PermanentError',
    code: 'objects.refused',
    message: expect.stringMatching(message),
  });
  expect(operations()).toEqual(['LIST']);
});

test('a clock that is wrong is named as such', async () => {
  const early = await startS3Server({ folder: join(folder, 'early'), now: () => new Date(Date.now() + 3_600_000) });
  try {
    await expect(storeAt(early).head(key, signal)).rejects.toMatchObject({
      code: 'objects.refused',
      message: expect.stringContaining('clock'),
    });
  } finally {
    await early.close();
  }
});

test('a server that is not there may come back', async () => {
  const gone = await startS3Server({ folder: join(folder, 'gone') });
  const later = storeAt(gone);
  await gone.close();
  await expect(later.head(key, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'objects.unavailable' });
  const back = await startS3Server({ folder: join(folder, 'gone'), port: Number(new URL(gone.url).port) });
  try {
    expect(await later.head(key, signal)).toBeUndefined();
  } finally {
    await back.close();
  }
});

test('objects outlive a server that is started again', async () => {
  await put();
  const again = await startS3Server({ folder: server.objects.folder });
  try {
    expect(await storeAt(again).head(key, signal)).toMatchObject(file.digest);
  } finally {
    await again.close();
  }
});

test.each(['ignored', 'refused'] as const)('an object is compared before it is replaced where conditions are %s', async (conditions) => {
  const lenient = await startS3Server({ folder: join(folder, conditions), conditions });
  const warnings: string[] = [];
  const log = { debug() {}, warn: (_: object, text: string) => warnings.push(text) } as unknown as S3Options['log'];
  const there = storeAt(lenient, { log });
  try {
    const first = await there.put(key, other.path, other.digest, signal);
    const second = await there.put(key, file.path, { ...file.digest, replaces: first.etag }, signal);
    await expect(there.put(key, other.path, { ...other.digest, replaces: first.etag }, signal)).rejects.toMatchObject({
      code: 'objects.changed',
    });
    expect(await there.head(key, signal)).toEqual(second);
    expect(warnings).toEqual([expect.stringContaining('If-Match')]);
    expect(lenient.objects.startingWith('').map((object) => object.key)).toEqual([`stockmesh/${key}`]);
  } finally {
    await lenient.close();
  }
});

test('unfinished uploads of ours are ended when they are old enough, page by page', async () => {
  const paged = await startS3Server({ folder: join(folder, 'uploads'), pageSize: 2 });
  const upload = (name: string, initiated: string) => paged.uploads.push({ key: name, id: `id-${paged.uploads.length}`, initiated });
  for (let year = 2000; year < 2007; year++) upload(`stockmesh/root=A/year=${year}/data.parquet`, '2026-11-01T00:00:00.000Z');
  upload('stockmesh/root=A/year=2007/data.parquet', '2026-11-03T00:00:00.000Z');
  upload('stockmesh/video.mp4', '2026-11-01T00:00:00.000Z');
  upload('elsewhere/data.parquet', '2026-11-01T00:00:00.000Z');
  try {
    expect(await storeAt(paged).prune(Temporal.Instant.from('2026-11-02T00:00:00Z'), signal)).toBe(7);
    expect(paged.uploads.map(({ id }) => id)).toEqual(['id-7', 'id-8', 'id-9']);
  } finally {
    await paged.close();
  }
});

test('a server that knows no uploads in parts has none to end', async () => {
  server.faults.next('UPLOADS', { kind: 'answer', status: 501, code: 'NotImplemented' });
  // A 501 is repeated by no attempt.
  expect(await store.prune(Temporal.Now.instant(), signal)).toBe(0);
});
