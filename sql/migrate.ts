import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { COMMAND } from '../services/platform/command-name.ts';
import { type DatabaseOptions, openDatabase, type Sql, type Transaction } from '../services/platform/database/database.ts';
import { ConfigError } from '../services/platform/errors.ts';

const FOLDER = new URL('./migrations/', import.meta.url);

export interface Migration {
  version: number;
  name: string;
  up: string;
  down: string;
  checksum: string;
}

export interface MigrationStatus {
  version: number;
  name: string;
  appliedAt: Date | null;
}

/** All numbered migrations of this build, ascending. */
export async function migrations(): Promise<Migration[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.up.sql')).sort();
  return Promise.all(
    files.map(async (file) => {
      const [up, down] = await Promise.all([
        readFile(new URL(file, FOLDER), 'utf8'),
        readFile(new URL(file.replace('.up.', '.down.'), FOLDER), 'utf8'),
      ]);
      return {
        version: Number(file.slice(0, 4)),
        name: file.slice(5, -7),
        up,
        down,
        checksum: createHash('sha256').update(up).digest('hex').slice(0, 16),
      };
    }),
  );
}

/** Applies what is missing, in order, up to the version `last` if it is given. Two that start at once wait for each other. Returns the names applied. */
export function migrateUp(options: DatabaseOptions, last = Number.POSITIVE_INFINITY): Promise<string[]> {
  return exclusively(options, async (connection, applied) => {
    const known = await migrations();
    refuseUnfit(applied, known);
    const names: string[] = [];
    for (const migration of known.filter(({ version }) => !applied.has(version) && version <= last)) {
      await connection.run(migration.up);
      await connection.run('INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, UTC_TIMESTAMP(3))', [
        migration.version,
        migration.name,
        migration.checksum,
      ]);
      await connection.run('COMMIT');
      names.push(migration.name);
    }
    return names;
  });
}

/** Takes back the newest `steps` migrations (their tables and rows are gone afterwards). Returns the names taken back. */
export function migrateDown(options: DatabaseOptions, steps: number): Promise<string[]> {
  return exclusively(options, async (connection, applied) => {
    const known = await migrations();
    refuseUnfit(applied, known);
    const names: string[] = [];
    for (const migration of known
      .filter(({ version }) => applied.has(version))
      .reverse()
      .slice(0, steps)) {
      await connection.run(migration.down);
      await connection.run('DELETE FROM schema_migrations WHERE version = ?', [migration.version]);
      await connection.run('COMMIT');
      names.push(migration.name);
    }
    return names;
  });
}

/** Each migration of this build and when it was applied. */
export function migrationStatus(options: DatabaseOptions): Promise<MigrationStatus[]> {
  return exclusively(options, async (_, applied) =>
    (await migrations()).map(({ version, name }) => ({ version, name, appliedAt: applied.get(version)?.at ?? null })),
  );
}

/** Refuses to run on a schema that this build does not fit. Errors: `ConfigError('schema.older' | 'schema.newer')` with the way out. */
export async function assertSchemaCurrent(db: Sql): Promise<void> {
  const known = await migrations();
  const applied = await db.rows<Row>('SELECT version, checksum, applied_at FROM schema_migrations').catch((error: { code?: string }) => {
    if (error.code === 'ER_NO_SUCH_TABLE') return [];
    throw error;
  });
  const versions = appliedOf(applied);
  refuseUnfit(versions, known);
  const missing = known.filter(({ version }) => !versions.has(version));
  if (missing.length > 0)
    throw new ConfigError(
      'schema.older',
      `the database lacks ${missing.length} of ${known.length} migrations (next: ${missing[0]?.name}); run "${COMMAND} migrate up"`,
    );
}

interface Row {
  version: number;
  checksum: string;
  applied_at: Date;
}

type Applied = ReadonlyMap<number, { at: Date; checksum: string }>;

function appliedOf(rows: readonly Row[]): Applied {
  return new Map(rows.map(({ version, checksum, applied_at: at }) => [version, { at, checksum }]));
}

function refuseUnfit(applied: Applied, known: readonly Migration[]): void {
  const newest = Math.max(...known.map(({ version }) => version));
  const newer = [...applied.keys()].filter((version) => version > newest);
  if (newer.length > 0)
    throw new ConfigError(
      'schema.newer',
      `the database is at migration ${Math.max(...newer)}, this build knows up to ${newest}; update stockmesh, or take the newer ones back with the build that made them`,
    );
  const changed = known.find(({ version, checksum }) => (applied.get(version)?.checksum ?? checksum) !== checksum);
  if (changed !== undefined)
    throw new ConfigError(
      'schema.changed',
      `migration ${changed.version} (${changed.name}) was applied with another text than this build has: use the build that applied it, or start with a new data folder`,
    );
}

/** One connection, with the time limit of long statements; a named lock, which ends with it, keeps two from migrating at once. */
async function exclusively<T>(options: DatabaseOptions, work: (connection: Transaction, applied: Applied) => Promise<T>): Promise<T> {
  const db = openDatabase(options);
  try {
    return await db.long.transaction(async (connection) => {
      const lock = `stockmesh.migrate.${options.database}`.slice(0, 64);
      const [got] = await connection.rows<{ got: number }>('SELECT GET_LOCK(?, 60) AS got', [lock]);
      if (got?.got !== 1)
        throw new ConfigError(
          'schema.locked',
          `another migration of "${options.database}" has been running for a minute; wait for it, then try again`,
        );
      await connection.run(
        'CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, checksum CHAR(16) NOT NULL, applied_at DATETIME(3) NOT NULL)',
      );
      const rows = await connection.rows<Row>('SELECT version, checksum, applied_at FROM schema_migrations');
      return work(connection, appliedOf(rows));
    });
  } finally {
    await db.close();
  }
}
