/** Where users are told of their jobs, and of what users, and addresses of routes, do not want to be told. */
import { fromJson, type Sql, type Transaction, toJson } from '../database/database.ts';
import { InputError } from '../errors.ts';
import type { Severity } from '../outbox.ts';
import { parseUser } from '../user-id.ts';

export interface Told {
  /** Of a user; null where none is set. */
  email: string | null;
  /** Names of events. */
  unwanted: ReadonlySet<string>;
}

export interface ToldChange {
  /** null: no address any more. */
  email?: string | null;
  /** Names of events. */
  wants?: readonly string[];
  unwants?: readonly string[];
}

interface Row {
  user_id: string;
  email: string | null;
  unwanted: unknown;
}

const toldOf = ({ email, unwanted }: Row): Told => ({ email, unwanted: new Set(fromJson(unwanted) as string[]) });

/** What is known of users and addresses, by name; nothing is of the others. */
export async function readTold(sql: Sql, names: readonly string[]): Promise<Map<string, Told>> {
  if (names.length === 0) return new Map();
  const rows = await sql.rows<Row>('SELECT user_id, email, unwanted FROM notify_users WHERE user_id IN (?)', [[...new Set(names)]]);
  return new Map(rows.map((row) => [row.user_id, toldOf(row)]));
}

/** Whether somebody is not to be told of an event. What is critical is always told to the addresses of a route: whoever watches a mesh must not miss it for a click. */
export function isUnwanted(
  told: Told | undefined,
  { name, severity }: { name: string; severity: Severity },
  channel: 'email' | 'webhook' | 'requester',
): boolean {
  return told?.unwanted.has(name) === true && !(channel === 'email' && severity === 'critical');
}

/** Changes what is known of a user or an address. False when all of it was so before. */
export async function changeTold(
  tx: Transaction,
  name: string,
  { email, wants = [], unwants = [] }: ToldChange,
  now: Date,
): Promise<boolean> {
  const before = (await locked(tx, name)) ?? (await madeAndLocked(tx, name, now));
  const after: Told = {
    email: email === undefined ? before.email : email,
    unwanted: before.unwanted.difference(new Set(wants)).union(new Set(unwants)),
  };
  if (after.email === before.email && after.unwanted.symmetricDifference(before.unwanted).size === 0) return false;
  await tx.run('UPDATE notify_users SET email = ?, unwanted = ?, changed_at = ? WHERE user_id = ?', [
    ...[after.email, toJson([...after.unwanted]), now, name],
  ]);
  return true;
}

async function locked(tx: Transaction, name: string): Promise<Told | undefined> {
  const [row] = await tx.rows<Row>('SELECT user_id, email, unwanted FROM notify_users WHERE user_id = ? FOR UPDATE', [name]);
  return row && toldOf(row);
}

/** A row that is not there cannot be locked: of two changes at once the second would not see the first. */
async function madeAndLocked(tx: Transaction, name: string, now: Date): Promise<Told> {
  await tx.run(
    "INSERT INTO notify_users (user_id, email, unwanted, changed_at) VALUES (?, NULL, '[]', ?) ON DUPLICATE KEY UPDATE user_id = VALUES(user_id)",
    [name, now],
  );
  return (await locked(tx, name)) as Told;
}

const LONGEST_ADDRESS = 254;

export const isAddress = (text: string): boolean => /^[^@\s]+@[^@\s]+$/.test(text) && text.length <= LONGEST_ADDRESS;

/** The address of a user. One whose name is an address needs no other. */
export const emailOf = (told: Told | undefined, name: string): string | undefined => told?.email ?? (isAddress(name) ? name : undefined);

/** A user, or an e-mail address of a route, which may be longer. Errors: `InputError('user.invalid')`. */
export const parseTold = (text: string): string => (isAddress(text) ? text : parseUser(text));

/** Errors: `InputError('notify.bad_address')`. */
export function requireAddress(text: string): void {
  if (isAddress(text) && /\.[^.]+$/.test(text)) return;
  throw new InputError('notify.bad_address', `${JSON.stringify(text.slice(0, 80))} is not an e-mail address, such as alice@example.com`);
}
