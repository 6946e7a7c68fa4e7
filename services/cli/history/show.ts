/** `stockmesh history coverage`, `objects`, `show`, `chain` and `export`: what is stored. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { InputError } from '../../platform/errors.ts';
import { paint } from '../output/colour.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, fields, table } from '../output/table.ts';
import { type AccessOptions, type Coverage, type CoverageQuery, withHistory } from './access.ts';
import { bytesText } from './bar.ts';

/** The day in New York. */
export function dayToday(): string {
  return Temporal.Now.plainDateISO('America/New_York').toString();
}

export interface DatasetOptions extends AccessOptions {
  dataset: 'option' | 'stock';
  schema: string;
  interval?: string | undefined;
  maxDte?: number | undefined;
  basePct?: number | undefined;
  from: string;
  to: string;
  json?: boolean | undefined;
}

function queryOf(root: string, { dataset, schema, interval, maxDte, basePct, from, to }: DatasetOptions): CoverageQuery {
  return {
    ...{ root, dataset, schema: schema as CoverageQuery['schema'], from, to },
    ...(interval === undefined ? {} : { interval }),
    ...(maxDte === undefined ? {} : { max_dte: maxDte }),
    ...(basePct === undefined ? {} : { base_pct: basePct }),
  };
}

const MARKS: Readonly<Record<Coverage['days'][number]['state'], [mark: string, style: Parameters<typeof paint>[0]]>> = {
  complete: ['█', 'green'],
  degraded: ['▒', 'yellow'],
  partial: ['▄', 'yellow'],
  empty: ['o', 'dim'],
  failed: ['x', 'red'],
  not_entitled: ['!', 'magenta'],
  pending: ['~', 'cyan'],
  missing: ['.', 'red'],
  closed: [' ', 'dim'],
};

/** A line a month with a mark a day. */
export async function coverage(root: string, options: DatasetOptions): Promise<number> {
  return withHistory(options, async (history) => {
    const found = await history.coverage(queryOf(root, options));
    if (options.json) {
      printJson(found);
      return 0;
    }
    const { days, counts, interval, schema, dataset } = found;
    print(`${paint('bold', found.root)} ${dataset} ${schema}${schema === 'eod' ? '' : ` ${interval}`} from ${found.from} to ${found.to}`);
    for (const [month, ofMonth] of Map.groupBy(days, ({ date }) => date.slice(0, 7))) {
      const first = Number(ofMonth[0]?.date.slice(8) ?? 1);
      print(`${month}  ${' '.repeat(first - 1)}${ofMonth.map(({ state }) => paint(MARKS[state][1], MARKS[state][0])).join('')}`);
    }
    const present = Object.entries(counts).filter(([state, count]) => count > 0 && state !== 'closed');
    print(present.map(([state, count]) => `${MARKS[state as keyof typeof MARKS][0]} ${count} ${state.replaceAll('_', ' ')}`).join('   '));
    return 0;
  });
}

export interface ObjectsOptions extends AccessOptions {
  dataset?: 'option' | 'stock' | undefined;
  schema?: string | undefined;
  limit: number;
  cursor?: string | undefined;
  json?: boolean | undefined;
}

