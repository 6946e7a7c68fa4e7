/** What an import would change, without importing anything. */
import type { Readable } from 'node:stream';
import type { Database } from '../../platform/database/database.ts';
import { type ImportOptions, withFile } from './import.ts';
import { type NewHolding, numbering, readPortfolioCsv } from './portfolio-csv.ts';

/** Shares, 0 for a symbol that is only watched; the cost of one, null when unknown. */
interface Position {
  quantity: number;
  cost: number | null;
}

export interface PositionChange {
  user: string;
  symbol: string;
  change: 'added' | 'changed' | 'removed';
  /** As it is stored; null for an added one. */
  from: Position | null;
  /** As the file has it; null for a removed one. */
  to: Position | null;
}

export interface Counts {
  added: number;
  changed: number;
  removed: number;
  unchanged: number;
}

export interface Preview extends Counts {
  users: number;
  /** Of the first `MOST_LISTED` users in the order of the file. */
  byUser: ({ user: string } & Counts)[];
  /** The first `MOST_LISTED` changes: those of the file in its order, then what it takes away. */
  changes: PositionChange[];
}

/** Users and changes that are listed one by one. All are counted. */
export const MOST_LISTED = 1_000;
/** Positions, and users, a statement. A user has at most 1,000 positions. */
const BATCH = 1_000;
const USERS_A_READ = 100;

/**
 * Compares a portfolio file with what is stored. Reads only; keeps a number for each line, 40 MB for a million. Options and errors as for `importPortfolioCsv`.
 */
export function previewPortfolioCsv(db: Database, source: string | Readable, options: Omit<ImportOptions, 'now'>): Promise<Preview> {
  return withFile(source, options, (path, given) => compare(db, path, given));
}

async function compare(db: Database, path: string, { user: only, name, onRead, onFault }: Omit<ImportOptions, 'now'>): Promise<Preview> {
  const number = numbering();
  const keyOf = (user: string, symbol: string): number => number(user) * 2 ** 26 + number(symbol);
  const inFile = new Set<number>();
  const counts = new Map<string, Counts>();
  const changes: PositionChange[] = [];
  const note = (change: PositionChange): void => {
    counts.get(change.user)![change.change]++;
    if (changes.length < MOST_LISTED) changes.push(change);
  };

  for await (const batch of readPortfolioCsv(path, { user: only, name, batchSize: BATCH, onFault })) {
    const stored = await readStored(db, batch);
    for (const { user, symbol, ...given } of batch) {
      if (!counts.has(user)) counts.set(user, { added: 0, changed: 0, removed: 0, unchanged: 0 });
      inFile.add(keyOf(user, symbol));
      const to = { quantity: Number(given.quantity), cost: given.cost === null ? null : Number(given.cost) };
      const from = stored.get(user)?.get(symbol) ?? null;
      if (from === null) note({ user, symbol, change: 'added', from, to });
      else if (from.quantity !== to.quantity || from.cost !== to.cost) note({ user, symbol, change: 'changed', from, to });
      else counts.get(user)!.unchanged++;
    }
    onRead?.(inFile.size);
  }
  const users = [...counts.keys()];
  for (let start = 0; start < users.length; start += USERS_A_READ) {
    const rows = await db.rows<Stored>(
      'SELECT user_id AS user, symbol, quantity, cost FROM holdings WHERE user_id IN (?) ORDER BY user_id, symbol',
      [users.slice(start, start + USERS_A_READ)],
    );
    for (const { user, symbol, ...from } of rows)
      if (!inFile.has(keyOf(user, symbol))) note({ user, symbol, change: 'removed', from, to: null });
  }
  return {
    users: users.length,
    ...sumOf(counts.values()),
    byUser: users.slice(0, MOST_LISTED).map((user) => ({ user, ...counts.get(user)! })),
    changes,
  };
}

interface Stored extends Position {
  user: string;
  symbol: string;
}

/** The stored positions among those of a batch, by user and symbol. Walks a range of the primary key for each user. */
async function readStored(db: Database, batch: readonly NewHolding[]): Promise<Map<string, Map<string, Position>>> {
  const wanted = Map.groupBy(batch, ({ user }) => user);
  const rows = await db.rows<Stored>(
    `SELECT user_id AS user, symbol, quantity, cost FROM holdings WHERE ${[...wanted].map(() => '(user_id = ? AND symbol IN (?))').join(' OR ')}`,
    [...wanted].flatMap(([user, own]) => [user, own.map(({ symbol }) => symbol)]),
  );
  const stored = new Map<string, Map<string, Position>>();
  for (const { user, symbol, ...position } of rows) {
    const own = stored.get(user) ?? new Map<string, Position>();
    stored.set(user, own.set(symbol, position));
  }
  return stored;
}

function sumOf(all: Iterable<Counts>): Counts {
  const sum = { added: 0, changed: 0, removed: 0, unchanged: 0 };
  for (const one of all) for (const key of Object.keys(sum) as (keyof Counts)[]) sum[key] += one[key];
  return sum;
}
