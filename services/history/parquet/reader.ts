/** Reads stored objects: local Parquet files, in the process that runs DuckDB. Answers are plain JSON: days `YYYY-MM-DD`, times ISO in UTC with milliseconds, numbers as numbers. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { usCalendar } from '../../market/calendar/calendar.ts';
import type { ContractFilter } from '../dataset.ts';
import { createParquetChild, type ParquetChildOptions } from './child.ts';
import type { StoredColumn } from './columns.ts';
import { dayStart, dayWindows, microseconds, tradingDayOf } from './days.ts';
import { ownFolder, removeFolder } from './folder.ts';
import { QUARTER_US, type SentSelection } from './messages.ts';

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
      const question = { kind: 'export' as const, paths, selection: sent(selection) };
      if (typeof out === 'string') return child.call({ ...question, out }, signal);
      const folder = await ownFolder(options.tempFolder);
      try {
        const file = join(folder, 'export.csv');
        const rows = await child.call({ ...question, out: file }, signal);
        await pipeline(createReadStream(file), out, { signal });
        return rows;
      } finally {
        await removeFolder(folder);
      }
    },
    chainAt: (paths, at, filter, signal) =>
      child.call({ kind: 'chain', paths, selection: { ...sent({ filter }), ...untilMoment(at) } }, signal),
    async verify(path, signal) {
      const { quarters, ...found } = await child.call({ kind: 'verify', path }, signal);
      return { ...found, days: daysOf(quarters) };
    },
    close: () => child.close(),
  };
}

function sent({ from, to, filter }: Selection): SentSelection {
  return {
    fromUs: from === undefined ? null : microseconds(dayStart(from)),
    untilUs: to === undefined ? null : microseconds(dayStart(dayAfter(to))),
    fromDay: from ?? null,
    toDay: to ?? null,
    filter:
      filter === undefined
        ? null
        : {
            ...{ maxDte: filter.maxDte, basePct: filter.basePct },
            days: dayWindows(Object.keys(filter.underlying), 'option').map((window) => ({
              ...window,
              underlying: filter.underlying[window.day]!,
            })),
          },
  };
}

function untilMoment(at: Temporal.Instant): Pick<SentSelection, 'untilUs' | 'fromDay' | 'toDay'> {
  const day = at.toZonedDateTimeISO(usCalendar.timeZone).toPlainDate().toString();
  return { untilUs: Number(at.epochNanoseconds / 1000n) + 1, fromDay: day, toDay: day };
}

const dayAfter = (day: string): string => Temporal.PlainDate.from(day).add({ days: 1 }).toString();

/** Rows by trading day, of rows by day or by quarter of an hour since the epoch. */
function daysOf(quarters: Readonly<Record<string, number>>): Record<string, number> {
  const days: Record<string, number> = {};
  for (const [quarter, rows] of Object.entries(quarters)) {
    const day = quarter.includes('-')
      ? quarter
      : tradingDayOf(Temporal.Instant.fromEpochMilliseconds((Number(quarter) * QUARTER_US) / 1000));
    days[day] = (days[day] ?? 0) + rows;
  }
  return Object.fromEntries(Object.entries(days).sort(([a], [b]) => (a < b ? -1 : 1)));
}
