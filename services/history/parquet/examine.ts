/** What a Parquet file must be: rows in order, none twice, each of its day, numbers that can be. One pass, in the order of the file. */
import { PermanentError } from '../../platform/errors.ts';
import { rowKey, storedColumns } from './columns.ts';
import type { Conversion, Quality } from './convert.ts';
import type { DayWindow } from './days.ts';
import { type Database, list, literal, type PlainValue, quoted } from './duckdb.ts';

export interface Examined {
  rows: number;
  days: Record<string, number>;
  quality: Quality;
}

/** A condition that no row may meet, and what is wrong with one that does. */
interface Fault {
  sql: string;
  words: string;
}

/** A moment as an SQL number of microseconds. */
export const stampUs = 'epoch_us("timestamp")';

/** The trading day of a row as an SQL expression; NULL outside of all days. Compares numbers: a time zone's arithmetic takes ten times as long. */
export function dayExpression(schema: Conversion['schema'], days: readonly DayWindow[]): string {
  if (days.length === 0) return 'CAST(NULL AS DATE)';
  if (schema === 'eod') return `CASE WHEN trade_date IN (${list(days.map(({ day }) => date(day)))}) THEN trade_date END`;
  const cases = days.map(({ day, fromUs, lastUs }) => `WHEN ${stampUs} BETWEEN ${fromUs} AND ${lastUs} THEN ${date(day)}`);
  return `CASE ${cases.join(' ')} END`;
}

export const date = (day: string): string => `DATE ${literal(day)}`;

/** Throws `PermanentError('history.bad_rows')` with the first row that cannot be. */
export async function examine(db: Database, file: string, conversion: Conversion, days: readonly DayWindow[]): Promise<Examined> {
  const faults = faultsOf(conversion, days);
  const source = sourceOf(file, conversion, days);
  const { crossed, zeroBids, outsideSession, oddBids } = qualityOf(conversion, days);
  const rows = await db.rows<Record<keyof Quality | 'n' | 'bad', string> & { day_of_row: string | null }>(`
    SELECT day_of_row, count(*) AS n, count(*) FILTER (WHERE ${anyOf(faults)}) AS bad, count(*) FILTER (WHERE ${crossed}) AS crossed,
      count(*) FILTER (WHERE ${zeroBids}) AS "zeroBids", count(*) FILTER (WHERE ${outsideSession}) AS "outsideSession",
      count(*) FILTER (WHERE ${oddBids}) AS "oddBids",
      ${readAll(storedColumns(conversion))}
    FROM (${source}) GROUP BY day_of_row ORDER BY day_of_row`);
  const sum = (name: keyof Quality | 'n' | 'bad'): number => rows.reduce((total, row) => total + Number(row[name]), 0);
  const bad = sum('bad');
  if (bad > 0) throw await badRows(db, source, faults, conversion, bad);
  return {
    rows: sum('n'),
    days: Object.fromEntries(rows.map(({ day_of_row, n }) => [day_of_row!, Number(n)])),
    quality: { crossed: sum('crossed'), zeroBids: sum('zeroBids'), outsideSession: sum('outsideSession'), oddBids: sum('oddBids') },
  };
}

/** Aggregates that need each column, so that none is passed over: what cannot be unpacked is an error. */
export const readAll = (columns: readonly { name: string }[]): string =>
  list(columns.map(({ name }, index) => `count(${quoted(name)}) AS count_${index}`));

/** The key of the row before, as columns `before_…`. The window without an order is a stream: it takes no memory and follows the file. */
export function withRowBefore(file: string, key: readonly string[], more = ''): string {
  return `SELECT *, ${list(key.map((name) => `lag(${quoted(name)}) OVER () AS ${quoted(`before_${name}`)}`))}${more} FROM read_parquet(${literal(file)}, hive_partitioning = false)`;
}

function sourceOf(file: string, conversion: Conversion, days: readonly DayWindow[]): string {
  return withRowBefore(file, rowKey(conversion), `, ${dayExpression(conversion.schema, days)} AS day_of_row`);
}

/** Whether a row does not come after the one before it. */
export function unordered(key: readonly string[]): string {
  const [name, ...rest] = key;
  const [value, before] = [quoted(name!), quoted(`before_${name}`)];
  return rest.length === 0 ? `${value} < ${before}` : `(${value} < ${before} OR (${value} = ${before} AND ${unordered(rest)}))`;
}

export const duplicated = (key: readonly string[]): string =>
  key.map((name) => `${quoted(name)} = ${quoted(`before_${name}`)}`).join(' AND ');

const anyOf = (faults: readonly Fault[]): string => faults.map(({ sql }) => `(${sql})`).join(' OR ');

