/** What reads stored objects: the manifest, the files, and the process that knows Parquet. */
import type { Sql } from '../../platform/database/database.ts';
import type { ContractFilter } from '../dataset.ts';
import type { ManifestRow } from '../manifest.ts';
import type { ObjectStore } from '../objects/store.ts';
import type { FileColumn, ParquetReader, PlainRow, PricedFilter } from '../parquet/reader.ts';
import { closesOf } from '../underlying.ts';

export interface StoredHistory {
  sql: Sql;
  store: ObjectStore;
  reader: ParquetReader;
}

/** Runs `work` with local files of the objects, and releases them. Errors: those of the store and of `work`. */
export async function withFiles<T>(
  { store }: Pick<StoredHistory, 'store'>,
  rows: readonly ManifestRow[],
  signal: AbortSignal,
  work: (paths: string[]) => Promise<T>,
): Promise<T> {
  const files: { path: string; release(): Promise<void> }[] = [];
  try {
    for (const { object } of rows) files.push(await store.local(object.key, signal));
    return await work(files.map(({ path }) => path));
  } finally {
    await Promise.all(files.map((file) => file.release()));
  }
}

/** The columns and the first rows of an object. Errors: as `withFiles`. */
export function lookInto(
  history: StoredHistory,
  row: ManifestRow,
  limit: number,
  signal: AbortSignal,
): Promise<{ columns: FileColumn[]; rows: PlainRow[] }> {
  const { reader } = history;
  return withFiles(history, [row], signal, async ([path = '']) => ({
    columns: (await reader.schemaOf(path, signal)).map(({ name, type }) => ({ name, type })),
    rows: limit === 0 ? [] : await reader.firstRows(path, limit, signal),
  }));
}

/** A filter with the closes of the underlying. Errors: `PermanentError('history.no_underlying')` that says how to get them. */
export async function pricedFilter(
  sql: Sql,
  root: string,
  days: readonly string[],
  filter: ContractFilter | undefined,
): Promise<PricedFilter | undefined> {
  return filter === undefined ? undefined : { ...filter, underlying: await closesOf(sql, root, days) };
}
