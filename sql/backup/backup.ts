/** Writes a backup: all rows of one moment, while the services work. */
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import mysql from 'mysql2/promise';
import { COMMAND } from '../../services/platform/command-name.ts';
import { connectionOptions, type DatabaseOptions, SET_SQL_MODE } from '../../services/platform/database/database.ts';
import { ConfigError, codeOf, messageOf } from '../../services/platform/errors.ts';
import { VERSION } from '../../services/platform/lifecycle.ts';
import { makeFolder } from '../../services/platform/machine/make-folder.ts';
import { linesOf, MANIFEST, type Manifest, SESSION, type Table, tableFile, tablesOf, tally } from './format.ts';

export interface BackupResult {
  folder: string;
  manifest: Manifest;
  rows: number;
  /** Of the files. */
  bytes: number;
}

/**
 * Writes all rows of one moment into a new or empty folder. `configuration`: kept beside them; the caller has taken the secrets out. Errors:
 * `ConfigError('backup.folder' | 'backup.not_empty' | 'backup.no_key' | 'backup.schema_cut' | 'backup.disk_full')`, those of the database and of the disk. What an interrupted one leaves has no manifest.
 */
export async function writeBackup(options: DatabaseOptions, folder: string, configuration: unknown): Promise<BackupResult> {
  return write(options, resolve(folder), configuration).catch((error: unknown) => {
    throw codeOf(error) === 'ENOSPC'
      ? new ConfigError('backup.disk_full', `${folder}: the disk is full; make room, or name another folder`)
      : error;
  });
}

async function write(options: DatabaseOptions, path: string, configuration: unknown): Promise<BackupResult> {
  try {
    makeFolder(path);
  } catch (error) {
    if (codeOf(error) === 'ENOSPC') throw error;
    throw new ConfigError('backup.folder', `${path} cannot be made (${messageOf(error)}): name a folder where this user may make one`, {
      cause: error,
    });
  }
  if (readdirSync(path).length > 0)
    throw new ConfigError(
      'backup.not_empty',
      `${path} is not empty: name a new folder, such as ${join(path, new Date().toISOString().slice(0, 10))}`,
    );
  mkdirSync(join(path, 'tables'), { mode: 0o700 });
  const connection = await mysql.createConnection(connectionOptions(options));
  try {
    await connection.query(SET_SQL_MODE);
    await connection.query(SESSION);
    await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    // From here on all reads see the rows of this moment, and nobody waits for them.
    await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    await refuseCutSchema(connection);
    const [[about]] = await connection.query<mysql.RowDataPacket[]>('SELECT UTC_TIMESTAMP(3) AS at, VERSION() AS server');
    const [migrations] = await connection.query<mysql.RowDataPacket[]>(
      'SELECT version, name, checksum FROM schema_migrations ORDER BY version',
    );
    const tables: Manifest['tables'] = [];
    for (const table of await tablesOf(connection)) tables.push(await writeTable(connection, table, path));
    await connection.query('COMMIT');
    const snapshotAt = about?.at as Date;
    const manifest: Manifest = {
      ...{ format: 1, version: VERSION, snapshot_at: snapshotAt.toISOString(), server: String(about?.server) },
      migrations: migrations.map(({ version, name, checksum }) => ({ version, name, checksum })),
      tables,
    };
    const writeJson = (name: string, content: unknown): void =>
      writeFileSync(join(path, name), `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flush: true });
    writeJson('configuration.json', configuration);
    writeJson(MANIFEST, manifest);
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    const bytes = tables.reduce((sum, { name }) => sum + statSync(join(path, tableFile(name))).size, 0);
    await connection.query(
      'INSERT INTO backups (snapshot_at, finished_at, host, folder, row_count, byte_count) VALUES (?, UTC_TIMESTAMP(3), ?, ?, ?, ?)',
      [snapshotAt, hostname().slice(0, 255), path.slice(-500), rows, bytes],
    );
    return { folder: path, manifest, rows, bytes };
  } finally {
    await connection.end();
  }
}

/** Of a migration that is under way or was cut, some tables are as before it and some as after it: a restore could make neither. */
async function refuseCutSchema(connection: mysql.Connection): Promise<void> {
  const [rows] = await connection
    .query<mysql.RowDataPacket[]>('SELECT version, way FROM schema_steps')
    .catch((error: { code?: string }): [mysql.RowDataPacket[]] => {
      // A schema of a version before has no such table.
      if (error.code === 'ER_NO_SUCH_TABLE') return [[]];
      throw error;
    });
  const [begun] = rows;
  if (begun === undefined) return;
  throw new ConfigError(
    'backup.schema_cut',
    `migration ${begun.version} is on its way ${begun.way}, or was cut there, so that nothing could be restored: let it end, or run "${COMMAND} migrate ${begun.way}", then try again`,
  );
}

async function writeTable(connection: mysql.Connection, table: Table, folder: string): Promise<Manifest['tables'][number]> {
  const counted = tally();
  const gzip = createGzip({ level: 1 });
  const written = pipeline(gzip, createWriteStream(join(folder, tableFile(table.name)), { mode: 0o600, flush: true }));
  // Its error is thrown below, by whichever notices it first.
  written.catch(() => undefined);
  for await (const line of linesOf(connection, table)) {
    counted.add(line);
    if (!gzip.write(line)) await Promise.race([once(gzip, 'drain'), written]);
  }
  gzip.end();
  await written;
  return { name: table.name, columns: table.columns.map(({ name }) => name), ...counted.result() };
}
