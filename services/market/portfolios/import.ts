/** Imports portfolios from files. An import replaces the holdings of the users in the file. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Database, Transaction } from '../../platform/database/database.ts';
import { InputError, messageOf } from '../../platform/errors.ts';
import { addHoldings, clearHoldings } from './holdings.ts';
import { type OnFault, readPortfolioCsv } from './portfolio-csv.ts';

export interface ImportOptions {
  /** All lines are this user's; the file needs no column for it. */
  user?: string | undefined;
  /** The name of the file in messages; its path by default. */
  name?: string | undefined;
  now: Date;
  /** Writes that must be committed with the import, such as who made it. */
  alongside?: ((tx: Transaction, imported: Imported) => void | Promise<void>) | undefined;
  /** Checked in the transaction before anything is written: what it throws, the import throws. */
  first?: ((tx: Transaction) => Promise<void>) | undefined;
  /** Gets the invalid lines, which are left out then. Without it they are an error. */
  onFault?: OnFault | undefined;
  /** Called now and then with the positions that were read so far. */
  onRead?: ((positions: number) => void) | undefined;
}

export interface Imported {
  users: number;
  /** Positions that are held, and that are only watched. */
  held: number;
  watched: number;
}

/** Rows a statement: about 60 KB. */
const BATCH = 1000;
const ER_DUP_ENTRY = 1062;

/**
 * Replaces the portfolios of the users that a CSV file (see `readPortfolioCsv`) names, all in one transaction; the portfolios of others stay. A stream is first copied to a
 * temporary file, since a deadlock requires reading it again. Errors: `InputError` `portfolio.bad_line`, `portfolio.bad_header`, `portfolio.unreadable`
 * (nothing was imported then), those of `Database.transaction`.
 */
export async function importPortfolioCsv(db: Database, source: string | Readable, options: ImportOptions): Promise<Imported> {
  return withFile(source, options, (path, given) => db.transaction((tx) => replaceHoldings(tx, path, given)));
}

/** Works with the path of a file. A stream is copied to a temporary one, which is deleted afterwards. */
export async function withFile<T, Options extends { name?: string | undefined }>(
  source: string | Readable,
  options: Options,
  work: (path: string, options: Options) => Promise<T>,
): Promise<T> {
  if (typeof source === 'string') return work(source, options);
  const spool = join(tmpdir(), `stockmesh-import-${randomUUID()}.csv`);
  try {
    await pipeline(source, createWriteStream(spool, { mode: 0o600 }));
    return await work(spool, { ...options, name: options.name ?? 'standard input' });
  } finally {
    await rm(spool, { force: true });
  }
}

/**
 * Imports a file unless this function has imported the same content before, so that later changes of the portfolios stay. Undefined when it had been imported.
 * Errors: those of `importPortfolioCsv`.
 */
export async function importOnce(db: Database, path: string, now: Date): Promise<Imported | undefined> {
  const sha256 = await digest(path);
  try {
    return await db.transaction(async (tx) => {
      const [known] = await tx.rows('SELECT sha256 FROM imports WHERE sha256 = ?', [sha256]);
      if (known !== undefined) return undefined;
      // Inserted before the rows: a second importer of the same file waits here and then finds the key.
      await tx.run('INSERT INTO imports (sha256, source, users, positions, imported_at) VALUES (?)', [
        [sha256, path.slice(-500), 0, 0, now],
      ]);
      const imported = await replaceHoldings(tx, path, { now });
      await tx.run('UPDATE imports SET users = ?, positions = ? WHERE sha256 = ?', [
        imported.users,
        imported.held + imported.watched,
        sha256,
      ]);
      return imported;
    });
  } catch (error) {
    if ((error as { errno?: number }).errno === ER_DUP_ENTRY) return undefined;
    throw error;
  }
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    throw new InputError('portfolio.unreadable', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return hash.digest('hex');
}

async function replaceHoldings(
  tx: Transaction,
  path: string,
  { user, name, now, onRead, alongside, first, onFault }: ImportOptions,
): Promise<Imported> {
  await first?.(tx);
  const users = new Set<string>();
  let held = 0;
  let watched = 0;
  for await (const batch of readPortfolioCsv(path, { user, name, batchSize: BATCH, onFault })) {
    const fresh = [...new Set(batch.map((position) => position.user))].filter((one) => !users.has(one));
    await clearHoldings(tx, fresh);
    for (const one of fresh) users.add(one);
    await addHoldings(tx, batch, now);
    for (const { quantity } of batch) {
      if (Number(quantity) === 0) watched++;
      else held++;
    }
    onRead?.(held + watched);
  }
  const imported = { users: users.size, held, watched };
  await alongside?.(tx, imported);
  return imported;
}
