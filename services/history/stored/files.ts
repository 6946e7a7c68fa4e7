/** What reads stored objects: the manifest, the files, and the process that knows Parquet. */
import type { Sql } from '../../platform/database/database.ts';
import type { ManifestRow } from '../manifest.ts';
import type { ObjectStore } from '../objects/store.ts';
import type { FileColumn, ParquetReader, PlainRow } from '../parquet/reader.ts';
import { currentRow } from './current.ts';

export interface StoredHistory {
  sql: Sql;
  store: ObjectStore;
  reader: ParquetReader;
}

/** Runs `work` with a local file of an object that is as the manifest says, and releases it. Errors: those of `currentRow`, the store and `work`. */
export async function withFile<T>(
  history: Pick<StoredHistory, 'sql' | 'store'>,
  row: ManifestRow,
  signal: AbortSignal,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const { object } = await currentRow(history, row, signal);
  const file = await history.store.local(object.key, signal);
  try {
    return await work(file.path);
  } finally {
    await file.release();
  }
}

/** The columns and the first rows of an object. Errors: as `withFile`. */
export function lookInto(
  history: StoredHistory,
  row: ManifestRow,
  limit: number,
  signal: AbortSignal,
): Promise<{ columns: FileColumn[]; rows: PlainRow[] }> {
  const { reader } = history;
  return withFile(history, row, signal, async (path) => ({
    columns: (await reader.schemaOf(path, signal)).map(({ name, type }) => ({ name, type })),
    rows: limit === 0 ? [] : await reader.firstRows(path, limit, signal),
  }));
}
