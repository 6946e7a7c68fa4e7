/** What both stores take as a key, and how they know a file before they keep it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { PermanentError, TransientError } from '../../platform/errors.ts';

/** How the name of a file ends that is still being written. */
export const UNFINISHED = '.part';

/** Of a name, in bytes: file systems allow 255, and the name of an unfinished file is longer. */
const NAME_BYTES = 200;
/** Of a key: S3 allows 1,024 with its prefix. */
const KEY_BYTES = 800;

/** Names with a dot in front are the store's own. So no key can lead out of its folder. */
export function isKey(key: string): boolean {
  return Buffer.byteLength(key) <= KEY_BYTES && key.split('/').every(isName);
}

function isName(name: string): boolean {
  return /^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u.test(name) && !name.endsWith(UNFINISHED) && Buffer.byteLength(name) <= NAME_BYTES;
}

/** Errors: `PermanentError('objects.bad_key')`. */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  throw new PermanentError(
    'objects.bad_key',
    `${JSON.stringify(key)} cannot be the key of an object: it needs names divided by "/", such as "historical-stock/eod/root=AAPL/year=2024/data.parquet"; a name is at most ${NAME_BYTES} bytes long, does not begin with a dot, does not end with "${UNFINISHED}", and has no backslash and no control character`,
  );
}

/** Errors: `PermanentError('objects.bad_range')`. */
export function checkRange(key: string, { start, end }: { start: number; end: number }, bytes?: number): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start && start < (bytes ?? Number.POSITIVE_INFINITY))
    return;
  const has = bytes === undefined ? '' : ` has ${bytes} bytes, and`;
  throw new PermanentError(
    'objects.bad_range',
    `${key}${has} cannot be read from byte ${start} to byte ${end}: the first byte is 0, both ends are included`,
  );
}

/** Its number of bytes and the sha256 of them, in lower-case hex. */
export interface Digest {
  bytes: number;
  sha256: string;
}

/** Reads a file once, and hands its bytes on to `write`. The memory for it does not grow with the file. Errors: those of the file system. */
export async function digestOf(file: string, signal: AbortSignal, write?: (chunk: Buffer) => Promise<void>): Promise<Digest> {
  signal.throwIfAborted();
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 512 * 1024 }) as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    hash.update(chunk);
    bytes += chunk.length;
    await write?.(chunk);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Errors: `PermanentError('objects.checksum')` where a file is not what its maker says. */
export function checkDigest(key: string, file: string, found: Digest, given: Digest): void {
  if (found.bytes === given.bytes && found.sha256 === given.sha256) return;
  throw new PermanentError(
    'objects.checksum',
    `${file} is not the file that was to be stored as ${key}: it has ${found.bytes} bytes and the sha256 ${found.sha256}, and should have ${given.bytes} bytes and ${given.sha256}; nothing was stored, the object must be made again`,
  );
}

/** For `replaces`. */
export function changed(key: string, where: string): TransientError {
  return new TransientError(
    'objects.changed',
    `${key} in ${where} is no longer the object that was to be replaced: it was stored anew or deleted meanwhile`,
  );
}
