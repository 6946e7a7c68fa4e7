/** What both versions give becomes the same Parquet file: the rows of the test's chain, read back by a DuckDB of its own. */
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { Dataset } from '../../../../services/history/dataset.ts';
import { createConverter } from '../../../../services/history/parquet/converter.ts';
import { daysOf } from '../../../../services/history/plan.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { fetchObject, objectOf, silent, sourceOf, temporaryFolder, terminalOf, type Version } from './support/bench.ts';
import { HOURS, REGULAR, testChain } from './support/chain.ts';
import { firstDifference, plainRows } from './support/read.ts';

const { db } = await databaseOfFile();
beforeEach(() => db.run('DELETE FROM history_budgets'));
const converter = createConverter({ memory: '250MB', threads: 1, tempFolder: await temporaryFolder(afterAll), log: silent });
afterAll(() => converter.close());

const INTERVAL_MS = { '5m': 300_000, '30m': 1_800_000, '1d': 0 } as const;

test.each<Dataset & { interval: keyof typeof INTERVAL_MS }>([
  { asset: 'option', schema: 'quote', interval: '30m' },
  { asset: 'option', schema: 'ohlc', interval: '30m' },
  { asset: 'option', schema: 'eod', interval: '1d' },
  { asset: 'stock', schema: 'quote', interval: '5m' },
  { asset: 'stock', schema: 'ohlc', interval: '5m' },
  { asset: 'stock', schema: 'eod', interval: '1d' },
])('$asset $schema', async (dataset) => {
  // In March 2024 the clocks change.
  const object = objectOf(dataset, '2024-03-11');
  const days = daysOf(object);
  const chain = testChain({ doubledBefore: '2024-06-01' });
  const hours = dataset.asset === 'option' ? HOURS : REGULAR;
  const expected = chain.stored(dataset.asset, days, { schema: dataset.schema, intervalMs: INTERVAL_MS[dataset.interval], ...hours });
  for (const version of ['v3', 'v2'] as Version[]) {
    const terminal = await terminalOf(version, { chain });
    const { files } = await fetchObject(sourceOf({ db, url: terminal.url }), object);
    const out = `${await temporaryFolder()}/data.parquet`;
    const converted = await converter.convert({ ...object, filter: undefined, files, days, out }, AbortSignal.timeout(60_000));
    expect(converted.rows).toBe(expected.length);
    expect(Object.keys(converted.days)).toEqual(days);
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    const result = await connection.runAndReadAll(`SELECT * FROM read_parquet('${out}', hive_partitioning = false)`);
    const rows = plainRows(result.getRowObjectsJson(), object);
    connection.closeSync();
    instance.closeSync();
    const optional: Record<string, unknown> = {
      ...(dataset.schema === 'eod' && { open_interest: null }),
      ...(dataset.schema === 'ohlc' && version === 'v2' && { vwap: null }),
    };
    expect(
      firstDifference(
        rows,
        expected.map((row) => ({ ...row, ...optional })),
      ),
    ).toBeUndefined();
  }
});
