import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { COMMAND } from '../services/platform/command-name.ts';
import { type DatabaseOptions, openDatabase, type Sql, type Transaction } from '../services/platform/database/database.ts';
import { ConfigError } from '../services/platform/errors.ts';
import { begunOf, makeStepsTable, runSteps, type Way } from './steps.ts';

const FOLDER = new URL('./migrations/', import.meta.url);

export interface Migration {
  version: number;
  name: string;
  up: string;
  down: string;
  checksum: string;
  /** Why the services of the version before may not go on serving over it; null where they may. Its first line says so: `-- online: yes`, or `-- online: no, {why}`. */
  offline: string | null;
}

export interface MigrationStatus extends Pick<Migration, 'version' | 'name' | 'offline'> {
  appliedAt: Date | null;
  /** The way on which it is, or was cut. */
  begun: Way | null;
}

/** The line is no part of the checksum: whether services may go on is told of migrations that were applied before anybody said so. */
const HEAD = /^-- online: (?:(yes)|no, (.+))\n/;

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
        checksum: createHash('sha256').update(up.replace(HEAD, '')).digest('hex').slice(0, 16),
        offline: offlineOf(up),
      };
    }),
  );
}

function offlineOf(up: string): string | null {
  const [, yes, why = 'it does not say whether they may go on'] = HEAD.exec(up) ?? [];
  return yes === undefined ? why : null;
}

/**
 * Applies what is missing, in order, up to the version `last` if it is given, and goes on with what was cut. Two that start at once wait for each other. `aliveSeconds`: a
 * service whose newest sign of life is not older is alive, and nothing is applied over it that it may not serve through; not given: nobody looks. Returns the names applied.
 * Errors: `ConfigError('schema.in_use' | 'schema.cut')` beside those of a schema that does not fit.
 */
export function migrateUp(
  options: DatabaseOptions,
  { last = Number.POSITIVE_INFINITY, aliveSeconds }: { last?: number | undefined; aliveSeconds?: number | undefined } = {},
): Promise<string[]> {
  // Of all tries: after a conflict the work is done again, from where it was.
  const names: string[] = [];
  return exclusively(options, async (connection, applied) => {
    const known = await migrations();
    const begun = await begunHere(connection, known);
    refuseUnfit(applied, known);
    if (begun?.way === 'down') await takeBack(connection, begun.migration);
    const missing = known.filter(({ version }) => !applied.has(version) && version <= last);
    if (aliveSeconds !== undefined) await refuseOverServices(connection, missing, aliveSeconds);
    for (const migration of missing) {
      await apply(connection, migration);
      names.push(migration.name);
    }
    return names;
  });
}

function apply(connection: Transaction, migration: Migration): Promise<void> {
  const { version, name, up: text, checksum, offline } = migration;
  return runSteps(
    connection,
    { version, name, way: 'up', text },
    {
      last: async () => {
        await connection.run(
          'INSERT INTO schema_migrations (version, name, checksum, applied_at, online) VALUES (?, ?, ?, UTC_TIMESTAMP(3), ?)',
          [version, name, checksum, offline === null],
        );
      },
    },
  );
}

/**
 * Takes back the newest `steps` migrations (their tables and rows are gone afterwards); one that was cut on its way back is the first of them. Returns the names taken back.
 * Errors: as for the way up; `ConfigError('schema.cut')` also over one that was cut on its way up.
 */
export function migrateDown(options: DatabaseOptions, steps: number): Promise<string[]> {
  const names: string[] = [];
  return exclusively(options, async (connection, applied) => {
    const known = await migrations();
    const begun = await begunHere(connection, known);
    refuseUnfit(applied, known);
    if (begun?.way === 'up')
      throw new ConfigError(
        'schema.cut',
        `migration ${begun.migration.version} (${begun.migration.name}) was cut on its way up; run "${COMMAND} migrate up" first`,
      );
    const newest = known.filter(({ version }) => applied.has(version) || version === begun?.migration.version).reverse();
    for (const migration of newest.slice(0, steps - names.length)) {
      await takeBack(connection, migration);
      names.push(migration.name);
    }
    return names;
  });
}

/** It counts as not applied as soon as it is begun: no service starts over what is left of it. */
function takeBack(connection: Transaction, { version, name, down: text }: Migration): Promise<void> {
  return runSteps(
    connection,
    { version, name, way: 'down', text },
    {
      first: async () => {
        await connection.run('DELETE FROM schema_migrations WHERE version = ?', [version]);
      },
    },
  );
}

/** What was cut, and is for this build to go on with. */
async function begunHere(connection: Transaction, known: readonly Migration[]): Promise<{ way: Way; migration: Migration } | undefined> {
  const begun = await begunOf(connection);
  if (begun === undefined) return undefined;
  const migration = known.find(({ version }) => version === begun.version);
  if (migration !== undefined) return { way: begun.way, migration };
  throw new ConfigError(
    'schema.newer',
    `migration ${begun.version}, which this build does not know, was cut on its way ${begun.way}: go on with the build that began it`,
  );
}

/** Each migration of this build, when it was applied, and whether it was cut. */
export function migrationStatus(options: DatabaseOptions): Promise<MigrationStatus[]> {
  return exclusively(options, async (connection, applied) => {
    const cut = await begunOf(connection);
    return (await migrations()).map(({ version, name, offline }) => ({
      ...{ version, name, offline, appliedAt: applied.get(version)?.at ?? null },
      begun: cut?.version === version ? cut.way : null,
    }));
  });
}

