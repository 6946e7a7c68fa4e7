/** Puts a backup into an empty database, and compares every row of it with what was backed up. */
import { createReadStream, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import mysql from 'mysql2/promise';
import { connectionOptions, type DatabaseOptions, SET_SQL_MODE } from '../../services/platform/database/database.ts';
import { ConfigError, codeOf, messageOf } from '../../services/platform/errors.ts';
import { migrateUp, migrations } from '../migrate.ts';
import { linesOf, MANIFEST, type Manifest, manifestSchema, SESSION, type Table, tableFile, tablesOf, tally } from './format.ts';

/** Bytes of one INSERT: within the smallest packet that a server of ours takes. */
const STATEMENT_BYTES = 512 * 1024;

/** Rows that describe processes which are gone: with them a new scheduler would wait for the lease of an old one. */
const OF_PROCESSES = ['instances', 'leases'];

/**
 * Restores into a database without rows, with an account that may create tables, and brings the schema up to this build. All files are read before anything is written. Errors:
 * `ConfigError('restore.no_backup' | 'restore.not_empty' | 'restore.newer' | 'restore.differs')`.
 */
export async function restoreBackup(options: DatabaseOptions, folder: string): Promise<Manifest> {
  const path = resolve(folder);
  const manifest = readManifest(path);
  await refuseUnknown(manifest);
  for (const table of manifest.tables) await refuseDamaged(path, table);
  await refuseRows(options);
  await migrateUp(options, { last: manifest.migrations.at(-1)?.version });
  const connection = await mysql.createConnection(connectionOptions(options));
  try {
    await connection.query(SET_SQL_MODE);
    await connection.query(SESSION);
    const tables = new Map((await tablesOf(connection)).map((table) => [table.name, table]));
    for (const { name, columns, rows, sha256 } of manifest.tables) {
      const table = tables.get(name);
      if (table === undefined)
        throw new ConfigError('restore.differs', `the schema of these migrations has no table ${name}: the backup is not one of stockmesh`);
      const copied = { ...table, columns: columns.map((column) => columnOf(table, column)) };
      await fill(connection, copied, join(path, tableFile(name)));
      const counted = tally();
      for await (const line of linesOf(connection, copied)) counted.add(line);
      const found = counted.result();
      if (found.rows !== rows || found.sha256 !== sha256)
        throw new ConfigError(
          'restore.differs',
          `${name} has ${found.rows} rows (${found.sha256.slice(0, 12)}…) in place of ${rows} (${sha256.slice(0, 12)}…), though its file is whole: a server of another kind wrote it; nothing of this database may be used`,
        );
    }
    for (const name of OF_PROCESSES) await connection.query(`DELETE FROM \`${name}\``);
  } finally {
    await connection.end();
  }
  await migrateUp(options);
  return manifest;
}

function readManifest(folder: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8'));
  } catch (error) {
    const why =
      codeOf(error) === 'ENOENT' ? `it has no ${MANIFEST}, so it was not finished or is none` : `its ${MANIFEST}: ${messageOf(error)}`;
    throw new ConfigError('restore.no_backup', `${folder} is no backup: ${why}`);
  }
  const manifest = manifestSchema.safeParse(content);
  if (manifest.success) return manifest.data;
  throw new ConfigError('restore.no_backup', `${join(folder, MANIFEST)} is not what "stockmesh backup" writes`);
}

async function refuseUnknown(manifest: Manifest): Promise<void> {
  const known = new Map((await migrations()).map(({ version, checksum }) => [version, checksum]));
  const unknown = manifest.migrations.find(({ version, checksum }) => known.get(version) !== checksum);
  if (unknown !== undefined)
    throw new ConfigError(
      'restore.newer',
      `the backup has the migration ${unknown.name}, which this build does not know as it is: restore with stockmesh ${manifest.version} or newer`,
    );
}

async function refuseDamaged(folder: string, { name, rows, sha256 }: Manifest['tables'][number]): Promise<void> {
  const file = join(folder, tableFile(name));
  const counted = tally();
  for await (const line of linesIn(file)) counted.add(`${line}\n`);
  const found = counted.result();
  if (found.rows !== rows || found.sha256 !== sha256)
    throw new ConfigError(
      'restore.differs',
      `${name} has ${found.rows} rows (${found.sha256.slice(0, 12)}…) in place of ${rows} (${sha256.slice(0, 12)}…): ${file} is damaged; nothing was changed, take another backup`,
    );
}

/** The lines of a table's file. Errors: `ConfigError('restore.differs')` for one that is missing, cut or damaged. */
async function* linesIn(file: string): AsyncGenerator<string> {
  const unpacked = createGunzip();
  // Whatever fails is thrown by the lines below.
  pipeline(createReadStream(file), unpacked, () => {});
  try {
    yield* createInterface({ input: unpacked, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    throw new ConfigError('restore.differs', `${file} is damaged (${messageOf(error)}): take another backup`);
  }
}

/** Tables that a migration fills. */
const FILLED_BY_MIGRATIONS = new Set(['queues', 'spend_windows']);

async function refuseRows(options: DatabaseOptions): Promise<void> {
  const connection = await mysql.createConnection(connectionOptions(options));
  try {
    const tables = (await tablesOf(connection)).filter(({ name }) => !FILLED_BY_MIGRATIONS.has(name));
    for (const { name } of tables) {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(`SELECT 1 FROM \`${name}\` LIMIT 1`);
      if (rows.length > 0)
        throw new ConfigError(
          'restore.not_empty',
          `the database ${options.database} has rows already (in ${name}), and a restore replaces none: name an empty database`,
        );
    }
  } finally {
    await connection.end();
  }
}

function columnOf(table: Table, name: string): Table['columns'][number] {
  const column = table.columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  throw new ConfigError('restore.differs', `${table.name} has no column ${name} in the schema of these migrations`);
}

async function fill(connection: mysql.Connection, { name, columns }: Table, file: string): Promise<void> {
  await connection.query(`DELETE FROM \`${name}\``);
  const insert = `INSERT INTO \`${name}\` (${columns.map((column) => `\`${column.name}\``).join(', ')}) VALUES ?`;
  let rows: unknown[][] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (rows.length > 0) await connection.query(insert, [rows]);
    rows = [];
    bytes = 0;
  };
  for await (const line of linesIn(file)) {
    const values = JSON.parse(line) as (string | null)[];
    rows.push(values.map((value, index) => (value !== null && columns[index]?.isBinary ? Buffer.from(value, 'base64') : value)));
    bytes += line.length * 2;
    if (bytes > STATEMENT_BYTES) await flush();
  }
  await flush();
}
