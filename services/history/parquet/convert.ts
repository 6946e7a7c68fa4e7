/** What the converter takes and gives: a port, since it runs DuckDB in a process of its own. */
import type { ContractFilter, Dataset } from '../dataset.ts';
import type { SourceFile } from '../sources/source.ts';

export interface Conversion extends Dataset {
  root: string;
  files: readonly SourceFile[];
  /** The trading days that rows may be of; others fail the object. */
  days: readonly string[];
  /** The closing price of the underlying on each day, for the filter. */
  filter?: (ContractFilter & { underlying: Readonly<Record<string, number>> }) | undefined;
  /** Where the Parquet file is written. */
  out: string;
}

/** Rows that are stored as they came, and counted, since they say something of the source. */
export interface Quality {
  /** Bid above ask, both above zero. */
  crossed: number;
  zeroBids: number;
  /** Times outside of the regular session of their day. */
  outsideSession: number;
  /** At the end of the day: a bid more than twice, or less than half of, the close. */
  oddBids: number;
}

export interface Converted {
  /** 0: nothing is left of the source's rows by the filter; no file is written then. */
  rows: number;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Rows of each trading day that has some. */
  days: Readonly<Record<string, number>>;
  quality: Quality;
  /** Such as `DuckDB v1.5.6`. */
  writer: string;
}

export interface Converter {
  /**
   * Reads the files, sorts their rows, writes a Parquet file beside `out`, reads it back (order, duplicates, ranges, number of rows), flushes it and renames it.
   * Errors: `PermanentError('history.malformed')` for a file that is not what its layout says, with file, line and text; `PermanentError('history.bad_rows')` for rows that
   * cannot be (times outside of the day, prices that are negative or no number, the same contract and time twice), with the first of them;
   * `TransientError('history.converter')` when its process ended.
   */
  convert(conversion: Conversion, signal: AbortSignal): Promise<Converted>;
  close(): Promise<void>;
}
