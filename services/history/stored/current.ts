/** Whether the file in the store is the one that the manifest describes. Nothing of another file is shown: it may be cut, damaged, or of another download. */
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sql } from '../../platform/database/database.ts';
import { PermanentError } from '../../platform/errors.ts';
import { isDaily } from '../dataset.ts';
import { type ManifestRow, readObjects } from '../manifest.ts';
import type { ObjectStore, StoredObject } from '../objects/store.ts';

/** A refresh puts its file a moment before its row. */
const TRIES = 3;
const PAUSE_MS = 100;

/** Reads an object to its end: its length, and its sha256 in lower-case hex. Errors: those of `ObjectStore.read`. */
export async function contentsOf(
  store: Pick<ObjectStore, 'read'>,
  key: string,
  signal: AbortSignal,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(await store.read(key, signal), async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      bytes += chunk.length;
      hash.update(chunk);
    }
  });
  return { bytes, sha256: hash.digest('hex') };
}

/**
 * The row of an object, once the file in the store is the one that it describes: by length and etag, and by its sha256 where only the etag is another one. Of a refresh that
 * replaces both at this moment it is the new row. Errors: `PermanentError('objects.damaged')` with the way out; those of the store.
 */
export async function currentRow(
  { sql, store }: { sql: Sql; store: ObjectStore },
  row: ManifestRow,
  signal: AbortSignal,
): Promise<ManifestRow> {
  const { key } = row.object;
  let current = row;
  for (let tries = 1; ; tries++) {
    const found = await store.head(key, signal);
    if (found !== undefined && (await isDescribed(store, found, current, signal))) return current;
    if (tries === TRIES) throw damaged(current, found, store.where);
    await delay(PAUSE_MS, undefined, { signal });
    current = (await readObjects(sql, [key])).get(key) ?? current;
  }
}

/** Objects that are looked at together: with a bucket each is a request. */
const LOOKS = 16;

/** What `look` gives of each row, some at once. */
export async function lookAtAll<T>(rows: readonly ManifestRow[], look: (row: ManifestRow) => Promise<T>): Promise<T[]> {
  const found: T[] = [];
  for (let start = 0; start < rows.length; start += LOOKS) found.push(...(await Promise.all(rows.slice(start, start + LOOKS).map(look))));
  return found;
}

/** The keys of those whose file is lost, or is not the one that the row describes. Errors: those of the store. */
export async function lostOf(store: ObjectStore, rows: readonly ManifestRow[], signal: AbortSignal): Promise<string[]> {
  const lost = await lookAtAll(rows, async (row) => {
    const { key } = row.object;
    const found = await store.head(key, signal);
    return found !== undefined && (await isDescribed(store, found, row, signal)) ? [] : [key];
  });
  return lost.flat();
}

async function isDescribed(
  store: ObjectStore,
  found: StoredObject,
  { object, ...row }: ManifestRow,
  signal: AbortSignal,
): Promise<boolean> {
  if (found.bytes !== row.bytes || (found.sha256 ?? row.sha256) !== row.sha256) return false;
  // A folder that was copied without its times has other etags.
  return found.etag === row.etag || (await contentsOf(store, object.key, signal)).sha256 === row.sha256;
}

function damaged({ object, bytes, asOf }: ManifestRow, found: StoredObject | undefined, where: string): PermanentError {
  const { key, asset, root, schema, interval, period, filter } = object;
  const what =
    found === undefined
      ? `is not in ${where}`
      : `in ${where} is not the file that the manifest describes (${found.bytes === bytes ? 'its contents differ' : `it has ${found.bytes} bytes, the manifest says ${bytes}`})`;
  // A period that was not over may still not be: days to come are refused.
  const [to] = [period.to, asOf.toISOString().slice(0, 10)].sort();
  const options = [
    ...['--from', period.from, '--to', to, '--schema', schema],
    ...(isDaily(schema) ? [] : ['--interval', interval]),
    ...(filter === undefined ? [] : ['--max-dte', filter.maxDte, '--base-pct', filter.basePct]),
  ];
  return new PermanentError(
    'objects.damaged',
    `${key} ${what}; "history verify ${root}" tells which others are not, and "history ${asset} ${root} ${options.join(' ')} --force" downloads it again`,
  );
}
