/** Reads what a source has written as its layout says, with DuckDB and nothing of the converter. */
import { DuckDBInstance } from '@duckdb/node-api';
import type { Layout } from '../../../services/history/parquet/layout.ts';
import type { SourceFile } from '../../../services/history/sources/source.ts';

export type Row = Record<string, string | number | null>;

/** Times and dates as text (UTC), numbers as numbers; `order` names columns. */
export async function rowsOf(files: readonly SourceFile[], order: readonly string[] = []): Promise<Row[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run(`SET TimeZone = 'UTC'; CREATE MACRO et(t) AS (t AT TIME ZONE 'America/New_York')`);
    const by = order.length === 0 ? '' : ` ORDER BY ${order.map((name) => `"${name}"`).join(', ')}`;
    const result = await connection.runAndReadAll(`${files.map(selectOf).join(' UNION ALL ')}${by}`);
    return result.getRowObjectsJS().map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function selectOf({ path, layout }: SourceFile): string {
  const columns = Object.entries(layout.columns).map(([name, type]) => `'${name}': '${type}'`);
  const select = Object.entries(layout.select).map(([name, expression]) => `${expression} AS "${name}"`);
  return `(SELECT ${select.join(', ')} FROM read_csv('${path}', auto_detect = false, header = ${layout.header}, delim = ',', columns = {${columns.join(', ')}}))`;
}

function plain(value: unknown): string | number | null {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  throw new TypeError(`a ${typeof value} in a row`);
}

/** The columns that a layout gives. */
export const columnsOf = ({ select }: Layout): string[] => Object.keys(select);
