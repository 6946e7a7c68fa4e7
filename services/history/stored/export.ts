/** The rows of a range as CSV, in the order of days. */
import { PassThrough, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { InputError } from '../../platform/errors.ts';
import type { Coverage } from '../coverage.ts';
import type { Download } from '../dataset.ts';
import { type ManifestRow, readObjects } from '../manifest.ts';
import { pricedFilter } from '../underlying.ts';
import { currentRow, lookAtAll } from './current.ts';
import { type StoredHistory, withFile } from './files.ts';

export interface Export {
  objects: ManifestRow[];
  /** Writes the header and the rows, and ends `out`; gives the number of rows. Errors: those of the store and of `ParquetReader.exportCsv`; `out` is destroyed by then. */
  write(out: Writable, signal: AbortSignal): Promise<number>;
}

/**
 * Prepares the export of the days of a download that are stored. Errors: `InputError('history.incomplete')` where days are missing and `allowGaps` is not set,
 * `InputError('history.unknown')`, `PermanentError('history.no_underlying')`, those of `currentRow`.
 */
export async function prepareExport(
  history: StoredHistory,
  download: Download,
  { days }: Coverage,
  { allowGaps, signal }: { allowGaps: boolean; signal: AbortSignal },
): Promise<Export> {
  const { sql } = history;
  const missing = days.filter(({ state }) => state !== 'complete' && state !== 'degraded' && state !== 'empty' && state !== 'closed');
  if (missing.length > 0 && !allowGaps) throw incomplete(download, missing);
  const keys = [...new Set(days.flatMap(({ key, rows }) => (key !== null && rows !== null ? [key] : [])))];
  if (keys.length === 0)
    throw new InputError('history.unknown', `nothing of ${download.root} is stored from ${download.from} to ${download.to}`);
  const stored = await readObjects(sql, keys);
  // All are looked at before the first row is written, since then nothing can be refused any more.
  const objects = await lookAtAll(
    keys.flatMap((key) => stored.get(key) ?? []),
    (row) => currentRow(history, row, signal),
  );
  const filter = await pricedFilter(
    history,
    download.root,
    days.flatMap(({ date, rows }) => (rows === null ? [] : [date])),
    { filter: download.filter, signal },
  );
  const { from, to } = download;
  return {
    objects,
    async write(out, signal) {
      const counted = { rows: 0 };
      await pipeline(() => csvOf(history, objects, { from, to, filter }, counted, signal), out, { signal });
      return counted.rows;
    },
  };
}

type Selection = Parameters<StoredHistory['reader']['exportCsv']>[1];

/** Pieces of the text: the header of the first object, and the rows of all, one object after the other. The CSV of one may be a gigabyte on the disk. */
async function* csvOf(
  history: StoredHistory,
  objects: readonly ManifestRow[],
  selection: Selection,
  counted: { rows: number },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (const [index, object] of objects.entries()) {
    const csv = new PassThrough();
    const reading = withFile(history, object, signal, (path) => history.reader.exportCsv([path], selection, csv, signal));
    reading.catch((error: Error) => csv.destroy(error));
    yield* index === 0 ? csv : withoutFirstLine(csv);
    counted.rows += await reading;
  }
}

async function* withoutFirstLine(csv: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isCut = false;
  for await (const chunk of csv) {
    const end = isCut ? -1 : chunk.indexOf('\n');
    if (isCut) yield chunk;
    else if (end !== -1) {
      isCut = true;
      yield chunk.subarray(end + 1);
    }
  }
}

function incomplete({ root }: Download, missing: Coverage['days']): InputError {
  const [{ date, state } = { date: '', state: '' }] = missing;
  const days = missing.length === 1 ? `${date} is` : `${missing.length} days are not stored whole, the first is ${date}, which is`;
  return new InputError(
    'history.incomplete',
    `${root}: ${days} ${state.replaceAll('_', ' ')}; fill the gaps first, or say that they may be left out (allow_gaps, --allow-gaps)`,
  );
}
