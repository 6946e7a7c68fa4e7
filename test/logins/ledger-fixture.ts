/** A ledger with portfolios and symbols in it, as a login finds it. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { ManualClock } from '../../services/platform/clock.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { emptyTables, type TestDatabase, testDatabase } from '../support/database.ts';
import { STATE_TABLES } from '../support/job-rows.ts';

/** Tuesday, 11:00 in New York: the market is open, prices are stale after 5 minutes. */
export const NOW = '2026-03-03T16:00:00Z';

const TABLES = [
  'jobs',
  ...STATE_TABLES,
  'job_subscribers',
  'job_dependencies',
  'holdings',
  'logins',
  'symbols',
  'symbol_failures',
  'user_portfolio_priority',
  'login_answers',
  'leases',
  'imports',
];

export interface LedgerFixture {
  db: Database;
  clock: ManualClock;
  database: TestDatabase;
}

/** One schema for the file, empty at the start of each test, the clock at `NOW`. */
export function ledgerFixture(): LedgerFixture {
  const fixture = {} as LedgerFixture;
  beforeAll(async () => {
    fixture.database = await testDatabase();
    fixture.db = openDatabase(fixture.database.options);
  });
  beforeEach(async () => {
    fixture.clock = new ManualClock(NOW);
    await emptyTables(fixture.db, TABLES);
  });
  afterAll(async () => {
    await fixture.db.close();
    await fixture.database.drop();
  });
  return fixture;
}

/** Ten shares of each symbol at 100 dollars. */
export async function hold(db: Database, portfolios: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const rows = Object.entries(portfolios).flatMap(([user, symbols]) => symbols.map((symbol) => [user, symbol, 10, 100, new Date(NOW)]));
  for (let start = 0; start < rows.length; start += 5_000)
    await db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [rows.slice(start, start + 5_000)]);
}

/** Symbols fetched and analysed a minute before `NOW`. */
export async function makeFresh(db: Database, symbols: readonly string[]): Promise<void> {
  const at = new Date(Date.parse(NOW) - 60_000);
  await db.run(
    'INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source, analysed_at, analysed_bar, analysed_as_of, volatility) VALUES ?',
    [symbols.map((symbol) => [symbol, '2026-03-03', at, at, 100, 'USD', 'yahoo_finance', at, '2026-03-03', at, 0.3])],
  );
}

/** `count` symbols that can be tickers: AAA, AAB, … */
export function symbolsOf(count: number): string[] {
  const letter = (index: number): string => String.fromCharCode(65 + (index % 26));
  return Array.from({ length: count }, (_, index) => `${letter(index / 676)}${letter(index / 26)}${letter(index)}`);
}

/** Everything that a login may change. */
export async function everything(db: Database): Promise<Record<string, unknown[]>> {
  const tables: Record<string, unknown[]> = {};
  for (const table of TABLES) tables[table] = await db.rows(`SELECT * FROM ${table} ORDER BY 1, 2`);
  return tables;
}

export async function countRows(db: Database, table: string): Promise<number> {
  const [row] = await db.rows<{ count: number }>(`SELECT COUNT(*) AS count FROM ${table}`);
  return row!.count;
}
