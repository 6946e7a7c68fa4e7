/** Reads downloaded files as their layout says, with DuckDB and without the converter. */
import { DuckDBInstance } from '@duckdb/node-api';
import type { ObjectSpec } from '../../../../../services/history/dataset.ts';
import { storedColumns } from '../../../../../services/history/parquet/columns.ts';
import type { SourceFile } from '../../../../../services/history/sources/source.ts';

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** The rows in the order of a stored file; columns that the source does not have are left out. */
export async function readRows(files: readonly SourceFile[], object: ObjectSpec): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run("CREATE MACRO et(t) AS (t AT TIME ZONE 'America/New_York')");
    const parts = files.map(({ path, layout }) => {
      const types = Object.entries(layout.columns).map(([name, type]) => `${text(name)}: ${text(type)}`);
      const columns = storedColumns(object)
        .filter(({ name }) => layout.select[name] !== undefined)
        .map(({ name, type }) => `CAST(${layout.select[name]} AS ${type}) AS "${name}"`);
      return `SELECT ${columns.join(', ')} FROM read_csv(${text(path)}, header = true, auto_detect = false, delim = ',', quote = '"', columns = {${types.join(', ')}})`;
    });
    if (parts.length === 0) return [];
    const order = [
      ...(object.asset === 'option' ? ['expiration', 'strike', '"right"'] : []),
      object.schema === 'eod' ? 'trade_date' : '"timestamp"',
    ];
    const result = await connection.runAndReadAll(`${parts.join(' UNION ALL BY NAME ')} ORDER BY ${order.join(', ')}`);
    const times = storedColumns(object).filter(({ type }) => type === 'TIMESTAMPTZ');
    const wide = new Set(
      storedColumns(object)
        .filter(({ type }) => type === 'BIGINT')
        .map(({ name }) => name),
    );
    return result.getRowObjectsJson().map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => {
          if (wide.has(name)) return [name, Number(value)];
          if (value === null || !times.some((time) => time.name === name)) return [name, value];
          return [name, Temporal.Instant.from(String(value).replace(' ', 'T').replace(/\+00$/, 'Z')).toString()];
        }),
      ),
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The first row that differs, since to show all differences of 10,000 rows takes long; undefined when the rows are equal. */
export function firstDifference(
  actual: readonly Record<string, unknown>[],
  expected: readonly Record<string, unknown>[],
): object | undefined {
  const plain = (row: Record<string, unknown> | undefined): string => JSON.stringify(row === undefined ? null : Object.entries(row).sort());
  for (let index = 0; index < Math.max(actual.length, expected.length); index++) {
    if (plain(actual[index]) !== plain(expected[index]))
      return { index, rows: [actual.length, expected.length], actual: actual[index], expected: expected[index] };
  }
  return undefined;
}
