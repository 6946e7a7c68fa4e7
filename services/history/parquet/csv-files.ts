/** The CSV files of a source: whether each is whole, and what DuckDB is told of it. Nothing is guessed. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { PermanentError } from '../../platform/errors.ts';
import { plain } from '../../platform/text/characters.ts';
import type { SourceFile } from '../sources/source.ts';
import { firstLine, linkTo, list, literal } from './duckdb.ts';
import type { Layout } from './layout.ts';

const NEWLINE = 10;
/** Bytes that are read at once. */
const CHUNK = 1 << 20;
/** Bytes of a header line at most. */
const HEADER = 64 * 1024;
/** Bytes of DuckDB's buffer. With its own 32 MB, sorting 5 million quotes within 250 MB runs out of memory. */
const BUFFER = 8 << 20;
/** Characters of a line that an error quotes. */
const QUOTED = 200;

/** Files with the same layout and the same order of columns, which DuckDB reads as one. */
export interface CsvGroup {
  layout: Layout;
  /** In the order of the files. */
  columns: readonly string[];
  isGzip: boolean;
  /** The paths by the names under which DuckDB reads them. */
  links: Map<string, string>;
}

/** Reads the headers and gives each file a name in the working directory. */
export async function readHeaders(files: readonly SourceFile[]): Promise<CsvGroup[]> {
  const groups = new Map<string, CsvGroup>();
  for (const [index, { path, layout }] of files.entries()) {
    const columns = layout.header ? headerColumns(path, layout, await headerLine(path)) : Object.keys(layout.columns);
    const isGzip = path.endsWith('.gz');
    const key = JSON.stringify([layout, columns, isGzip]);
    const group = groups.get(key) ?? { layout, columns, isGzip, links: new Map() };
    groups.set(key, group);
    group.links.set(await linkTo(path, `in-${index}.csv`), path);
  }
  return [...groups.values()];
}

/** The `read_csv` of a group. */
export function readCsv({ layout, columns, isGzip, links }: CsvGroup): string {
  const types = columns.map((name) => `${literal(name)}: ${literal(layout.columns[name]!)}`);
  return `read_csv([${list([...links.keys()].map(literal))}], columns = {${list(types)}}, header = ${layout.header}, auto_detect = false, strict_mode = true,
    delim = ',', quote = '"', escape = '"', nullstr = '', compression = ${literal(isGzip ? 'gzip' : 'none')}, buffer_size = ${BUFFER}, hive_partitioning = false, union_by_name = false, filename = false)`;
}

/** Reads a file to its end. Gives its lines without the header; throws when it does not end with the end of a line, or is no whole gzip file. */
export async function countLines({ path, layout }: SourceFile): Promise<number> {
  let lines = 0;
  let last = NEWLINE;
  await readAll(path, (chunk) => {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines++;
    last = chunk.at(-1) ?? last;
    return true;
  });
  if (last !== NEWLINE) throw malformed(path, layout, lines + 1, 'is cut: its last line has no end');
  return lines - (layout.header ? 1 : 0);
}

async function headerLine(path: string): Promise<string> {
  let text = Buffer.alloc(0);
  await readAll(path, (chunk) => {
    text = Buffer.concat([text, chunk]);
    return !text.includes(NEWLINE) && text.length < HEADER;
  });
  const end = text.indexOf(NEWLINE);
  if (end === -1) {
    const found = text.length === 0 ? 'is empty' : `has no header line: ${quote(text.toString('utf8'))}`;
    throw new PermanentError('history.malformed', `${path} ${found}; an answer without rows has a header line, so this one was cut`);
  }
  return text.toString('utf8', 0, end);
}

/** Calls `use` with each piece of the file, unpacked, until that gives false. */
async function readAll(path: string, use: (chunk: Buffer) => boolean): Promise<void> {
  const stopped = new AbortController();
  const isGzip = path.endsWith('.gz');
  const file = createReadStream(path, { highWaterMark: CHUNK });
  const read = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) if (!use(chunk)) return stopped.abort();
  };
  try {
    if (isGzip) await pipeline(file, createGunzip({ chunkSize: CHUNK }), read, { signal: stopped.signal });
    else await pipeline(file, read, { signal: stopped.signal });
  } catch (error) {
    if (stopped.signal.aborted) return;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!isGzip || !code.startsWith('Z_')) throw error;
    const { size } = await stat(path);
    throw new PermanentError('history.malformed', `${path} is no whole gzip file (${(error as Error).message}; it has ${size} bytes)`, {
      cause: error,
    });
  }
}

function headerColumns(path: string, { name, columns }: Layout, line: string): string[] {
  const found = namesIn(line);
  const missing = Object.keys(columns).filter((column) => !found.includes(column));
  const unknown = found.filter((column) => !Object.hasOwn(columns, column));
  const twice = found.filter((column, index) => found.indexOf(column) !== index);
  const faults = [
    ...missing.map((column) => `column ${quote(column)} is missing`),
    ...unknown.map((column) => `column ${quote(column)} is unknown`),
    ...twice.map((column) => `column ${quote(column)} is there twice`),
  ];
  if (faults.length === 0) return found;
  const expected = `${name} has ${Object.keys(columns).join(', ')}`;
  throw new PermanentError('history.malformed', `${path}:1: ${faults.join('; ')} in the header ${quote(line)}; ${expected}`);
}

/** The line itself as one name when it is no CSV. */
function namesIn(line: string): string[] {
  try {
    return (parse(line, { bom: true, trim: true }) as string[][])[0] ?? [];
  } catch {
    return [line];
  }
}

/** The error of DuckDB's CSV reader, with the file, the line and its text. */
export function csvError(message: string, groups: readonly CsvGroup[]): PermanentError {
  const found = /CSV Error on Line: (\d+)\n(?:Original Line: (.*)\n)?([^\n]*)[\s\S]*?file = ([^\n]*)/.exec(message);
  const paths = new Map(groups.flatMap(({ links }) => [...links]));
  if (found === null) return new PermanentError('history.malformed', `${[...paths.values()].join(', ')}: ${plain(firstLine(message))}`);
  const [, line, text, reason, file] = found;
  const path = paths.get(file!.trim()) ?? file!;
  const layout = groups.find(({ links }) => links.has(file!.trim()))?.layout;
  return malformed(path, layout, Number(line), `${plain(reason!)}${text === undefined ? '' : `: ${quote(text)}`}`);
}

export function malformed(path: string, layout: Layout | undefined, line: number, reason: string): PermanentError {
  return new PermanentError('history.malformed', `${path}:${line}: ${reason}${layout === undefined ? '' : ` (read as ${layout.name})`}`);
}

function quote(text: string): string {
  const shown = plain(text.replace(/\r$/, ''));
  return `"${shown.length > QUOTED ? `${shown.slice(0, QUOTED)}…` : shown}"`;
}
