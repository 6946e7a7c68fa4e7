/** The port of the sources of history. A source downloads what one object needs into files; the converter turns these into Parquet. */
import type { HISTORY_SOURCES } from '../../platform/config/sections/history.ts';
import { PermanentError } from '../../platform/errors.ts';
import type { Dataset, ObjectSpec } from '../dataset.ts';
import type { Layout } from '../parquet/layout.ts';

export type HistorySourceName = (typeof HISTORY_SOURCES)[number];

/** The source refuses everything that this job would ask: wrong parameters, a terminal on another address, a second terminal on the account. The job stops with the reason. */
export class StopError extends PermanentError {}

/** The account may not read these days, and so no earlier ones either. */
export class NotEntitledError extends PermanentError {}

export interface HistorySource {
  readonly name: HistorySourceName;
  /** Why it cannot give a dataset, as a half sentence for people ("it has prices at the end of the day only"); undefined when it can. */
  refuses(dataset: Dataset): string | undefined;
  /** Requests that the `days` of an object (trading days, ascending) take, for the plan of a download. */
  calls(object: ObjectSpec, days: readonly string[]): number;
  /**
   * Downloads the rows of the `days` of an object (trading days, ascending) into files of `folder`, which exists and is empty. Everything is followed to its end: pages,
   * expirations. A file is whole: the answer ended cleanly and its last line ends with a newline.
   *
   * Errors: `TransientError` for what may work later; `PermanentError` for this object; `StopError` for the whole job.
   */
  fetch(object: ObjectSpec, days: readonly string[], folder: string, signal: AbortSignal): Promise<Fetched>;
}

export interface Fetched {
  /** Empty when the source has no data of these days. */
  files: readonly SourceFile[];
  /** What was asked, in order; for people. */
  requests: readonly SourceRequest[];
  /** Such as `theta v3`. */
  version: string;
  /** When the source says that the data last changed. */
  modified?: Temporal.Instant | undefined;
  /** Why the data are worth less than usual, such as days that the source itself calls degraded. */
  degraded?: string | undefined;
}

/** A CSV file, plain or gzip (`.gz`). */
export interface SourceFile {
  path: string;
  layout: Layout;
}

export interface SourceRequest {
  /** Without user names, passwords and tokens. */
  url: string;
  status: number;
  bytes: number;
}
