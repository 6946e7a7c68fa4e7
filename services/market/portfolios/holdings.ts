/** The holdings and watched symbols of users. */

import { COMMAND } from '../../platform/command-name.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';

/**
 * Positions of a user at most, by whatever way they come. One login judges and scores all of them in one transaction: a thousand keep the others waiting for less than
 * 50 ms.
 */
export const MOST_POSITIONS = 1_000;

export interface Holding {
  symbol: string;
  /** Shares; 0 for a symbol that is only watched, negative for a short position. */
  quantity: number;
  /** A share, in the instrument's currency. */
  cost: number | null;
}

/** The holdings of many users, sorted by symbol, the first `most` in all; users without any are absent. Reads the primary key's ranges of these users. */
export async function readHoldings(sql: Sql, users: readonly string[], most?: number): Promise<Map<string, Holding[]>> {
  const holdings = new Map<string, Holding[]>();
  if (users.length === 0) return holdings;
  const rows = await sql.rows<Holding & { user_id: string }>(
    `SELECT user_id, symbol, quantity, cost FROM holdings WHERE user_id IN (?) ORDER BY user_id, symbol${most === undefined ? '' : ' LIMIT ?'}`,
    most === undefined ? [users] : [users, most],
  );
  for (const { user_id, ...holding } of rows) {
    const own = holdings.get(user_id);
    if (own === undefined) holdings.set(user_id, [holding]);
    else own.push(holding);
  }
  return holdings;
}

/** A position to be written. Numbers may be text, so that money is not rounded. */
export interface NewHolding {
  user: string;
  symbol: string;
  quantity: string | number;
  cost: string | number | null;
}

/** Deletes the holdings and watched symbols of users, before `addHoldings` in the same transaction. */
export async function clearHoldings(tx: Transaction, users: readonly string[]): Promise<void> {
  if (users.length > 0) await tx.run('DELETE FROM holdings WHERE user_id IN (?)', [users]);
}

/** Adds positions: a thousand a call, about 60 KB. */
export async function addHoldings(tx: Transaction, positions: readonly NewHolding[], now: Date): Promise<void> {
  if (positions.length === 0) return;
  await tx.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [
    positions.map(({ user, symbol, quantity, cost }) => [user, symbol, quantity, cost, now]),
  ]);
}

/** The holdings of one user. Errors: `InputError('user.unknown')` when the user holds and watches nothing. */
export async function holdingsOf(sql: Sql, user: string): Promise<Holding[]> {
  const holdings = (await readHoldings(sql, [user])).get(user);
  if (holdings !== undefined) return holdings;
  throw new InputError(
    'user.unknown',
    `user ${JSON.stringify(user)} has no holdings; add some with "${COMMAND} portfolio import <csv>" or PUT /v1/users/{id}/portfolio`,
  );
}
