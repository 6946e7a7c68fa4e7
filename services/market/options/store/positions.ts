/** The option positions of users, which exit mode ranks. */

import { createHash, type Hash } from 'node:crypto';
import { z } from 'zod';
import { COMMAND } from '../../../platform/command-name.ts';
import type { Sql, Transaction } from '../../../platform/database/database.ts';
import { InputError } from '../../../platform/errors.ts';
import { formatContract, parseContract } from '../chain/contract.ts';
import { rootsOf } from '../chain/roots.ts';
import { expiryTimes } from '../chain/time.ts';
import type { Position } from '../ranking/rank-input.ts';

const dollars = z.number().positive().max(1e7);

/** A position as a user enters it. */
export const PositionInput = z.strictObject({
  contract: z.string().transform((text, context) => {
    try {
      return formatContract(parseContract(text));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, input: text });
      return z.NEVER;
    }
  }),
  quantity: z.number().positive().max(1e9).describe('Contracts'),
  entry_price: dollars.describe('Dollars a share'),
  entry_iv: z.number().positive().max(100).optional().describe('Annual implied volatility at the entry, 0.25 is 25 %'),
  entry_spot: dollars.optional().describe('Price of the underlying at the entry, dollars a share'),
  target: dollars.optional().describe('Target price of the underlying; its progress counts from entry_spot'),
  stop: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe('Loss at which the position is stopped, as a share of the entry price; ranking.rules.stop_loss if not given'),
  opened_at: z.iso.datetime({ offset: true }).optional().describe('Now if not given'),
});
export type PositionInput = z.output<typeof PositionInput>;

export interface StoredPosition {
  id: string;
  user_id: string;
  contract: string;
  quantity: number;
  /** Dollars a share. */
  entry_price: number;
  /** Annual. */
  entry_iv: number | null;
  entry_spot: number | null;
  target: number | null;
  stop: number | null;
  opened_at: Date;
}

const COLUMNS = 'id, user_id, contract, quantity, entry_price, entry_iv, entry_spot, target, stop, opened_at';

