/** Objects in a bucket of S3, or of a server that speaks it. */
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { HeadObjectCommandOutput, PutObjectCommand, PutObjectCommandOutput } from '@aws-sdk/client-s3';
import { codeOf, messageOf, PermanentError, StockmeshError, TransientError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { changed, checkDigest, checkKey, checkRange, digestOf, isKey } from './keys.ts';
import { type Bucket, type Connected, PATIENCE, type Patience, S3Connection } from './s3-connection.ts';
import { nameOf, notS3, s3Failure, statusOf } from './s3-errors.ts';
import { abortUploads, deleteTries, pagesOf } from './s3-listing.ts';
import type { ObjectStore, StoredObject } from './store.ts';

export interface S3Options extends Bucket {
  /** A folder of this process for copies of objects. It is made when it is needed. */
  copies: string;
  log: Logger;
  patience?: Patience;
}

/** Bytes of an object, from `start` to `end`, both included; those of the whole object where there is no range. */
interface Answer {
  stored: StoredObject;
  body: Readable;
  start: number;
  end: number;
}

/**
 * One PutObject an object, to its final key: S3 shows it when it is whole and never before. The sha256 is in its signature, so the server refuses a body that was damaged on
 * the way, also one that does not know checksums; and in its metadata, where `head` finds it.
 */
export function s3Store({ copies, log, patience = PATIENCE, ...bucket }: S3Options): ObjectStore {
  const connection = new S3Connection(bucket, patience, log);
  const { where } = connection;
  const placeOf = (key: string) => {
    checkKey(key);
    return { Bucket: bucket.bucket, Key: bucket.prefix + key };
  };

  const head = async (key: string, signal: AbortSignal): Promise<StoredObject | undefined> => {
    const place = placeOf(key);
    return connection.attempt(`look at ${key}`, signal, async ({ sdk, client }) => {
      try {
        return storedAs(await client.send(new sdk.HeadObjectCommand(place), { abortSignal: signal }));
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  };

  const open = async (key: string, signal: AbortSignal, range?: { start: number; end: number }, etag?: string): Promise<Answer> => {
    const place = placeOf(key);
    if (range !== undefined) checkRange(key, range);
    const Range = range === undefined ? undefined : `bytes=${range.start}-${range.end}`;
    return connection.attempt(`read ${key}`, signal, async ({ sdk, client }) => {
      const answer = await client.send(new sdk.GetObjectCommand({ ...place, Range, IfMatch: etag }), { abortSignal: signal });
      const start = range?.start ?? 0;
      // A range that was not heeded would pass for the bytes that were asked for.
      if (range !== undefined && answer.$metadata.httpStatusCode !== 206) throw notS3(`read bytes of ${key}`, where);
      const stored = storedAs(answer);
      return { stored, body: answer.Body as Readable, start, end: start + stored.bytes - 1 };
    });
  };

  /** The bytes of an answer. A connection that is cut or falls silent is replaced by a new one from the next byte on. */
  async function* bytesOf(key: string, first: Answer, signal: AbortSignal): AsyncGenerator<Buffer> {
    let { body, start: next } = first;
    for (let attempt = 1; ; ) {
      try {
        for await (const chunk of addAbortSignal(signal, body) as AsyncIterable<Buffer>) {
          next += chunk.length;
          attempt = 1;
          yield chunk;
        }
        if (next > first.end) return;
        throw new Error('the connection was cut');
      } catch (error) {
        signal.throwIfAborted();
        const failure = s3Failure(error, `read ${key}`, where);
        if (attempt++ === connection.attempts) throw failure;
        await connection.pause(attempt, signal);
      }
      if (next > first.end) return;
      ({ body } = await open(key, signal, { start: next, end: first.end }, first.stored.etag));
    }
  }

  const read = async (key: string, signal: AbortSignal, range?: { start: number; end: number }) => {
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const first = await open(key, either, range);
    const stream = Readable.from(bytesOf(key, first, either), { objectMode: false });
    // A reader that goes away leaves no connection behind.
    stream.once('close', () => ended.abort());
    return { stored: first.stored, stream };
  };

  return {
    where,
    head,

    async put(key, file, { replaces, ...given }, signal) {
      const place = placeOf(key);
      checkDigest(key, file, await digestOf(file, signal), given);
      const what = `put ${key}`;
      let expected = replaces;
      const isConditional = replaces !== undefined && (await connection.honoursConditions(signal));
      if (replaces !== undefined && !isConditional && (await head(key, signal))?.etag !== replaces) throw changed(key, where);
      let mayBeStored = false;
      return connection.attempt(what, signal, async ({ sdk, client }) => {
        const command = new sdk.PutObjectCommand({
          ...place,
          ContentLength: given.bytes,
          ContentType: 'application/vnd.apache.parquet',
          Metadata: { sha256: given.sha256 },
          ChecksumSHA256: Buffer.from(given.sha256, 'hex').toString('base64'),
          IfMatch: isConditional ? expected : undefined,
        });
        signPayload(command, given.sha256);
        try {
          expected = (await send(client, command, file, signal)).ETag ?? expected;
        } catch (error) {
          // The answer to an earlier attempt may be lost although the object was stored.
          const isStored = mayBeStored && statusOf(error) === 412 && (await head(key, signal))?.sha256 === given.sha256;
          if (statusOf(error) === 404 && nameOf(error) === 'NoSuchKey') throw changed(key, where);
          mayBeStored ||= (statusOf(error) ?? 500) >= 500;
          if (!isStored) throw error;
        }
        const stored = await head(key, signal);
        if (stored?.bytes === given.bytes) return { ...stored, sha256: given.sha256 };
        throw new TransientError(
          'objects.unavailable',
          `${what} in ${where}: the server has confirmed ${given.bytes} bytes and keeps ${stored === undefined ? 'no object' : stored.bytes}: if that is so again, no object is safe with it`,
        );
      });
    },

    async read(key, signal, range) {
      return (await read(key, signal, range)).stream;
    },

    async local(key, signal) {
      const { stored, stream } = await read(key, signal);
      const path = join(copies, `object-${randomUUID()}.parquet`);
      const release = () => rm(path, { force: true });
      try {
        await mkdir(copies, { recursive: true, mode: 0o700 });
        await pipeline(stream, createWriteStream(path, { mode: 0o600 }), { signal });
        const found = await digestOf(path, signal);
        if (found.bytes !== stored.bytes || (stored.sha256 ?? found.sha256) !== found.sha256)
          throw new PermanentError(
            'objects.damaged',
            `${key} in ${where} is damaged: it was put with ${stored.bytes} bytes and the sha256 ${stored.sha256}, and has ${found.bytes} bytes and ${found.sha256}; download it again with force_refresh`,
          );
      } catch (error) {
        stream.destroy();
        await release();
        signal.throwIfAborted();
        throw copyFailure(error, key, copies);
      }
      return { path, release };
    },

    async delete(key, signal) {
      const place = placeOf(key);
      await connection.attempt(`delete ${key}`, signal, async ({ sdk, client }) => {
        try {
          await client.send(new sdk.DeleteObjectCommand(place), { abortSignal: signal });
        } catch (error) {
          if (nameOf(error) !== 'NoSuchKey') throw error;
        }
      });
    },

    async *list(prefix, signal) {
      for await (const page of pagesOf(connection, prefix, signal)) yield page.filter(({ key }) => isKey(key));
    },

    async prune(before, signal) {
      const left = [await abortUploads(connection, before, signal), await deleteTries(connection, before, signal)];
      return left[0]! + left[1]! + (await deleteCopies(copies, before));
    },
  };
}

/** Bytes of a part of a file that is being sent. */
const CHUNK_BYTES = 256 * 1024;

/** Sends a file as the body. The memory for it does not grow with the file. */
async function send(
  client: Connected['client'],
  command: PutObjectCommand,
  file: string,
  signal: AbortSignal,
): Promise<PutObjectCommandOutput> {
  const body = createReadStream(file, { highWaterMark: CHUNK_BYTES });
  // The SDK waits for ever for the rest of a file that cannot be read.
  const unreadable = new AbortController();
  body.once('error', (error) => unreadable.abort(error));
  command.input.Body = body;
  try {
    return await client.send(command, { abortSignal: AbortSignal.any([signal, unreadable.signal]) });
  } catch (error) {
    throw unreadable.signal.aborted ? unreadable.signal.reason : error;
  } finally {
    body.destroy();
  }
}

/** Puts the sha256 of the body into the signature. The SDK signs a stream without it, since it cannot know it. */
function signPayload(command: PutObjectCommand, sha256: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'signPayload' },
  );
}

function storedAs({ ContentLength, Metadata, ETag }: Pick<HeadObjectCommandOutput, 'ContentLength' | 'Metadata' | 'ETag'>): StoredObject {
  return { bytes: ContentLength ?? 0, sha256: Metadata?.sha256, etag: ETag ?? '' };
}

function copyFailure(error: unknown, key: string, copies: string): unknown {
  if (error instanceof StockmeshError) return error;
  return new TransientError(
    'objects.unavailable',
    `${key} cannot be copied to ${copies}: ${messageOf(error)}: this process needs the right to write there, and room for the object`,
    { cause: error },
  );
}

/** Deletes the copies of processes that were killed. The number of them. */
async function deleteCopies(copies: string, before: Temporal.Instant): Promise<number> {
  let deleted = 0;
  for (const name of await namesIn(copies)) {
    const path = join(copies, name);
    if (!/^object-[0-9a-f-]+\.parquet$/.test(name) || (await stat(path)).mtimeMs >= before.epochMilliseconds) continue;
    await rm(path, { force: true });
    deleted++;
  }
  return deleted;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
