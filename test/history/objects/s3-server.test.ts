import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, expect, test } from 'vitest';
import { TEST_ACCOUNT } from '../../support/s3/server.ts';
import { folderOfTest, hashOf, sampleFile } from './support/files.ts';
import { serverOfTest } from './support/stores.ts';

// The test server against the SDK as it comes: what it lets pass, nothing else would find.

const folder = folderOfTest();
const server = await serverOfTest({ folder: join(folder, 'server'), pageSize: 3 });
const client = new S3Client({
  region: 'eu-central-1',
  endpoint: server.url,
  forcePathStyle: true,
  credentials: TEST_ACCOUNT,
  maxAttempts: 1,
});
afterAll(() => client.destroy());
const Bucket = server.bucket;
const { content } = sampleFile(folder, 'content', 300_000);
const bytesOf = async (key: string, Range?: string) => {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key, Range }));
  return Buffer.from(await Body!.transformToByteArray());
};
const failure = (code: string, status: number) => ({ name: code, $metadata: { httpStatusCode: status } });

test('a stream in chunks with its checksum as trailer is stored without its framing', async () => {
  const parts = Array.from({ length: 30 }, (_, n) => content.subarray(n * 10_000, (n + 1) * 10_000));
  await client.send(new PutObjectCommand({ Bucket, Key: 'stream', Body: Readable.from(parts), ContentLength: 300_000 }));
  const { headers } = server.requests.at(-1)!;
  expect(headers).toMatchObject({ 'content-encoding': 'aws-chunked', 'x-amz-trailer': 'x-amz-checksum-crc32' });
  expect(hashOf(await bytesOf('stream'))).toBe(hashOf(content));
  expect(server.objects.get('stream')).toMatchObject({ bytes: 300_000, sha256: hashOf(content) });
});

test.each([{ ChecksumSHA256: createHash('sha256').update('other').digest('base64') }, { ChecksumCRC32: 'AAAAAA==' }])(
  'a checksum that is wrong is refused: %o',
  async (checksum) => {
    await expect(client.send(new PutObjectCommand({ Bucket, Key: 'wrong', Body: content, ...checksum }))).rejects.toMatchObject(
      failure('BadDigest', 400),
    );
    await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'wrong' }))).rejects.toMatchObject(failure('NotFound', 404));
  },
);

test('the checksum of a body whose signature says otherwise is refused', async () => {
  const command = new PutObjectCommand({ Bucket, Key: 'unsigned', Body: content });
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = hashOf(Buffer.from('other'));
      return next(args);
    },
    { step: 'build' },
  );
  await expect(client.send(command)).rejects.toMatchObject(failure('XAmzContentSHA256Mismatch', 400));
});

test('a request that was changed after it was signed is refused', async () => {
  const command = new PutObjectCommand({ Bucket, Key: 'signed', Body: content });
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-date'] = '20261127T000000Z';
      return next(args);
    },
    { step: 'finalizeRequest', priority: 'low' },
  );
  await expect(client.send(command)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  expect((await fetch(`${server.url}/${Bucket}/stream`)).status).toBe(403);
});

test('conditions hold: an object is made once, and replaced only by its etag', async () => {
  const put = (conditions: object, Body = 'one') => client.send(new PutObjectCommand({ Bucket, Key: 'once', Body, ...conditions }));
  await expect(put({ IfMatch: '"any"' })).rejects.toMatchObject(failure('NoSuchKey', 404));
  const { ETag } = await put({ IfNoneMatch: '*' });
  await expect(put({ IfNoneMatch: '*' })).rejects.toMatchObject(failure('PreconditionFailed', 412));
  await expect(put({ IfMatch: '"other"' })).rejects.toMatchObject(failure('PreconditionFailed', 412));
  await put({ IfMatch: ETag }, 'two');
  await expect(put({ IfMatch: ETag })).rejects.toMatchObject(failure('PreconditionFailed', 412));
  expect(String(await bytesOf('once'))).toBe('two');
});

test('ranges are those of HTTP, from the end as well', async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'range', Body: '0123456789' }));
  expect(String(await bytesOf('range', 'bytes=2-4'))).toBe('234');
  expect(String(await bytesOf('range', 'bytes=7-'))).toBe('789');
  expect(String(await bytesOf('range', 'bytes=-3'))).toBe('789');
  expect(String(await bytesOf('range', 'bytes=8-99'))).toBe('89');
  await expect(bytesOf('range', 'bytes=10-')).rejects.toMatchObject(failure('InvalidRange', 416));
});

test('listings come in pages', async () => {
  for (let n = 0; n < 7; n++) await client.send(new PutObjectCommand({ Bucket, Key: `page/${n}`, Body: 'x' }));
  const pages: number[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'page/', ContinuationToken: token }));
    pages.push(page.KeyCount!);
    token = page.NextContinuationToken;
  } while (token !== undefined);
  expect(pages).toEqual([3, 3, 1]);
});

test('unfinished uploads are listed and ended', async () => {
  server.uploads.push({ key: 'upload', id: 'id-1', initiated: '2026-11-01T00:00:00.000Z' });
  const listed = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  expect(listed.Uploads).toMatchObject([{ Key: 'upload', UploadId: 'id-1', Initiated: new Date('2026-11-01') }]);
  await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'upload', UploadId: 'id-1' }));
  expect((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads).toBeUndefined();
});
