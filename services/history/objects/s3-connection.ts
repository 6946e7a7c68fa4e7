/** The connection to a bucket: the SDK, loaded with the first use, its checks, and the repetition of what may work a moment later. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type * as Sdk from '@aws-sdk/client-s3';
import { TransientError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { notS3, s3Failure, statusOf } from './s3-errors.ts';

export interface Bucket {
  bucket: string;
  /** In front of every key: empty, or it ends with `/`. */
  prefix: string;
  region: string;
  /** Undefined: AWS. */
  endpoint?: string | undefined;
  /** Undefined: those that the SDK finds in the environment, in files or by the machine's role. */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined;
  pathStyle: boolean;
}

export interface Patience {
  /** Attempts of one request. */
  attempts: number;
  /** Milliseconds before the second attempt; each further one waits twice as long, and a random half less. */
  backoffMs: number;
  /** Milliseconds without a byte. */
  silenceMs: number;
}

/** Eight seconds in all: what lasts longer is left to the retries of the job. */
export const PATIENCE: Patience = { attempts: 5, backoffMs: 500, silenceMs: 60_000 };

/** For keys of the store's own, which no object has. */
export const OWN = '.stockmesh-';

/** The SDK writes to the console what it throws as well, past the log. */
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export interface Connected {
  sdk: typeof Sdk;
  client: Sdk.S3Client;
}

export class S3Connection {
  readonly where: string;
  readonly bucket: Bucket;
  readonly #patience: Patience;
  readonly #log: Logger;
  #connected: Promise<Connected> | undefined;
  #conditions: Promise<boolean> | undefined;

  constructor(bucket: Bucket, patience: Patience, log: Logger) {
    this.bucket = bucket;
    this.#patience = patience;
    this.#log = log;
    this.where = `the bucket ${bucket.bucket} at ${bucket.endpoint === undefined ? `AWS (${bucket.region})` : new URL(bucket.endpoint).host}`;
  }

  /** With the first use the bucket is looked at once. Errors: `PermanentError('objects.refused')`, `TransientError('objects.unavailable')`. */
  async connected(signal: AbortSignal): Promise<Connected> {
    this.#connected ??= this.#connect().catch((error: unknown) => {
      this.#connected = undefined;
      throw error;
    });
    return abortable(this.#connected, signal);
  }

  /** Whether the server heeds `If-Match`. Not every one does; it is tried out once, since a server that does not says nothing. */
  async honoursConditions(signal: AbortSignal): Promise<boolean> {
    this.#conditions ??= this.#tryConditions().catch((error: unknown) => {
      this.#conditions = undefined;
      throw error;
    });
    return abortable(this.#conditions, signal);
  }

  /**
   * Repeats `work` while it fails with what may work a moment later, with growing pauses. `work` is told the attempt, from 1 on. Errors: of the port, and the signal's own
   * reason.
   */
  async attempt<T>(what: string, signal: AbortSignal, work: (connected: Connected, attempt: number) => Promise<T>): Promise<T> {
    const connected = await this.connected(signal);
    return this.#repeat(what, signal, (attempt) => work(connected, attempt));
  }

  /** The pause before an attempt, from the second on. */
  async pause(attempt: number, signal: AbortSignal, atLeastMs = 0): Promise<void> {
    const longest = this.#patience.backoffMs * 2 ** (attempt - 2);
    await delay(Math.max(atLeastMs, longest * (0.5 + Math.random() / 2)), undefined, { signal });
  }

  get attempts(): number {
    return this.#patience.attempts;
  }

  async #repeat<T>(what: string, signal: AbortSignal, work: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await work(attempt);
      } catch (error) {
        signal.throwIfAborted();
        const failure = s3Failure(error, what, this.where);
        const isWorthIt = failure instanceof TransientError && failure.code === 'objects.unavailable';
        if (!isWorthIt || attempt === this.#patience.attempts) throw failure;
        this.#log.debug({ attempt, reason: failure.message }, 'a request to the object store is repeated');
        await this.pause(attempt + 1, signal, failure.retryAfterMs);
      }
    }
  }

  async #connect(): Promise<Connected> {
    // 22 MB and 75 ms that a folder does not need.
    const sdk = await import('@aws-sdk/client-s3');
    const { bucket, prefix, region, endpoint, credentials, pathStyle } = this.bucket;
    const client = new sdk.S3Client({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
      forcePathStyle: pathStyle,
      // The SDK does not repeat what has a stream as its body, so all repetitions are ours.
      maxAttempts: 1,
      // The SDK's own checksums come as trailers of chunked bodies, which servers of other makers store as part of the object. Every put here has its sha256 in the signature.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      logger: SILENT,
      requestHandler: { connectionTimeout: 10_000, socketTimeout: this.#patience.silenceMs, logger: SILENT },
    });
    const connected = { sdk, client };
    const signal = AbortSignal.timeout(this.#patience.attempts * this.#patience.silenceMs);
    const found = await this.#repeat('look for objects', signal, () =>
      client.send(new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }), { abortSignal: signal }),
    );
    if (found.Name === undefined && found.KeyCount === undefined) throw notS3('look for objects', this.where);
    return connected;
  }

  /** Replaces an object that is not there, on condition of its etag. */
  async #tryConditions(): Promise<boolean> {
    const signal = AbortSignal.timeout(this.#patience.attempts * this.#patience.silenceMs);
    const Key = `${this.bucket.prefix}${OWN}${randomUUID()}`;
    const place = { Bucket: this.bucket.bucket, Key };
    const honoured = await this.attempt('try out If-Match', signal, async ({ sdk, client }) => {
      try {
        await client.send(new sdk.PutObjectCommand({ ...place, Body: '', IfMatch: '"00000000000000000000000000000000"' }), {
          abortSignal: signal,
        });
      } catch (error) {
        if (statusOf(error) === 412 || statusOf(error) === 404) return true;
        if (statusOf(error) !== 501) throw error;
      }
      await client.send(new sdk.DeleteObjectCommand(place), { abortSignal: signal });
      return false;
    });
    if (!honoured)
      this.#log.warn(
        { store: this.where },
        'the object store does not heed If-Match: an object is compared before it is replaced, which another process may do at the same moment',
      );
    return honoured;
  }
}

/** The promise goes on for others. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
