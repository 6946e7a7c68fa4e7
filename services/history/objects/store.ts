/** The port of the object stores: a folder, or S3. */
import type { Readable } from 'node:stream';

export interface StoredObject {
  bytes: number;
  /** Lower-case hex, as it was given when the object was put; undefined for an object that was put there by other means. */
  sha256: string | undefined;
  /** For `put` with `replaces`; a folder's is made of time and size. */
  etag: string;
}

export interface ObjectStore {
  /** For people: `the folder /srv/history`, `the bucket quotes at s3.example`. */
  readonly where: string;
  /**
   * Puts a local file under its key. Atomic: a reader sees the old object or the new one, and a kill at any moment leaves no object that reads as whole. The store checks the
   * bytes against `sha256` and their number. Without `replaces` an object that is there already is replaced too.
   * `replaces`: only if the object there still has this etag, else `TransientError('objects.changed')`.
   * Errors: `TransientError('objects.unavailable')` for what may work later (5xx, a cut connection, a full disk); `PermanentError('objects.refused')` for wrong credentials or
   * a missing bucket, with the way out.
   */
  put(
    key: string,
    file: string,
    options: { sha256: string; bytes: number; replaces?: string | undefined },
    signal: AbortSignal,
  ): Promise<StoredObject>;
  /** Undefined when there is none. Errors: as `put`. */
  head(key: string, signal: AbortSignal): Promise<StoredObject | undefined>;
  /** The bytes, or `range` of them (both inclusive). Errors: `PermanentError('objects.missing')`; as `put`. */
  read(key: string, signal: AbortSignal, range?: { start: number; end: number }): Promise<Readable>;
  /** A local file with the object's bytes. `release` deletes it if it is a copy. Errors: as `read`. */
  local(key: string, signal: AbortSignal): Promise<{ path: string; release(): Promise<void> }>;
  /** No error when there is none. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** All keys that begin so, in their order, a page at a time. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<readonly { key: string; bytes: number; modified: Temporal.Instant }[]>;
  /** Deletes what interrupted puts have left behind and is older than `before`; the number of them. */
  prune(before: Temporal.Instant, signal: AbortSignal): Promise<number>;
}
