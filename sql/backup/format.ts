/**
 * What a backup is: a folder with a file a table, `tables/{name}.jsonl.gz`, one row a line as a list of values, and `manifest.json`, which is written last: without it a
 * backup is not finished. Values are text as the server writes them, those of binary columns in base64.
 */
import { createHash } from 'node:crypto';
import type mysql from 'mysql2/promise';
import { z } from 'zod';
import { ConfigError } from '../../services/platform/errors.ts';

export const manifestSchema = z.object({
  format: z.literal(1),
  /** Of stockmesh. */
  version: z.string(),
  /** The moment whose rows it has. */
  snapshot_at: z.string(),
  server: z.string(),
  /** The migrations that were applied, each with its checksum. */
  migrations: z.array(z.object({ version: z.int(), name: z.string(), checksum: z.string() })),
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()), rows: z.int(), sha256: z.string() })),
});
export type Manifest = z.infer<typeof manifestSchema>;

export const MANIFEST = 'manifest.json';
export const tableFile = (name: string): string => `tables/${name}.jsonl.gz`;

/** The schema's own bookkeeping: the manifest has it. */
export const NOT_COPIED = new Set(['schema_migrations', 'schema_steps']);

export interface Column {
  name: string;
  isBinary: boolean;
}

export interface Table {
  name: string;
  /** Without those that the server computes. */
  columns: Column[];
  key: string[];
}

/** The tables of the schema with what identifies a row of each. Errors: `ConfigError('backup.no_key')` for one without a primary key. */
export async function tablesOf(connection: mysql.Connection): Promise<Table[]> {
  const [columns] = await connection.query<mysql.RowDataPacket[]>(
    `SELECT c.table_name AS t, c.column_name AS c, c.data_type AS type, c.extra AS extra
       FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
      WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position`,
  );
  const [keys] = await connection.query<mysql.RowDataPacket[]>(
    `SELECT table_name AS t, column_name AS c FROM information_schema.key_column_usage
      WHERE table_schema = DATABASE() AND constraint_name = 'PRIMARY' ORDER BY table_name, ordinal_position`,
  );
  const keyOf = Map.groupBy(keys, ({ t }) => t as string);
  return [...Map.groupBy(columns, ({ t }) => t as string)]
    .filter(([name]) => !NOT_COPIED.has(name))
    .map(([name, found]) => {
      const key = (keyOf.get(name) ?? []).map(({ c }) => c as string);
      if (key.length === 0)
        throw new ConfigError('backup.no_key', `the table ${name} has no primary key: give it one, so that its rows have an order`);
      return {
        name,
        key,
        columns: found
          .filter(({ extra }) => !/GENERATED|VIRTUAL|PERSISTENT|STORED/i.test(String(extra)) || /DEFAULT_GENERATED/i.test(String(extra)))
          .map(({ c, type }) => ({ name: c as string, isBinary: /binary|blob|bit/i.test(String(type)) })),
      };
    });
}

/** The rows of a table in the order of its key, a line each, as the files have them. The connection must be in UTC. */
export async function* linesOf(connection: mysql.Connection, { name, columns, key }: Table): AsyncGenerator<string> {
  const quoted = (names: readonly string[]): string => names.map((one) => `\`${one}\``).join(', ');
  const sql = `SELECT ${quoted(columns.map((column) => column.name))} FROM \`${name}\` ORDER BY ${quoted(key)}`;
  // The promise interface has no streams: a table may be larger than the memory.
  const core = connection as unknown as {
    connection: { query(options: object): { stream(options: object): AsyncIterable<(Buffer | null)[]> } };
  };
  const rows = core.connection
    .query({ sql, rowsAsArray: true, typeCast: (field: { buffer(): Buffer | null }) => field.buffer() })
    .stream({ highWaterMark: 500 });
  for await (const row of rows) {
    const values = row.map((value, index) => (value === null ? null : value.toString(columns[index]?.isBinary ? 'base64' : 'utf8')));
    // A reader of lines takes these two for line breaks.
    yield `${JSON.stringify(values).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')}\n`;
  }
}

/** Counts and checks what passes. */
export function tally(): { add(line: string): void; result(): { rows: number; sha256: string } } {
  const hash = createHash('sha256');
  let rows = 0;
  return {
    add(line) {
      rows++;
      hash.update(line);
    },
    result: () => ({ rows, sha256: hash.digest('hex') }),
  };
}

/** Every connection that reads or writes a backup, after it is made. */
export const SESSION =
  "SET SESSION time_zone = '+00:00', SESSION net_write_timeout = 3600, SESSION net_read_timeout = 3600, SESSION foreign_key_checks = 0, SESSION unique_checks = 1";
