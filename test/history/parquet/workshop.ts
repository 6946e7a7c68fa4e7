/** A converter and a reader with a folder of their own, and a second DuckDB that knows nothing of either: Debian has no pandas, so it is the independent reader. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { pino } from 'pino';
import { afterAll } from 'vitest';
import type { Conversion, Converted } from '../../../services/history/parquet/convert.ts';
import { createConverter } from '../../../services/history/parquet/converter.ts';
import type { Layout } from '../../../services/history/parquet/layout.ts';
import { createReader } from '../../../services/history/parquet/reader.ts';
import { QUOTE_HEADER, QUOTE_LAYOUT } from './quotes.ts';

export const DAY = '2024-01-02';
const never = new AbortController().signal;

export function openWorkshop(name = 'stockmesh-parquet-') {
  const folder = mkdtempSync(join(tmpdir(), name));
  const options = { memory: '250MB', threads: 1, tempFolder: join(folder, 'temporary'), log: pino({ level: 'silent' }) };
  const converter = createConverter(options);
  const reader = createReader(options);
  let files = 0;
  const path = (file: string): string => join(folder, file);

  /** Writes a source's file. */
  function file(content: string | Buffer, ending = '.csv'): string {
    const written = path(`source-${files++}${ending}`);
    writeFileSync(written, content);
    return written;
  }

  function conversion(content: string | Buffer | readonly string[], overrides: Partial<Conversion> & { layout?: Layout } = {}): Conversion {
    const { layout = QUOTE_LAYOUT, ...rest } = overrides;
    const paths = typeof content === 'string' || Buffer.isBuffer(content) ? [file(content)] : content;
    const out = path(`out-${files++}.parquet`);
    const sources = paths.map((each) => ({ path: each, layout }));
    return { asset: 'option', schema: 'quote', interval: '1m', root: 'AAPL', files: sources, days: [DAY], out, ...rest };
  }

  afterAll(async () => {
    await converter.close();
    await reader.close();
    await rm(folder, { recursive: true, force: true });
  });

  return {
    ...{ folder, options, converter, reader, path, file, conversion },
    convert: (...args: Parameters<typeof conversion>): Promise<Converted> => converter.convert(conversion(...args), never),
    /** The same, with what it was made of. */
    async converted(...args: Parameters<typeof conversion>): Promise<Converted & { out: string }> {
      const made = conversion(...args);
      return { ...(await converter.convert(made, never)), out: made.out };
    },
  };
}

/** Some lines under the header of a quote; a line is changed by columns of it. */
export function quoteCsv(rows: readonly Record<string, string | number>[]): string {
  const names = QUOTE_HEADER.split(',');
  const common: Record<string, string | number> = {
    ...{ symbol: 'AAPL', expiration: '2024-01-19', strike: '190.000', right: 'CALL', timestamp: `${DAY}T09:30:00.000` },
    ...{ bid_size: 10, bid_exchange: 7, bid: '1.20', bid_condition: 50, ask_size: 12, ask_exchange: 7, ask: '1.25', ask_condition: 50 },
  };
  return `${[QUOTE_HEADER, ...rows.map((row) => names.map((name) => ({ ...common, ...row })[name]).join(','))].join('\n')}\n`;
}

/** Asks a DuckDB of the test's own. */
export async function ask<T = Record<string, unknown>>(sql: string): Promise<T[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    return (await connection.runAndReadAll(sql)).getRowObjectsJson() as T[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
