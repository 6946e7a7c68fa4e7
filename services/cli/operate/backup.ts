/** `stockmesh backup` and `restore`: all rows of one moment into a folder, and back into an empty database. */
import { writeBackup } from '../../../sql/backup/backup.ts';
import type { Manifest } from '../../../sql/backup/format.ts';
import { restoreBackup } from '../../../sql/backup/restore.ts';
import { startDatabase } from '../../../sql/embedded.ts';
import { configJson } from '../../platform/config/show.ts';
import { databaseOptions, usesEmbedded } from '../../platform/connections.ts';
import { type DatabaseOptions, openDatabase } from '../../platform/database/database.ts';
import { createLogger } from '../../platform/log/log.ts';
import { openDataFolder } from '../../platform/machine/datafolder.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { cliActor } from '../actor.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type GlobalOptions, type Loaded, loadFor, loadJoining } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

/** Errors: `ConfigError('mesh.not_running' | 'backup.not_empty' | 'backup.no_key' | 'backup.schema_cut' | 'backup.disk_full')`. */
export async function backup(folder: string, { json, ...options }: Options): Promise<number> {
  const { loaded, dataFolder } = loadJoining(options);
  const started = performance.now();
  const result = await writeBackup(databaseOptions(loaded.config, dataFolder, 'service'), folder, configJson(loaded));
  const { manifest, rows, bytes } = result;
  if (json) printJson({ ok: true, folder: result.folder, snapshot_at: manifest.snapshot_at, tables: manifest.tables.length, rows, bytes });
  else
    print(
      `${result.folder}: ${plural(rows, 'row', 'rows')} of ${manifest.tables.length} tables as of ${manifest.snapshot_at}, ${(bytes / 1e6).toFixed(1)} MB, in ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
  return 0;
}

/** Errors: `ConfigError('data.in_use' | 'restore.no_backup' | 'restore.not_empty' | 'restore.newer' | 'restore.differs')`. */
export async function restore(folder: string, { json, ...options }: Options): Promise<number> {
  const manifest = await intoDatabase(loadFor(options), async (database) => {
    const done = await restoreBackup(database, folder);
    await record(database, done);
    return done;
  });
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  if (json) printJson({ ok: true, snapshot_at: manifest.snapshot_at, tables: manifest.tables.length, rows });
  else
    print(
      `restored ${plural(rows, 'row', 'rows')} of ${manifest.tables.length} tables as of ${manifest.snapshot_at}; each is as it was backed up`,
    );
  return 0;
}

/** The configured database, or the embedded one of the data folder, which runs for so long. */
async function intoDatabase<T>({ loaded, dataFolder }: Loaded, work: (database: DatabaseOptions) => Promise<T>): Promise<T> {
  const { config } = loaded;
  if (!usesEmbedded(config).database) return work(databaseOptions(config, dataFolder, 'migrate'));
  const held = await openDataFolder(dataFolder);
  try {
    const log = createLogger({ ...config.logging, level: 'silent', service: 'restore', instance: `restore-${process.pid}` });
    const database = await startDatabase({ dataDir: held.database, passwords: held.secrets.database, log });
    try {
      return await work(database.options('migrate'));
    } finally {
      await database.stop();
    }
  } finally {
    held.release();
  }
}

async function record(options: DatabaseOptions, { snapshot_at }: Manifest): Promise<void> {
  const db = openDatabase({ ...options, maxConnections: 1 });
  try {
    await db.transaction(async (tx) => recordChange(tx, cliActor(), { action: 'backup.restore', details: `of ${snapshot_at}` }));
  } finally {
    await db.close();
  }
}
