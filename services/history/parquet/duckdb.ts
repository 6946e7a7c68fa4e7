/** DuckDB as this project uses it: in memory, without the network, without any file but those that are named. */
import { symlink } from 'node:fs/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import type { ProcessSettings } from './messages.ts';

export type PlainValue = string | number | boolean | null;
type Row = Record<string, PlainValue>;

export interface Database {
  /** The statement's rows: dates and times as text, BIGINT as text too. */
  rows<T = Row>(sql: string): Promise<T[]>;
}

/** A text as SQL writes it. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A name as SQL writes it. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const list = (parts: readonly string[]): string => parts.join(', ');

/** Opens an instance for one piece of work. `paths`: the files that it may read and write, and no others; temporary ones are in the folder of the settings. */
export async function withDatabase<T>(settings: ProcessSettings, paths: readonly string[], work: (db: Database) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(settings.threads),
    memory_limit: settings.memory,
    temp_directory: `${settings.folder}/spill`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  try {
    // The process may stand in any time zone. Afterwards no statement can change what is allowed.
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run(`SET allowed_paths = [${list(paths.map(literal))}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    return await work({ rows: async <R>(sql: string) => (await readRows(connection, sql)) as R[] });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function readRows(connection: DuckDBConnection, sql: string): Promise<unknown[]> {
  return (await connection.runAndReadAll(sql)).getRowObjectsJson();
}

/**
 * A name in the working directory for a file: DuckDB takes `*`, `?` and `[` in the path of a file to read for a pattern, and `date=2024-01-02` for a column, and none of
 * it can be escaped.
 */
export async function linkTo(path: string, name: string): Promise<string> {
  await symlink(path, name);
  return name;
}

/** DuckDB's error as one of ours where it says that something cannot go on by itself; `broken`: what it means that data cannot be read. */
export function translate(error: unknown, broken: (message: string) => Error): Error {
  const message = messageOf(error);
  if (/^Out of Memory Error/.test(message))
    return new TransientError('history.converter', `${firstLine(message)}; raise job_processor.history.converter.memory if this repeats`);
  if (/^(Invalid Input|Conversion|Out of Range) Error/.test(message)) return broken(message);
  if (/^(Binder|Catalog|Parser|Syntax) Error/.test(message)) return new PermanentError('history.layout', firstLine(message));
  return error as Error;
}

export const firstLine = (text: string): string => text.split('\n', 1)[0]!;
