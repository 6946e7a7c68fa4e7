/** DuckDB alone, as the converter sets it, on the same file: reads the CSV, sorts it, writes the Parquet file, and checks nothing. */
import { setPriority } from 'node:os';
import { DuckDBInstance } from '@duckdb/node-api';
import { peakMemory } from '../../history/parquet/processes.ts';

export interface BareOrder {
  csv: string;
  out: string;
  columns: Readonly<Record<string, string>>;
  key: readonly string[];
  memory: string;
  threads: number;
  folder: string;
}

export interface BareCopy {
  seconds: number;
  /** Seconds of processor time. */
  processor: number;
  peakMb: number;
}

process.once('disconnect', () => process.exit());
process.once('message', async ({ csv, out, columns, key, memory, threads, folder }: BareOrder) => {
  setPriority(10);
  const instance = await DuckDBInstance.create(':memory:', { threads: String(threads), memory_limit: memory, temp_directory: folder });
  const connection = await instance.connect();
  const types = Object.entries(columns).map(([name, type]) => `'${name}': '${type}'`);
  const began = performance.now();
  // The buffer of the converter: with DuckDB's own it runs out of this memory.
  await connection.run(`COPY (SELECT * FROM read_csv('${csv}', columns = {${types}}, header = true, auto_detect = false, delim = ',', buffer_size = 8388608)
    ORDER BY ${key.map((name) => `"${name}"`)}) TO '${out}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)`);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage();
  process.send?.({ seconds, processor: (user + system) / 1e6, peakMb: peakMemory(process.pid) / 2 ** 20 } satisfies BareCopy);
  process.disconnect?.();
});
