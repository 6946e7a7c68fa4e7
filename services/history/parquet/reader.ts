/** Reads stored objects: local Parquet files, in the process that runs DuckDB. Answers are plain JSON: days `YYYY-MM-DD`, times ISO in UTC with milliseconds, numbers as numbers. */
import { createReadStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ContractFilter } from '../dataset.ts';
import { createParquetChild, type ParquetChildOptions } from './child.ts';
import type { StoredColumn } from './columns.ts';

/** A row by the names of `storedColumns`. */
export type PlainRow = Readonly<Record<string, string | number | null>>;

export type FileColumn = Pick<StoredColumn, 'name' | 'type'>;

/** A filter with the closing price of the underlying on each trading day that the files have rows of. */
export type PricedFilter = ContractFilter & { underlying: Readonly<Record<string, number>> };

export interface Selection {
  /** Trading days, both inclusive. */
  from?: string | undefined;
  to?: string | undefined;
  filter?: PricedFilter | undefined;
}

export interface Verification {
  rows: number;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Whether the rows are in the order of `rowKey`. */
  isSorted: boolean;
  /** Rows with the same key as the row before them. */
  duplicates: number;
  /** The smallest and the largest time, of an end-of-day file the trading day; null without rows. */
  first: string | null;
  last: string | null;
  /** Rows of each trading day that has some. */
  days: Readonly<Record<string, number>>;
}

/**
 * All files of one call are of one dataset. Errors: `PermanentError('history.unreadable')` for a file that is missing or no Parquet file of ours,
 * `PermanentError('history.no_underlying')` for a filter without the price of a day, `TransientError('history.converter')` when the process ended.
 */
export interface ParquetReader {
  /** The first rows in the order of the file. */
  firstRows(path: string, limit: number, signal?: AbortSignal): Promise<PlainRow[]>;
  schemaOf(path: string, signal?: AbortSignal): Promise<FileColumn[]>;
  /**
   * Writes the rows as CSV with a header line, in the order of the files: to a file, or to a stream, which is ended then. Nothing is written to a stream before all rows have
   * been read, so a broken file is an error and never a short answer. Gives the number of rows.
   */
  exportCsv(paths: readonly string[], selection: Selection, out: string | Writable, signal?: AbortSignal): Promise<number>;
  /**
   * Of each contract the last row at or before a moment, in the order of contracts; of an end-of-day file the rows of the day of that moment in New York. `paths`: the
   * object of that trading day.
   */
  chainAt(paths: readonly string[], at: Temporal.Instant, filter?: PricedFilter, signal?: AbortSignal): Promise<PlainRow[]>;
  /** Reads the whole file. */
  verify(path: string, signal?: AbortSignal): Promise<Verification>;
  /** Ends the process. */
  close(): Promise<void>;
}

/** Starts its process when it is first asked. */
export function createReader(options: ParquetChildOptions): ParquetReader {
  const child = createParquetChild(options);
  return {
    firstRows: (path, limit, signal) => child.call({ kind: 'firstRows', path, limit }, signal),
    schemaOf: (path, signal) => child.call({ kind: 'schema', path }, signal),
    async exportCsv(paths, selection, out, signal) {
      if (typeof out === 'string') return child.call({ kind: 'export', paths, selection, out }, signal);
      return child.withFile('export.csv', async (file) => {
        const rows = await child.call({ kind: 'export', paths, selection, out: file }, signal);
        await pipeline(createReadStream(file), out, { signal });
        return rows;
      });
    },
    chainAt: (paths, at, filter, signal) => child.call({ kind: 'chain', paths, at: at.toString(), filter }, signal),
    verify: (path, signal) => child.call({ kind: 'verify', path }, signal),
    close: () => child.close(),
  };
}
