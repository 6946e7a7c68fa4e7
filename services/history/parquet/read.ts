/** What is read from stored files in the process of DuckDB. */
import { access, rename, rm } from 'node:fs/promises';
import { messageOf, PermanentError, StockmeshError } from '../../platform/errors.ts';
import { type Database, firstLine, linkTo, list, literal, quoted, translate, withDatabase } from './duckdb.ts';
import { date, dayExpression, duplicated, plainExpression, readAll, stampUs, timeText, unordered, withRowBefore } from './examine.ts';
import { type Answer, type ProcessSettings, QUARTER_US, type Question, type SentSelection } from './messages.ts';
import type { FileColumn, PlainRow } from './reader.ts';
import { checksum, keeps } from './write.ts';

const TYPES: Readonly<Record<string, string>> = { 'TIMESTAMP WITH TIME ZONE': 'TIMESTAMPTZ' };

/** One file, or several of one dataset. */
interface OpenFiles {
  db: Database;
  /** As SQL reads all of them. */
  source: string;
  columns: FileColumn[];
}

export function firstRows({ path, limit }: Question<'firstRows'>, settings: ProcessSettings): Promise<PlainRow[]> {
  return withFiles([path], settings, [], ({ db, source, columns }) =>
    db.rows(`SELECT ${plainColumns(columns)} FROM ${source} LIMIT ${limit}`),
  );
}

export function schema({ path }: Question<'schema'>, settings: ProcessSettings): Promise<FileColumn[]> {
  return withFiles([path], settings, [], async ({ columns }) => columns);
}

