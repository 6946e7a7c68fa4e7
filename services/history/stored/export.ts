/** The rows of a range as CSV, in the order of days. */
import { PassThrough, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { InputError } from '../../platform/errors.ts';
import type { Coverage } from '../coverage.ts';
import type { Download } from '../dataset.ts';
import { type ManifestRow, readObjects } from '../manifest.ts';
import { pricedFilter, type StoredHistory, withFiles } from './files.ts';

/** Objects that are read at once: the CSV of a day may be a gigabyte on the disk, and nothing is sent before it is whole. */
const AT_ONCE = 1;

export interface Export {
  objects: ManifestRow[];
  /** Writes the header and the rows, and ends `out`; gives the number of rows. Errors: those of the store and of `ParquetReader.exportCsv`; `out` is destroyed by then. */
  write(out: Writable, signal: AbortSignal): Promise<number>;
}

/**
 * Prepares the export of the days of a download that are stored. Errors: `InputError('history.incomplete')` where days are missing and `allowGaps` is not set,
 * `InputError('history.unknown' | 'history.no_underlying')`.
 */
export async function prepareExport(history: StoredHistory, download: Download, { days }: Coverage, allowGaps: boolean): Promise<Export> {
  const { sql } = history;
  const missing = days.filter(({ state }) => state !== 'complete' && state !== 'degraded' && state !== 'empty' && state !== 'closed');
  if (missing.length > 0 && !allowGaps) throw incomplete(download, missing);
  const keys = [...new Set(days.flatMap(({ key, rows }) => (key !== null && rows !== null ? [key] : [])))];
  if (keys.length === 0)
    throw new InputError('history.unknown', `nothing of ${download.root} is stored from ${download.from} to ${download.to}`);
  const stored = await readObjects(sql, keys);
  const objects = keys.flatMap((key) => stored.get(key) ?? []);
  const filter = await pricedFilter(
    sql,
    download.root,
    days.flatMap(({ date, rows }) => (rows === null ? [] : [date])),
    download.filter,
  );
  const { from, to } = download;
  return {
    objects,
    async write(out, signal) {
      let rows = 0;
      const body = new PassThrough();
      const sent = pipeline(body, out, { signal });
      // Its error is that of the loop below, which the failed pipeline ends.
      sent.catch(() => undefined);
      try {
        for (let start = 0; start < objects.length; start += AT_ONCE) {
          const chunk = objects.slice(start, start + AT_ONCE);
          rows += await withFiles(history, chunk, signal, (paths) =>
            writeRows(history, paths, { from, to, filter }, start === 0, body, signal),
          );
        }
        body.end();
      } catch (error) {
        body.destroy(error as Error);
        throw error;
      }
      await sent;
      return rows;
    },
  };
}

async function writeRows(
  { reader }: StoredHistory,
  paths: readonly string[],
  selection: Parameters<StoredHistory['reader']['exportCsv']>[1],
  withHeader: boolean,
  body: PassThrough,
  signal: AbortSignal,
): Promise<number> {
  const csv = withHeader ? new PassThrough() : withoutFirstLine();
  const [rows] = await Promise.all([reader.exportCsv(paths, selection, csv, signal), pipeline(csv, body, { end: false, signal })]);
  return rows;
}

function withoutFirstLine(): Transform {
  let isCut = false;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (isCut) return done(null, chunk);
      const end = chunk.indexOf('\n');
      isCut = end !== -1;
      done(null, isCut ? chunk.subarray(end + 1) : undefined);
    },
  });
}

function incomplete({ root }: Download, missing: Coverage['days']): InputError {
  const [{ date, state } = { date: '', state: '' }] = missing;
  const days = missing.length === 1 ? `${date} is` : `${missing.length} days are not stored whole, the first is ${date}, which is`;
  return new InputError(
    'history.incomplete',
    `${root}: ${days} ${state.replaceAll('_', ' ')}; fill the gaps first, or say that they may be left out (allow_gaps, --allow-gaps)`,
  );
}