/** @throws InputError `position.invalid`, which names each wrong field and its fault */
export function parsePosition(given: unknown): PositionInput {
  const parsed = PositionInput.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'position'}: ${message}`);
  throw new InputError('position.invalid', issues.join('; '));
}

/**
 * Refuses contracts whose last trading moment has come: no ranking would ever know their price.
 * @throws InputError `position.expired`
 */
export function refuseExpired(positions: readonly PositionInput[], now: Temporal.Instant): void {
  for (const { contract } of positions) {
    const { expiry, underlying } = parseContract(contract);
    if (expiryTimes([expiry], now, [underlying]).expired[0] === 0) continue;
    throw new InputError('position.expired', `${contract} expired on ${expiry}; give a contract that still trades, or leave it out`);
  }
}

/** Ids ascend with the order of the positions. */
export async function addPositions(tx: Transaction, user: string, positions: readonly PositionInput[], now: Date): Promise<void> {
  if (positions.length === 0) return;
  await tx.run(
    'INSERT INTO option_positions (user_id, contract, underlying, quantity, entry_price, entry_iv, entry_spot, target, stop, opened_at) VALUES ?',
    [
      positions.map((one) => [
        user,
        one.contract,
        parseContract(one.contract).underlying,
        one.quantity,
        one.entry_price,
        one.entry_iv ?? null,
        one.entry_spot ?? null,
        one.target ?? null,
        one.stop ?? null,
        one.opened_at === undefined ? now : new Date(one.opened_at),
      ]),
    ],
  );
}

/**
 * Replaces all option positions of the user. One that is held already may have expired: who reads the list, adds one and writes it back is not refused.
 * @throws InputError `position.expired`
 */
export async function replacePositions(tx: Transaction, user: string, positions: readonly PositionInput[], now: Date): Promise<void> {
  const held = new Set((await listPositions(tx, user)).map(({ contract }) => contract));
  refuseExpired(
    positions.filter(({ contract }) => !held.has(contract)),
    Temporal.Instant.fromEpochMilliseconds(now.getTime()),
  );
  await tx.run('DELETE FROM option_positions WHERE user_id = ?', [user]);
  await addPositions(tx, user, positions, now);
}

/** Of one user or of all, in the order in which they were added. */
export async function listPositions(sql: Sql, user?: string): Promise<StoredPosition[]> {
  const rows =
    user === undefined
      ? await sql.rows<StoredRow>(`SELECT ${COLUMNS} FROM option_positions ORDER BY user_id, id`)
      : await sql.rows<StoredRow>(`SELECT ${COLUMNS} FROM option_positions WHERE user_id = ? ORDER BY id`, [user]);
  return rows.map((row) => ({ ...row, id: String(row.id) }));
}

type StoredRow = Omit<StoredPosition, 'id'> & { id: number | string };

/** @throws InputError `position.unknown` */
export async function removePosition(sql: Sql, id: string): Promise<void> {
  const { affectedRows } = /^\d{1,18}$/.test(id) ? await sql.run('DELETE FROM option_positions WHERE id = ?', [id]) : { affectedRows: 0 };
  if (affectedRows === 0)
    throw new InputError(
      'position.unknown',
      `there is no position ${JSON.stringify(id.slice(0, 40))}; "${COMMAND} position list" shows all`,
    );
}

/** The positions of all users in options of `symbol`, adjusted and weekly ones among them, and their owners. */
export async function positionsIn(sql: Sql, symbol: string): Promise<{ positions: Position[]; owners: Map<string, string> }> {
  const rows = await sql.rows<StoredRow>(`SELECT ${COLUMNS} FROM option_positions WHERE underlying IN (?) ORDER BY id`, [rootsOf(symbol)]);
  return {
    positions: rows.map((row) => ({
      id: String(row.id),
      contract: row.contract,
      entryPrice: row.entry_price,
      entryIv: row.entry_iv ?? undefined,
      entrySpot: row.entry_spot ?? undefined,
      target: row.target ?? undefined,
      stop: row.stop ?? undefined,
    })),
    owners: new Map(rows.map(({ id, user_id }) => [String(id), user_id])),
  };
}

/**
 * For each of the symbols in which somebody holds options: a text that is another as soon as one position was added or removed. Positions never change, so their ids tell
 * that. Reads ix_underlying alone.
 */
export async function heldMarks(sql: Sql, symbols: readonly string[]): Promise<Map<string, string>> {
  const symbolsOf = Map.groupBy(
    [...new Set(symbols)].flatMap((symbol) => rootsOf(symbol).map((root) => ({ root, symbol }))),
    ({ root }) => root,
  );
  if (symbolsOf.size === 0) return new Map();
  const rows = await sql.rows<{ underlying: string; id: number | string }>(
    'SELECT underlying, id FROM option_positions WHERE underlying IN (?) ORDER BY id',
    [[...symbolsOf.keys()]],
  );
  const hashes = new Map<string, Hash>();
  for (const { underlying, id } of rows)
    for (const { symbol } of symbolsOf.get(underlying)!) hashes.getOrInsertComputed(symbol, () => createHash('sha256')).update(`${id} `);
  return new Map([...hashes].map(([symbol, hash]) => [symbol, hash.digest('hex').slice(0, MARK_LENGTH)]));
}

/** Hexadecimal digits. */
const MARK_LENGTH = 16;

/**
 * A user is known who holds or watches something, has signed in, or has option positions.
 * @throws InputError `user.unknown`
 */
export async function requireKnown(sql: Sql, user: string): Promise<void> {
  const [row] = await sql.rows<{ known: number }>(
    `SELECT EXISTS (SELECT 1 FROM holdings WHERE user_id = ?) OR EXISTS (SELECT 1 FROM logins WHERE user_id = ?)
         OR EXISTS (SELECT 1 FROM user_portfolio_priority WHERE user_id = ?) OR EXISTS (SELECT 1 FROM option_positions WHERE user_id = ?) AS known`,
    [user, user, user, user],
  );
  if (row?.known === 1) return;
  throw new InputError(
    'user.unknown',
    `nobody knows a user ${JSON.stringify(user)}: no holdings, no login and no position; check the spelling, or import the holdings first: "${COMMAND} portfolio import"`,
  );
}