function faultsOf(conversion: Conversion, days: readonly DayWindow[]): Fault[] {
  const columns = storedColumns(conversion);
  const key = rowKey(conversion);
  const names = days.map(({ day }) => day);
  const asked = names.length > 3 ? `${names[0]} to ${names.at(-1)}` : names.join(', ');
  const hours =
    conversion.asset === 'option'
      ? 'from 20:15 in New York on the day before to 17:00'
      : 'from 20:15 in New York on the day before to 20:00';
  return [
    ...columns.filter(({ optional }) => !optional).map(({ name }) => ({ sql: `${quoted(name)} IS NULL`, words: `there is no ${name}` })),
    ...columns.flatMap(({ name, type }) => {
      if (type === 'DOUBLE')
        return [
          { sql: `NOT isfinite(${quoted(name)})`, words: `${name} is no number` },
          { sql: `${quoted(name)} < 0`, words: `${name} is negative` },
        ];
      if (name === 'expiration') return [{ sql: `NOT isfinite(${quoted(name)})`, words: `${name} is no day` }];
      if (name === 'right') return [{ sql: `${quoted(name)} NOT IN ('C', 'P')`, words: 'right is neither C nor P' }];
      return [];
    }),
    conversion.schema === 'eod'
      ? { sql: 'day_of_row IS NULL', words: `trade_date is none of the days that were asked for (${asked})` }
      : { sql: 'day_of_row IS NULL', words: `the time is outside of the days that were asked for (${asked}; a day is ${hours})` },
    // The last trade of a contract may be days ago, and `created` is hours after the close.
    ...(conversion.schema === 'eod' ? days.map(lateTrade) : []),
    { sql: duplicated(key), words: `the row before it has the same ${key.join(', ')}` },
    { sql: unordered(key), words: 'the row before it comes after it' },
  ];
}

function lateTrade({ day, lastUs }: DayWindow): Fault {
  return { sql: `trade_date = ${date(day)} AND epoch_us(last_trade) > ${lastUs}`, words: 'the last trade is after the end of its day' };
}

/** The counted conditions as SQL. */
function qualityOf({ asset, schema }: Conversion, days: readonly DayWindow[]): Record<keyof Quality, string> {
  const hasQuote = schema !== 'ohlc';
  // A bar's stamp is its opening time, so one that opens at the close is after it.
  const sessions = days.flatMap(({ openUs, closeUs }) =>
    openUs === null || closeUs === null ? [] : [`${stampUs} BETWEEN ${openUs} AND ${schema === 'ohlc' ? closeUs - 1 : closeUs}`],
  );
  return {
    crossed: hasQuote ? 'bid > ask AND ask > 0' : 'false',
    zeroBids: hasQuote ? 'bid = 0' : 'false',
    outsideSession: schema === 'eod' ? 'false' : sessions.length === 0 ? 'true' : `NOT (${sessions.join(' OR ')})`,
    oddBids: schema === 'eod' && asset !== undefined ? '"close" > 0 AND bid > 0 AND (bid > 2 * "close" OR bid < "close" / 2)' : 'false',
  };
}

async function badRows(
  db: Database,
  source: string,
  faults: readonly Fault[],
  conversion: Conversion,
  bad: number,
): Promise<PermanentError> {
  const reason = `CASE ${faults.map(({ sql, words }) => `WHEN ${sql} THEN ${literal(words)}`).join(' ')} END`;
  const columns = storedColumns(conversion).map(({ name, type }) => `${plainExpression({ name, type })} AS ${quoted(name)}`);
  const [row] = await db.rows<Record<string, PlainValue>>(
    `SELECT ${reason} AS reason_of_fault, ${list(columns)} FROM (${source}) WHERE ${anyOf(faults)} LIMIT 1`,
  );
  const { reason_of_fault, ...values } = row!;
  const text = Object.entries(values)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return new PermanentError(
    'history.bad_rows',
    `${bad === 1 ? 'a row cannot be' : `${bad} rows cannot be, the first one`}: ${reason_of_fault} (${text})`,
  );
}

/** A stored column as JSON has it: days `YYYY-MM-DD`, times ISO in UTC with milliseconds, numbers as numbers. */
export function plainExpression({ name, type }: { name: string; type: string }): string {
  if (type === 'TIMESTAMPTZ') return timeText(name);
  if (type === 'DATE') return `CAST(${quoted(name)} AS VARCHAR)`;
  // Counts are far below 2^53.
  return type === 'BIGINT' ? `CAST(${quoted(name)} AS DOUBLE)` : quoted(name);
}

export const timeText = (name: string): string => `strftime(make_timestamp(epoch_us(${quoted(name)})), '%Y-%m-%dT%H:%M:%S.%gZ')`;
