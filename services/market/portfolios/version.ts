/** Which version of a portfolio, or of a user's option positions, somebody has looked at: a text that is another as soon as one of them has changed. */
import { createHash } from 'node:crypto';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';

const LENGTH = 16;

function versionOf(rows: readonly unknown[][]): string {
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex').slice(0, LENGTH);
}

/** Of what a user holds and watches. `lock`: others wait until the transaction ends. */
export async function holdingsVersion(sql: Sql, user: string, lock?: 'lock'): Promise<string> {
  const rows = await sql.rows<{ symbol: string; quantity: unknown; cost: unknown }>(
    `SELECT symbol, quantity, cost FROM holdings WHERE user_id = ? ORDER BY symbol ${lock === undefined ? '' : 'FOR UPDATE'}`,
    [user],
  );
  return versionOf(rows.map(({ symbol, quantity, cost }) => [symbol, quantity, cost]));
}

/** Of a user's option positions, which never change: their ids tell. */
export async function positionsVersion(sql: Sql, user: string, lock?: 'lock'): Promise<string> {
  const rows = await sql.rows<{ id: number | string }>(
    `SELECT id FROM option_positions FORCE INDEX (ix_user) WHERE user_id = ? ORDER BY id ${lock === undefined ? '' : 'FOR UPDATE'}`,
    [user],
  );
  return versionOf(rows.map(({ id }) => [String(id)]));
}

/**
 * Refuses a change that was made from another version. `expected`: the value of `if-match`, undefined and "*" for whoever does not care. Errors:
 * `InputError('portfolio.changed')`.
 */
export async function requireVersion(
  tx: Transaction,
  user: string,
  read: (sql: Sql, user: string, lock: 'lock') => Promise<string>,
  expected: string | undefined,
): Promise<void> {
  if (expected === undefined || expected.trim() === '*') return;
  const present = await read(tx, user, 'lock');
  const given = expected.split(',').map((one) => one.trim().replace(/^W\//, '').replaceAll('"', ''));
  if (!given.includes(present))
    throw new InputError(
      'portfolio.changed',
      `what user ${JSON.stringify(user)} holds was changed elsewhere meanwhile; read it again, and make your change from that`,
    );
}