export async function objects(root: string | undefined, options: ObjectsOptions): Promise<number> {
  return withHistory(options, async (history) => {
    const { dataset, schema, limit, cursor } = options;
    const found = await history.objects({
      limit,
      ...(root === undefined ? {} : { root }),
      ...(dataset === undefined ? {} : { dataset }),
      ...(schema === undefined ? {} : { schema: schema as CoverageQuery['schema'] }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (options.json) printJson(found);
    else if (found.objects.length === 0) print('nothing is stored');
    else {
      print(
        table(found.objects, [
          { title: 'KEY', value: ({ key }) => key },
          { title: 'ROWS', value: ({ rows }) => rows, align: 'right' },
          { title: 'SIZE', value: ({ bytes }) => bytesText(bytes), align: 'right', optional: 2 },
          { title: 'SOURCE', value: ({ source }) => source, optional: 3 },
          { title: 'NOTE', value: ({ is_partial, degraded }) => degraded ?? (is_partial ? 'partial' : null), optional: 1, flexible: 10 },
        ]),
      );
      if (found.next !== null) print(`\nmore: --cursor ${found.next}`);
    }
    return 0;
  });
}

type Row = Readonly<Record<string, string | number | null>>;

/** Columns that are the same for a whole file are left out. */
function rowsTable(rows: readonly Row[]): string {
  const [first = {}] = rows;
  const columns = Object.keys(first).map(
    (name): Column<Row> => ({
      title: name.toUpperCase(),
      value: (row) => row[name],
      ...(typeof first[name] === 'number' ? { align: 'right' as const } : {}),
      ...(SECONDARY.test(name) ? { optional: name.endsWith('condition') ? 3 : 2 } : {}),
    }),
  );
  return table(rows, columns);
}

const SECONDARY = /_exchange$|_condition$|^created$|^last_trade$|^symbol$|_size$|^count$|^vwap$/;

export async function show(key: string, options: AccessOptions & { limit: number; json?: boolean | undefined }): Promise<number> {
  return withHistory(options, async (history) => {
    const found = await history.object(key, options.limit);
    if (options.json) {
      printJson(found);
      return 0;
    }
    const { quality, days, columns, first_rows, ...row } = found;
    const odd = Object.entries(quality).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name.replaceAll('_', ' ')}`]));
    print(
      fields([
        ['object', paint('bold', row.key)],
        ['rows', `${row.rows}, on ${plural(Object.keys(days).length, 'day')}`],
        ['size', `${bytesText(row.bytes)}, sha256 ${row.sha256}`],
        ['source', `${row.source_version}, asked at ${row.as_of}`],
        ['partial', row.is_partial ? 'yes: it is refreshed with the next download' : null],
        ['degraded', row.degraded],
        ['odd rows', odd.length === 0 ? null : odd.join(', ')],
        ['written by', `${row.writer}, job ${row.job_id}`],
        ['columns', columns.map(({ name, type }) => `${name} ${type}`).join(', ')],
      ]),
    );
    if (first_rows.length > 0) print(`\n${rowsTable(first_rows)}`);
    return 0;
  });
}

export interface ChainOptions extends AccessOptions {
  at: string;
  schema?: string | undefined;
  interval?: string | undefined;
  maxDte?: number | undefined;
  basePct?: number | undefined;
  limit: number;
  json?: boolean | undefined;
}

export async function chain(root: string, options: ChainOptions): Promise<number> {
  const { at, schema, interval, maxDte, basePct, limit } = options;
  return withHistory(options, async (history) => {
    const found = await history.chain({
      ...{ root, at, limit },
      ...(schema === undefined ? {} : { schema: schema as CoverageQuery['schema'] }),
      ...(interval === undefined ? {} : { interval }),
      ...(maxDte === undefined ? {} : { max_dte: maxDte }),
      ...(basePct === undefined ? {} : { base_pct: basePct }),
    });
    const rows = found.rows.slice(0, limit);
    if (options.json) {
      printJson({ ...found, rows });
      return 0;
    }
    const underlying = found.underlying === null ? '' : `, underlying closed at ${found.underlying}`;
    print(`${paint('bold', found.root)} at ${found.at}: ${plural(found.contracts, 'contract')}, ${found.source}${underlying}`);
    if (rows.length > 0) print(rowsTable(rows));
    if (rows.length < found.contracts) print(`${rows.length} of ${found.contracts}; --limit shows more`);
    return 0;
  });
}

export interface ExportOptions extends DatasetOptions {
  out?: string | undefined;
  allowGaps?: boolean | undefined;
}

/** To a file, or to standard output. Errors: those of `newFile` and of the export. */
export async function exportCsv(root: string, options: ExportOptions): Promise<number> {
  const { out, allowGaps } = options;
  return withHistory(options, async (history) => {
    const target = out === undefined ? toStandardOutput() : (await newFile(out)).createWriteStream();
    const query = { ...queryOf(root, options), ...(allowGaps ? { allow_gaps: 'true' as never } : {}) };
    await history.exportTo(query, target).catch(async (error: unknown) => {
      // A part of the rows is no export.
      target.destroy();
      if (out !== undefined) await rm(out, { force: true });
      throw error;
    });
    return 0;
  });
}

/** Errors: `InputError('export.file_exists')`, and those of the file system. */
function newFile(path: string): Promise<FileHandle> {
  return open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new InputError('export.file_exists', `${path} exists already; name another file`) : error;
  });
}

/** It stays open for the process. */
function toStandardOutput(): Writable {
  return new Writable({ write: (chunk, _, done) => void process.stdout.write(chunk, () => done()) });
}
