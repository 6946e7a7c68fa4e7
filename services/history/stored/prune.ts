/** Deletes what interrupted downloads have left in the object store. */
import type { Database, Sql } from '../../platform/database/database.ts';
import type { ObjectStore } from '../objects/store.ts';

/** An object is put before its row is committed: a younger one may belong to a download that is under way. */
const YOUNGEST_MS = 3_600_000;

export interface Pruned {
  /** Objects without a row in the manifest. */
  objects: { key: string; bytes: number }[];
  /** Left-overs of interrupted puts. */
  leftovers: number;
  /** Keys of the manifest without an object, which are only reported. */
  lost: string[];
}

const TREES = ['historical-options/', 'historical-stock/', 'historical-earnings/'];

/** `dryRun`: deletes nothing; left-overs are not counted then. Errors: those of the store. */
export async function pruneObjects(
  { db, store }: { db: Database; store: ObjectStore },
  { now, dryRun = false }: { now: Temporal.Instant; dryRun?: boolean },
  signal: AbortSignal,
): Promise<Pruned> {
  const before = now.subtract({ milliseconds: YOUNGEST_MS });
  const pruned: Pruned = { objects: [], leftovers: 0, lost: [] };
  const present = new Set<string>();
  for (const tree of TREES)
    for await (const page of store.list(tree, signal)) {
      const known = await knownAmong(
        db,
        page.map(({ key }) => key),
      );
      for (const { key, bytes, modified } of page) {
        present.add(key);
        if (known.has(key) || Temporal.Instant.compare(modified, before) >= 0) continue;
        if (dryRun || (await deleteUnknown(db, store, key, signal))) pruned.objects.push({ key, bytes });
      }
    }
  // One that was put after its page was listed is there.
  for (const key of await absentOf(db, present)) if ((await store.head(key, signal)) === undefined) pruned.lost.push(key);
  if (!dryRun) pruned.leftovers = await store.prune(before, signal);
  return pruned;
}

/** In place of the job that downloads an object. */
const NOBODY = Buffer.alloc(16);

/** Deletes an object unless a download has begun with it, or has stored it, since the list was read: the claim of this transaction makes others wait with theirs. */
function deleteUnknown(db: Database, store: ObjectStore, key: string, signal: AbortSignal): Promise<boolean> {
  return db.transaction(async (tx) => {
    const claim = await tx.run('INSERT IGNORE INTO history_fetches (object_key, job_id, attempt) VALUES (?, ?, 0)', [key, NOBODY]);
    if (claim.affectedRows === 0) return false;
    const stored = await tx.rows('SELECT 1 FROM history_objects WHERE object_key = ?', [key]);
    if (stored.length === 0) await store.delete(key, signal);
    await tx.run('DELETE FROM history_fetches WHERE object_key = ?', [key]);
    return stored.length === 0;
  });
}

/** Those with a row, and those that are downloaded now. */
async function knownAmong(sql: Sql, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const rows = await sql.rows<{ object_key: string }>(
    'SELECT object_key FROM history_objects WHERE object_key IN (?) UNION ALL SELECT object_key FROM history_fetches WHERE object_key IN (?)',
    [keys, keys],
  );
  return new Set(rows.map(({ object_key }) => object_key));
}

const PAGE = 5_000;

async function absentOf(sql: Sql, present: ReadonlySet<string>): Promise<string[]> {
  const absent: string[] = [];
  for (let after = ''; ; ) {
    const rows = await sql.rows<{ object_key: string }>(
      'SELECT object_key FROM history_objects WHERE object_key > ? ORDER BY object_key LIMIT ?',
      [after, PAGE],
    );
    for (const { object_key } of rows) if (!present.has(object_key)) absent.push(object_key);
    if (rows.length < PAGE) return absent;
    after = rows.at(-1)?.object_key as string;
  }
}
