/** Compares the stored objects with their rows in the manifest, and finds what has no row. */
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, messageOf, TransientError } from '../../platform/errors.ts';
import { listObjects, type ManifestRow } from '../manifest.ts';
import type { ObjectStore } from '../objects/store.ts';
import { contentsOf } from './current.ts';

/** What is wrong with an object. */
export interface Fault {
  key: string;
  fault: 'missing' | 'bytes' | 'sha256' | 'rows' | 'unreadable';
  /** For people. */
  text: string;
}

/** Looks into a Parquet file: the number of its rows, which must be in their order and without doubles. Errors: `PermanentError` that says what is wrong. */
export type RowCheck = (row: ManifestRow, signal: AbortSignal) => Promise<number>;

export interface Verified {
  objects: number;
  bytes: number;
  faults: Fault[];
}

const PAGE = 200;

/**
 * Reads every object of the root, or all, again: its bytes, its sha256, and with `rowsOf` its rows. `onObject` is called after each. Errors:
 * `TransientError('objects.unavailable')`, `PermanentError('objects.refused')`, since a store that is away says nothing of its objects.
 */
export async function verifyObjects(
  parts: { sql: Sql; store: ObjectStore; rowsOf: RowCheck },
  root: string | undefined,
  signal: AbortSignal,
  onObject: (row: ManifestRow, fault: Fault | undefined) => void = () => {},
): Promise<Verified> {
  const verified: Verified = { objects: 0, bytes: 0, faults: [] };
  let after: string | undefined;
  for (;;) {
    const page = await listObjects(parts.sql, { root, after, limit: PAGE });
    for (const row of page) {
      signal.throwIfAborted();
      const fault = await faultOf(parts, row, signal);
      verified.objects++;
      verified.bytes += row.bytes;
      if (fault !== undefined) verified.faults.push(fault);
      onObject(row, fault);
    }
    if (page.length < PAGE) return verified;
    after = page.at(-1)?.object.key;
  }
}

async function faultOf(
  { store, rowsOf }: { store: ObjectStore; rowsOf: RowCheck },
  row: ManifestRow,
  signal: AbortSignal,
): Promise<Fault | undefined> {
  const { key } = row.object;
  try {
    const { bytes, sha256 } = await contentsOf(store, key, signal);
    if (bytes !== row.bytes) return { key, fault: 'bytes', text: `it has ${bytes} bytes, the manifest says ${row.bytes}` };
    if (sha256 !== row.sha256) return { key, fault: 'sha256', text: `its sha256 is ${sha256}, the manifest says ${row.sha256}` };
    const rows = await rowsOf(row, signal);
    if (rows !== row.rows) return { key, fault: 'rows', text: `it has ${rows} rows, the manifest says ${row.rows}` };
    return undefined;
  } catch (error) {
    if (codeOf(error) === 'objects.missing')
      return { key, fault: 'missing', text: `the manifest has it, ${store.where} does not; a download with force_refresh brings it back` };
    if (error instanceof TransientError || codeOf(error) === 'objects.refused' || signal.aborted) throw error;
    return { key, fault: 'unreadable', text: messageOf(error) };
  }
}
