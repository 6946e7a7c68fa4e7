/** A conversion in the process of DuckDB: read, sort, write beside, read back, flush, rename. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { PermanentError, TransientError } from '../../platform/errors.ts';
import { rowKey, storedColumns } from './columns.ts';
import type { Conversion, Converted } from './convert.ts';
import { type CsvGroup, countLines, csvError, readCsv, readHeaders } from './csv-files.ts';
import type { OffsetPeriod } from './days.ts';
import { type Database, linkTo, list, literal, quoted, translate, withDatabase } from './duckdb.ts';
import { dayExpression, type Examined, examine } from './examine.ts';
import type { ProcessSettings, Question, SentFilter } from './messages.ts';

/** Rows that DuckDB skips as one. Measured on 5 million quotes: fewer make the file larger, more make one contract slower to read. */
const ROW_GROUP = 122_880;

export async function convert(question: Question<'convert'>, settings: ProcessSettings): Promise<Converted> {
  const { conversion, part } = question;
  await rm(part, { force: true });
  try {
    const written = await write(question, settings);
    if (written.rows === 0) {
      await rm(part, { force: true });
      return {
        rows: 0,
        bytes: 0,
        sha256: '',
        days: {},
        quality: { crossed: 0, zeroBids: 0, outsideSession: 0, oddBids: 0 },
        writer: written.writer,
      };
    }
    const examined = await readBack(question, settings, written.rows);
    const { bytes, sha256 } = await checksum(part);
    await flush(part);
    await rename(part, conversion.out);
    await flush(dirname(conversion.out));
    return { ...examined, bytes, sha256, writer: written.writer };
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function write(question: Question<'convert'>, settings: ProcessSettings): Promise<{ rows: number; writer: string }> {
  const { conversion, part, offsets } = question;
  const groups = await readHeaders(conversion.files);
  if (groups.length === 0) throw new PermanentError('history.malformed', 'there is no file to read');
  const links = groups.flatMap((group) => [...group.links.keys()]);
  // The last byte of a packed file is known at its end only, so both read at once.
  const [lines, copied] = await Promise.allSettled([
    linesOf(conversion),
    withDatabase(settings, [...links, part], async (db) => {
      await db.rows(etMacro(offsets));
      const select = selectOf(question, groups);
      const [version] = await db.rows<{ version: string }>('SELECT version() AS version');
      const read = conversion.filter === undefined ? undefined : await countRows(db, groups);
      const [copy] = await db.rows<{ Count: string }>(
        `COPY (${select} ORDER BY ${list(rowKey(conversion).map(quoted))}) TO ${literal(part)}
         (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP}, USE_TMP_FILE false)`,
      );
      return { rows: Number(copy!.Count), read: read ?? Number(copy!.Count), writer: `DuckDB ${version!.version}` };
    }).catch((error: unknown) => {
      throw translate(error, (message) => csvError(message, groups));
    }),
  ]);
  if (lines.status === 'rejected') throw lines.reason;
  if (copied.status === 'rejected') throw copied.reason;
  if (copied.value.read !== lines.value)
    throw new PermanentError(
      'history.malformed',
      `${conversion.files.map(({ path }) => path).join(', ')}: ${lines.value} lines, but ${copied.value.read} rows; a line is empty, or a quoted text goes over several lines`,
    );
  return copied.value;
}

async function linesOf({ files }: Conversion): Promise<number> {
  let lines = 0;
  for (const file of files) lines += await countLines(file);
  return lines;
}

async function countRows(db: Database, groups: readonly CsvGroup[]): Promise<number> {
  const [row] = await db.rows<{ n: string }>(
    `SELECT count(*) AS n FROM (${groups.map((group) => `SELECT 1 FROM ${readCsv(group)}`).join(' UNION ALL ')})`,
  );
  return Number(row!.n);
}

/** The macro of the layouts: wall time of New York to UTC. Around the days of the conversion it adds a constant. */
export function etMacro(offsets: readonly OffsetPeriod[]): string {
  const cases = offsets.map(
    ({ from, until, offsetUs }) =>
      `WHEN t >= TIMESTAMP '${from} 00:00:00' AND t < TIMESTAMP '${until} 00:00:00' THEN make_timestamptz(epoch_us(t) + ${offsetUs})`,
  );
  const zoned = "t AT TIME ZONE 'America/New_York'";
  return `CREATE MACRO et(t) AS ${cases.length === 0 ? zoned : `CASE ${cases.join(' ')} ELSE ${zoned} END`}`;
}

function selectOf({ conversion, days }: Question<'convert'>, groups: readonly CsvGroup[]): string {
  const rows = groups.map((group) => `SELECT ${list(columnsOf(conversion, group))} FROM ${readCsv(group)}`).join(' UNION ALL ');
  const { filter } = conversion;
  if (filter === undefined) return `SELECT * FROM (${rows})`;
  const priced = days.map((day) => ({ ...day, underlying: filter.underlying[day.day]! }));
  return `SELECT * FROM (${rows}) WHERE ${keeps(conversion.schema, { ...filter, days: priced })}`;
}

function columnsOf(conversion: Conversion, { layout }: CsvGroup): string[] {
  const stored = storedColumns(conversion);
  const unknown = Object.keys(layout.select).find((name) => !stored.some((column) => column.name === name));
  if (unknown !== undefined)
    throw new PermanentError('history.layout', `${layout.name} selects ${unknown}, which no file of ${conversion.schema} has`);
  return stored.map(({ name, type, optional }) => {
    const expression = name === 'symbol' ? literal(conversion.root) : layout.select[name];
    if (expression === undefined && !optional) throw new PermanentError('history.layout', `${layout.name} does not select ${name}`);
    return `CAST(${expression ?? 'NULL'} AS ${type}) AS ${quoted(name)}`;
  });
}

/** Which contracts a filter keeps, as SQL. Rows of other days are kept: they fail the file. */
export function keeps(schema: Conversion['schema'], { maxDte, basePct, days }: SentFilter): string {
  const day = dayExpression(schema, days);
  const underlying = `CASE ${day} ${days.map((each) => `WHEN DATE ${literal(each.day)} THEN CAST(${each.underlying} AS DOUBLE)`).join(' ')} END`;
  const dte = `greatest(expiration - (${day}), 1)`;
  return `((${day}) IS NULL OR (${dte} <= ${maxDte} AND abs(strike - ${underlying}) <= ${underlying} * ${basePct} * sqrt(${dte})))`;
}

/** By another instance: what the first one still has in memory is not in the file. */
async function readBack({ conversion, part, days }: Question<'convert'>, settings: ProcessSettings, rows: number): Promise<Examined> {
  const link = await linkTo(part, 'out.parquet');
  const examined = await withDatabase(settings, [link], (db) => examine(db, link, conversion, days));
  if (examined.rows !== rows)
    throw new TransientError(
      'history.converter',
      `${rows} rows were written to ${conversion.out}, but ${examined.rows} are in the file; it was not kept`,
    );
  return examined;
}

export async function checksum(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return { bytes: (await stat(path)).size, sha256: hash.digest('hex') };
}

async function flush(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