/**
 * Refuses to run on a schema that this build does not fit. One that is newer fits when the build that applied each newer migration has written that services of the version
 * before may serve through it: a service of that version that crashes during an upgrade comes back. Gives the names of these. Errors:
 * `ConfigError('schema.older' | 'schema.newer' | 'schema.changed')` with the way out.
 */
export async function assertSchemaCurrent(db: Sql): Promise<string[]> {
  const known = await migrations();
  // All columns: one of a later version is no fault, and `online` is missing where a version before it has made the table.
  const applied = await db.rows<Row>('SELECT * FROM schema_migrations').catch((error: { code?: string }) => {
    if (error.code === 'ER_NO_SUCH_TABLE') return [];
    throw error;
  });
  const versions = appliedOf(applied);
  const newer = newerThan(known, versions);
  refuseUnfit(versions, known, { through: newer.filter(({ online }) => online) });
  const missing = known.filter(({ version }) => !versions.has(version));
  if (missing.length > 0)
    throw new ConfigError(
      'schema.older',
      `the database lacks ${missing.length} of ${known.length} migrations (next: ${missing[0]?.name}); run "${COMMAND} migrate up"`,
    );
  return newer.map(({ name }) => name);
}

/** The services with a sign of life within so many seconds, by the clock of the database; none where there is no table of them yet. */
export async function servicesAlive(sql: Sql, seconds: number): Promise<string[]> {
  const [table] = await sql.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'instances'");
  if (table === undefined) return [];
  const rows = await sql.rows<{ instance: string }>(
    'SELECT instance FROM instances WHERE heartbeat_at >= UTC_TIMESTAMP(3) - INTERVAL ? SECOND ORDER BY service, instance',
    [seconds],
  );
  return rows.map(({ instance }) => instance);
}

async function refuseOverServices(sql: Sql, missing: readonly Migration[], seconds: number): Promise<void> {
  const first = missing.find(({ offline }) => offline !== null);
  if (first === undefined) return;
  const alive = await servicesAlive(sql, seconds);
  if (alive.length === 0) return;
  throw new ConfigError(
    'schema.in_use',
    `migration ${first.version} (${first.name}) may not run while services of the version before serve: ${first.offline}. Alive: ${alive.join(', ')}; stop them where they were started (systemctl stop, kubectl scale; "${COMMAND} drain ${alive[0]}" for one that nobody starts again; one that was killed counts for ${seconds} s more), then try again. "${COMMAND} migrate up --yes" applies it all the same`,
  );
}

interface Row {
  version: number;
  name: string;
  checksum: string;
  applied_at: Date;
  /** 1: services of the version before may serve through it. Null where it was applied by a build that did not write it. */
  online?: number | null;
}

interface AppliedMigration {
  version: number;
  name: string;
  at: Date;
  checksum: string;
  online: boolean;
}
type Applied = ReadonlyMap<number, AppliedMigration>;

function appliedOf(rows: readonly Row[]): Applied {
  return new Map(
    rows.map(({ version, name, checksum, applied_at: at, online }) => [version, { version, name, at, checksum, online: online === 1 }]),
  );
}

const newestOf = (known: readonly Migration[]): number => Math.max(...known.map(({ version }) => version));

/** Those that this build does not know, ascending. */
function newerThan(known: readonly Migration[], applied: Applied): AppliedMigration[] {
  const newest = newestOf(known);
  return [...applied.values()].filter(({ version }) => version > newest).sort((a, b) => a.version - b.version);
}

/** `through`: the newer migrations that this build may serve through; to change a schema it may do so through none. */
function refuseUnfit(
  applied: Applied,
  known: readonly Migration[],
  { through = [] }: { through?: readonly AppliedMigration[] } = {},
): void {
  const first = newerThan(known, applied).find((one) => !through.includes(one));
  if (first !== undefined)
    throw new ConfigError(
      'schema.newer',
      `the database is at migration ${Math.max(...applied.keys())}, this build knows up to ${newestOf(known)}, and must not serve through ${first.version} (${first.name}); update stockmesh, or take the newer ones back with the build that made them`,
    );
  const changed = known.find(({ version, checksum }) => (applied.get(version)?.checksum ?? checksum) !== checksum);
  if (changed !== undefined)
    throw new ConfigError(
      'schema.changed',
      `migration ${changed.version} (${changed.name}) was applied with another text than this build has: use the build that applied it, or start with a new data folder`,
    );
}

/** To the table of a version before the column; services of that version read the others by name. */
async function addOnline(connection: Transaction): Promise<void> {
  const [column] = await connection.rows(
    "SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'schema_migrations' AND column_name = 'online'",
  );
  if (column === undefined) await connection.run('ALTER TABLE schema_migrations ADD COLUMN online TINYINT NULL');
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
        'CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, checksum CHAR(16) NOT NULL, applied_at DATETIME(3) NOT NULL, online TINYINT NULL)',
      );
      await addOnline(connection);
      await makeStepsTable(connection);
      const rows = await connection.rows<Row>('SELECT version, name, checksum, applied_at, online FROM schema_migrations');
      return work(connection, appliedOf(rows));
    });
  } finally {
    await db.close();
  }
}
