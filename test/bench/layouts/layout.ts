/** What the layouts of the ledger have in common while they are measured: one table for each, 16 bytes of id, two callers, batches. */
import type { Sql, Transaction } from '../../../services/platform/database/database.ts';

export interface NewJob {
  id: Buffer;
  priority: number;
  key: string;
}

export interface Taken {
  id: Buffer;
  attempt: number;
  key?: string | undefined;
}

/** Where a claim goes on: behind the last job that its caller has claimed. */
export interface Cursor {
  priority: number;
  id: Buffer;
}

export const START: Cursor = { priority: 0, id: Buffer.alloc(16) };

/** One way to lay the ledger out. Every layout stores the same of a job: what was asked for, its state, its result. */
export interface Layout {
  name: string;
  /** CREATE TABLE statements, and the names of the tables in the order in which they are dropped. */
  tables: readonly string[];
  create: readonly string[];
  enqueue(tx: Transaction, jobs: readonly NewJob[]): void;
  claim(tx: Transaction, worker: string, limit: number, cursor: Cursor): Promise<Taken[]>;
  complete(tx: Transaction, worker: string, jobs: readonly Taken[]): Promise<void>;
  /** Completes one batch and claims the next in one transaction. */
  together?: boolean;
  /** Whether the claim begins behind what its caller has claimed, and not at the head. */
  fromCursor?: boolean;
  left(sql: Sql): Promise<number>;
}

export const NOW = new Date('2026-06-02T14:00:00Z');
export const LEASE = new Date('2026-06-02T14:01:00Z');
export const EXPIRY = new Date('2026-06-02T15:00:00Z');
export const PAYLOAD = JSON.stringify({ symbol: 'AAPL', range: '5d' });
export const WHY = JSON.stringify({
  base: 1,
  factors: { user_activity: 0.5, portfolio_value: 0.4, data_age: 1, market_volatility: 0.5 },
  weights: { user_activity: 0.4, portfolio_value: 0.3, data_age: 0.2, market_volatility: 0.1 },
  score: 0.57,
});

export const ids = (jobs: readonly { id: Buffer }[]): Buffer[] => jobs.map(({ id }) => id).sort(Buffer.compare);

/** The count of a table. */
export async function count(sql: Sql, from: string): Promise<number> {
  const [row] = await sql.rows<{ n: number }>(`SELECT COUNT(*) AS n FROM ${from}`);
  return row?.n ?? 0;
}
