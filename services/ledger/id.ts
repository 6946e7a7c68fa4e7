import { randomFillSync } from 'node:crypto';
import { COMMAND } from '../platform/command-name.ts';
import { InputError } from '../platform/errors.ts';

/** Fetched by the page: a call for each id took as long as the rest of it. */
const pool = Buffer.alloc(8 * 512);
let used = pool.length;

function random8(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 8;
  return pool.subarray(used - 8, used);
}

let lastMs = 0;
let counter = 0;

/**
 * A new job id: UUIDv7 (RFC 9562, 5.7) with the 12 bits after the time as a counter (6.2, method 1), so ids of one process ascend strictly.
 * `ms`: the clock's time in milliseconds since the epoch.
 */
export function newJobId(ms: number): string {
  if (ms > lastMs) {
    lastMs = ms;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs++;
    counter = 0;
  }
  const time = lastMs.toString(16).padStart(12, '0');
  const random = random8();
  random[0] = ((random[0] as number) & 0x3f) | 0x80;
  const tail = random.toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

/** The 16 bytes that the database keeps. */
export function idToBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

export function idFromBytes(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Checks what a person typed. Errors: `InputError('job.invalid_id')`. */
export function parseJobId(text: string): string {
  const id = text.trim().toLowerCase();
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))
    throw new InputError(
      'job.invalid_id',
      `"${text.slice(0, 60)}" is not a job id; one looks like 01932c07-5f2a-7000-8a3b-0123456789ab ("${COMMAND} jobs" lists them)`,
    );
  return id;
}

/** Ids in the order in which rows are locked, so two transactions never wait for each other crosswise. */
export function sortedBytes(ids: Iterable<string>): Buffer[] {
  return [...new Set(ids)].sort().map(idToBytes);
}