export async function exportCsv({ paths, selection, out }: Question<'export'>, settings: ProcessSettings): Promise<number> {
  const part = `${out}.part`;
  try {
    const rows = await withFiles(paths, settings, [part], async ({ db, source, columns }) => {
      await requireUnderlying(db, source, columns, selection);
      const select = columns.map((column) => `${csvExpression(column)} AS ${quoted(column.name)}`);
      const [copy] = await db.rows<{ Count: string }>(
        `COPY (SELECT ${list(select)} FROM ${source} WHERE ${condition(columns, selection)}) TO ${literal(part)} (FORMAT csv, HEADER true, USE_TMP_FILE false)`,
      );
      return Number(copy!.Count);
    });
    await rename(part, out);
    return rows;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

export function chain({ paths, selection }: Question<'chain'>, settings: ProcessSettings): Promise<PlainRow[]> {
  return withFiles(paths, settings, [], async ({ db, source, columns }) => {
    await requireUnderlying(db, source, columns, selection);
    const contract = ['symbol', ...(isOption(columns) ? ['expiration', 'strike', 'right'] : [])].map(quoted);
    const time = quoted(timeOf(columns));
    const where = condition(columns, selection);
    return db.rows(`SELECT ${plainColumns(columns)} FROM ${source}
      JOIN (SELECT ${list(contract)}, max(${time}) AS ${time} FROM ${source} WHERE ${where} GROUP BY ${list(contract)}) USING (${list([...contract, time])})
      WHERE ${where} ORDER BY ${list(contract)}`);
  });
}

/** Of times the rows are counted by the quarter of an hour: whoever knows the time zone makes days of them. */
export async function verify({ path }: Question<'verify'>, settings: ProcessSettings): Promise<Answer<'verify'>> {
  const found = await withFiles([path], settings, [], async ({ db, columns }, [link]) => {
    const time = timeOf(columns);
    const key = [...(isOption(columns) ? ['expiration', 'strike', 'right'] : []), time];
    const isDay = time === 'trade_date';
    const quarter = isDay ? 'CAST(trade_date AS VARCHAR)' : `CAST(${stampUs} // ${QUARTER_US} AS VARCHAR)`;
    return db.rows<{ quarter: string; n: string; unsorted: string; twice: string; first: string; last: string }>(`
      SELECT ${quarter} AS quarter, count(*) AS n, count(*) FILTER (WHERE ${unordered(key)}) AS unsorted, count(*) FILTER (WHERE ${duplicated(key)}) AS twice, ${readAll(columns)},
        ${isDay ? 'CAST(min(trade_date) AS VARCHAR)' : timeOfUs('min')} AS first, ${isDay ? 'CAST(max(trade_date) AS VARCHAR)' : timeOfUs('max')} AS last
      FROM (${withRowBefore(link!, key)}) GROUP BY quarter`);
  });
  const sum = (name: 'n' | 'unsorted' | 'twice'): number => found.reduce((total, row) => total + Number(row[name]), 0);
  return {
    ...(await checksum(path)),
    rows: sum('n'),
    isSorted: sum('unsorted') === 0,
    duplicates: sum('twice'),
    first: found.map(({ first }) => first).sort()[0] ?? null,
    last:
      found
        .map(({ last }) => last)
        .sort()
        .at(-1) ?? null,
    quarters: Object.fromEntries(found.map(({ quarter, n }) => [quarter, Number(n)])),
  };
}

const timeOfUs = (aggregate: string): string => `strftime(make_timestamp(${aggregate}(${stampUs})), '%Y-%m-%dT%H:%M:%S.%gZ')`;

async function withFiles<T>(
  paths: readonly string[],
  settings: ProcessSettings,
  out: readonly string[],
  work: (files: OpenFiles, links: readonly string[]) => Promise<T>,
): Promise<T> {
  const links: string[] = [];
  for (const [index, path] of paths.entries()) {
    await access(path).catch((error: unknown) => {
      throw new PermanentError('history.unreadable', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
    });
    links.push(await linkTo(path, `${index}.parquet`));
  }
  const source = `read_parquet([${list(links.map(literal))}], hive_partitioning = false)`;
  try {
    return await withDatabase(settings, [...links, ...out], async (db) =>
      work({ db, source, columns: await columnsOf(db, source) }, links),
    );
  } catch (error) {
    throw readable(error, paths, links);
  }
}

/** What DuckDB cannot read is an error of the file, but for what lies in this machine. */
function readable(error: unknown, paths: readonly string[], links: readonly string[]): Error {
  const message = messageOf(error);
  if (error instanceof StockmeshError || !/^\w[\w ]* Error: /.test(message)) return error as Error;
  if (/^(Out of Memory|Permission) Error|No space left/.test(message)) return translate(error, () => error as Error);
  const index = links.findIndex((link) => message.includes(link));
  const name = index === -1 ? paths.join(', ') : paths[index];
  return new PermanentError('history.unreadable', `${name} is no Parquet file that can be read: ${firstLine(message)}`);
}

async function columnsOf(db: Database, source: string): Promise<FileColumn[]> {
  const rows = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${source}`);
  const columns = rows.map(({ column_name, column_type }) => ({
    name: column_name,
    type: (TYPES[column_type] ?? column_type) as FileColumn['type'],
  }));
  const has = (name: string): boolean => columns.some((column) => column.name === name);
  if (!has('symbol') || !(has('timestamp') || has('trade_date')))
    throw new PermanentError(
      'history.unreadable',
      `a file with the columns ${list(columns.map(({ name }) => name))} is none of the history's`,
    );
  return columns;
}

const isOption = (columns: readonly FileColumn[]): boolean => columns.some(({ name }) => name === 'strike');
const timeOf = (columns: readonly FileColumn[]): 'timestamp' | 'trade_date' =>
  columns.some(({ name }) => name === 'trade_date') ? 'trade_date' : 'timestamp';
const plainColumns = (columns: readonly FileColumn[]): string =>
  list(columns.map((column) => `${plainExpression(column)} AS ${quoted(column.name)}`));

/** A number of 64 bits stays one. */
const csvExpression = ({ name, type }: FileColumn): string => (type === 'TIMESTAMPTZ' ? timeText(name) : quoted(name));

function condition(columns: readonly FileColumn[], { fromUs, untilUs, fromDay, toDay, filter }: SentSelection): string {
  const isDay = timeOf(columns) === 'trade_date';
  const range = isDay
    ? [fromDay === null ? '' : `trade_date >= ${date(fromDay)}`, toDay === null ? '' : `trade_date <= ${date(toDay)}`]
    : [fromUs === null ? '' : `${stampUs} >= ${fromUs}`, untilUs === null ? '' : `${stampUs} < ${untilUs}`];
  const all = [...range.filter((part) => part !== ''), ...(filter === null ? [] : [keeps(isDay ? 'eod' : 'quote', filter)])];
  return all.length === 0 ? 'true' : all.join(' AND ');
}

/** A row of a day without a price could not be kept or dropped. */
async function requireUnderlying(db: Database, source: string, columns: readonly FileColumn[], selection: SentSelection): Promise<void> {
  if (selection.filter === null) return;
  const isDay = timeOf(columns) === 'trade_date';
  const day = dayExpression(isDay ? 'eod' : 'quote', selection.filter.days);
  const time = isDay ? 'CAST(trade_date AS VARCHAR)' : timeText('timestamp');
  const [row] = await db.rows<{ time: string }>(
    `SELECT ${time} AS time FROM ${source} WHERE ${condition(columns, { ...selection, filter: null })} AND (${day}) IS NULL LIMIT 1`,
  );
  if (row !== undefined)
    throw new PermanentError(
      'history.no_underlying',
      `the filter needs the closing price of the underlying on the day of ${row.time}, and there is none`,
    );
}
