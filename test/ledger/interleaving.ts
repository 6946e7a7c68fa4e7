/** Runs one transaction inside another one, at each of its statements in turn: what two processes do to each other by chance, made certain. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Database, Sql } from '../../services/platform/database/database.ts';
import { watched } from './fixture.ts';

/**
 * Runs `first` and stops it before its statement number `at` (from 0; the last number is its COMMIT), runs `second` until it has ended or waits for a lock of the
 * first one, and lets both end. Returns false when `first` had fewer statements. Errors of either: as they were thrown.
 */
export async function interleave(
  db: Database,
  at: number,
  first: (db: Database) => Promise<unknown>,
  second: (db: Database) => Promise<unknown>,
): Promise<boolean> {
  let statements = 0;
  let other: Promise<unknown> | undefined;
  const step = async (): Promise<void> => {
    if (statements++ !== at) return;
    other = second(db);
    await endedOrWaiting(db, other);
  };
  const withCommit: Database = {
    ...db,
    transaction: (work) =>
      db.transaction(async (tx) => {
        const result = await work(tx);
        await step();
        return result;
      }),
  };
  const [one, two] = await Promise.allSettled([first(watched(withCommit, step)), Promise.resolve().then(() => other)]);
  if (one.status === 'rejected') throw one.reason;
  if (two.status === 'rejected') throw two.reason;
  await other;
  return statements > at;
}

async function endedOrWaiting(sql: Sql, work: Promise<unknown>): Promise<void> {
  let ended = false;
  const end = (): void => {
    ended = true;
  };
  work.then(end, end);
  while (!ended) {
    // A wait of another test's transaction counts too: then both run on at once, which is right as well and only less certain.
    const [row] = await sql.rows<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    if (Number(row?.Value) > 0) return;
    await delay(1);
  }
}

/** Remembers the rows of the tables as they are now; the returned function puts them back. */
export async function keepRows(db: Database, migrator: Connection, tables: readonly string[]): Promise<() => Promise<void>> {
  const statements: string[] = [];
  for (const table of tables) {
    const [columns] = await migrator.query<RowDataPacket[]>(
      "SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND EXTRA NOT LIKE '%GENERATED%'",
      [table],
    );
    const names = columns.map(({ name }) => `\`${name}\``).join();
    await migrator.query(`CREATE TABLE kept_${table} AS SELECT ${names} FROM ${table}`);
    statements.push(`DELETE FROM ${table}`, `INSERT INTO ${table} (${names}) SELECT ${names} FROM kept_${table}`);
  }
  return () =>
    db.transaction(async (tx) => {
      for (const statement of statements) tx.later(statement);
    });
}
