/** Keys of the HTTP API and their scopes. A secret is shown once, when it is made; only its SHA-256 is stored. */

import { timingSafeEqual } from 'node:crypto';
import { COMMAND } from '../../platform/command-name.ts';
import { fromJson, type Sql } from '../../platform/database/database.ts';
import { InputError, isDatabaseAway } from '../../platform/errors.ts';
import { hashOfKey, newApiKey } from '../../platform/machine/api-key.ts';
import { createWebhookSecret, rotateWebhookSecret } from '../webhooks/webhook-secrets.ts';

export interface ApiKey {
  /** The first 8 bytes of the hash of its first secret, in hexadecimal. It stays when the secret is renewed. */
  id: string;
  name: string;
  scopes: string[];
  created_at: Date;
  /** Not in force from then on; null: until it is revoked. */
  expires_at: Date | null;
  /** To the minute. */
  last_used_at: Date | null;
  /** When it got its present secret, unless that is its first one. */
  rotated_at: Date | null;
  /** Until then the secret before that is in force as well. */
  old_until: Date | null;
  revoked_at: Date | null;
}

/** The scopes of a key, each with its meaning. */
export const SCOPES = {
  read: 'see everything',
  jobs: 'enqueue, cancel and retry jobs, and sign users in',
  login: 'sign users in, and nothing else',
  admin: 'everything',
  'user:<id>': "one user's portfolio, logins and jobs, and the data of any symbol",
} as const;

const SCOPE = /^(?:read|jobs|login|admin|user:(?=.*\S)[^\p{Cc}]{1,64})$/u;
const LONGEST_NAME = 64;
const USED_EVERY_MS = 60_000;

interface Row extends Omit<ApiKey, 'scopes'> {
  hash: Buffer;
  scopes: unknown;
}

const COLUMNS = 'id, hash, name, scopes, created_at, expires_at, last_used_at, rotated_at, old_until, revoked_at';

const keyOf = ({ hash: _, scopes, ...row }: Row): ApiKey => ({ ...row, scopes: fromJson(scopes) as string[] });
const idOf = (hash: Buffer): string => hash.subarray(0, 8).toString('hex');

export interface NewKey {
  name: string;
  scopes: readonly string[];
  expires_at?: Date | undefined;
}

/** Makes a key and stores its hash. Errors: `InputError('key.bad_scope' | 'key.bad_name' | 'key.bad_expiry')`. */
export async function createKey(sql: Sql, given: NewKey, now: Date): Promise<{ id: string; key: string; signingSecret: string }> {
  const key = newApiKey();
  const { id, signingSecret } = await storeKey(sql, key, given, now);
  return { id, key, signingSecret: signingSecret as string };
}

/** Stores a key that was made elsewhere, and gives it a secret for its webhooks; one that is stored already stays as it is, also when it was revoked. Errors: as above. */
export async function storeKey(
  sql: Sql,
  key: string,
  { name, scopes, expires_at }: NewKey,
  now: Date,
): Promise<{ id: string; isNew: boolean; signingSecret?: string }> {
  // The database compares users without the blanks behind them.
  const wanted = [...new Set(scopes.map((scope) => scope.trim()))];
  const wrong = wanted.find((scope) => !SCOPE.test(scope));
  if (wrong !== undefined || wanted.length === 0)
    throw new InputError(
      'key.bad_scope',
      `${wrong === undefined ? 'a key needs a scope' : `there is no scope ${JSON.stringify(wrong)}`}; choose from ${Object.entries(SCOPES)
        .map(([scope, may]) => `${scope} (${may})`)
        .join(', ')}`,
    );
  if (name.trim() === '' || name.length > LONGEST_NAME)
    throw new InputError('key.bad_name', `a key needs a name of 1 to ${LONGEST_NAME} characters, such as the program that uses it`);
  requireFuture(expires_at, now);
  const hash = hashOfKey(key);
  const { affectedRows } = await sql.run('INSERT IGNORE INTO api_keys (id, hash, name, scopes, created_at, expires_at) VALUES (?)', [
    [idOf(hash), hash, name, JSON.stringify(wanted), now, expires_at ?? null],
  ]);
  const id = idOf(hash);
  return affectedRows > 0 ? { id, isNew: true, signingSecret: await createWebhookSecret(sql, id, now) } : { id, isNew: false };
}

function requireFuture(expires_at: Date | undefined, now: Date): void {
  if (expires_at !== undefined && expires_at <= now)
    throw new InputError('key.bad_expiry', `a key cannot expire at ${expires_at.toISOString()}: it is ${now.toISOString()} already`);
}

/** Whether a key is in force at a moment. */
export function stateOf(
  { revoked_at, expires_at }: Pick<ApiKey, 'revoked_at' | 'expires_at'>,
  now: Date,
): 'in force' | 'expired' | 'revoked' {
  return revoked_at !== null ? 'revoked' : expires_at !== null && expires_at <= now ? 'expired' : 'in force';
}

/** A key that was found by one of its secrets. */
export interface FoundKey extends ApiKey {
  /** The end of the secret that was shown; null: none. */
  valid_until: Date | null;
}

/** The key that was shown, unless it is unknown or not in force. By ux_hash and ux_old_hash; the whole hash is compared in constant time. */
export async function findKey(sql: Sql, key: string, now: Date): Promise<FoundKey | undefined> {
  const hash = hashOfKey(key);
  const [row] = await sql.rows<Row & { old: number }>(
    `SELECT ${COLUMNS}, 0 AS old FROM api_keys WHERE hash = ?
      UNION ALL SELECT ${COLUMNS.replace('hash', 'old_hash')}, 1 AS old FROM api_keys WHERE old_hash = ?`,
    [hash, hash],
  );
  if (row === undefined || !timingSafeEqual(row.hash, hash)) return undefined;
  const { old, ...found } = row;
  const valid_until = old === 1 ? earlier(found.old_until, found.expires_at) : found.expires_at;
  if (stateOf(found, now) !== 'in force' || isOver(valid_until, now)) return undefined;
  await noteUse(sql, found, now);
  return { ...keyOf(found), valid_until };
}

const isOver = (until: Date | null, now: Date): boolean => until !== null && until <= now;

function earlier(one: Date | null, other: Date | null): Date | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

/** Once a minute. */
export async function noteUse(sql: Sql, { id, last_used_at }: Pick<ApiKey, 'id' | 'last_used_at'>, now: Date): Promise<void> {
  if (now.getTime() - (last_used_at?.getTime() ?? 0) >= USED_EVERY_MS)
    await sql.run('UPDATE api_keys SET last_used_at = ? WHERE id = ?', [now, id]).catch(ignoreOutage);
}

/** A database that only takes reads answers requests that only read. The next use of the key writes its time. */
function ignoreOutage(error: unknown): void {
  if (!isDatabaseAway(error)) throw error;
}

/** For so long a key that was found is not looked up again, so a key that is revoked is refused within a second. Half of the cost of a small request was that look-up. */
const REMEMBERED_MS = 1_000;
const MOST_REMEMBERED = 1_000;

/** `findKey` for a server, which asks it with every request. A key that expires is refused at once, a revoked one within a second. */
export function keyFinder(sql: Sql, now: () => Date): (key: string) => Promise<ApiKey | undefined> {
  const known = new Map<string, { found: Promise<FoundKey | undefined>; until: number }>();
  return async (key) => {
    // By hash: which of two keys is meant must not show in the time it takes to compare them.
    const id = hashOfKey(key).toString('base64');
    const at = performance.now();
    const remembered = known.get(id);
    if (remembered !== undefined && at < remembered.until) {
      const found = await remembered.found;
      return found === undefined || isOver(found.valid_until, now()) ? undefined : found;
    }
    if (known.size >= MOST_REMEMBERED) known.clear();
    const found = findKey(sql, key, now());
    known.set(id, { found, until: at + REMEMBERED_MS });
    const forget = (): void => void known.delete(id);
    // Not cached: an unknown key may be created at any moment, and an outage is no answer.
    found.then((one) => one ?? forget(), forget);
    return found;
  };
}

/** All keys, the newest first. */
export async function listKeys(sql: Sql): Promise<ApiKey[]> {
  return (await sql.rows<Row>(`SELECT ${COLUMNS} FROM api_keys ORDER BY created_at DESC, id`)).map(keyOf);
}

/** The same from behind the key `after` on, at most `limit`; none for a key that is not there. */
export async function listKeysAfter(sql: Sql, after: string | undefined, limit: number): Promise<ApiKey[]> {
  const made = '(SELECT created_at FROM api_keys WHERE id = ?)';
  const behind = after === undefined ? '' : `WHERE created_at < ${made} OR (created_at = ${made} AND id > ?)`;
  const params = after === undefined ? [limit] : [after, after, after, limit];
  return (await sql.rows<Row>(`SELECT ${COLUMNS} FROM api_keys ${behind} ORDER BY created_at DESC, id LIMIT ?`, params)).map(keyOf);
}

/** Those of the keys with these ids that are in force. By primary key. */
export async function keysInForce(sql: Sql, ids: readonly string[], now: Date): Promise<ApiKey[]> {
  if (ids.length === 0) return [];
  const rows = await sql.rows<Row>(`SELECT ${COLUMNS} FROM api_keys WHERE id IN (?)`, [ids]);
  return rows.map(keyOf).filter((key) => stateOf(key, now) === 'in force');
}

/** Revokes a key, by its id or by a name that only one valid key has. Errors: `InputError('key.unknown' | 'key.ambiguous')`. */
export async function revokeKey(sql: Sql, idOrName: string, now: Date): Promise<ApiKey> {
  const key = await oneKey(sql, idOrName, ({ revoked_at }) => revoked_at === null);
  await sql.run('UPDATE api_keys SET revoked_at = ? WHERE id = ?', [now, key.id]);
  return { ...key, revoked_at: now };
}

/**
 * Gives a key in force a new secret, and another for its webhooks. Those that it had work for `overlapSeconds` beside them, and so do the sessions that they opened: a secret
 * that leaked must open nothing. Older ones end now. `expires_at` replaces the end of the key, if given.
 * Errors: those of `revokeKey`, `InputError('key.bad_expiry')`.
 */
export async function rotateKey(
  sql: Sql,
  idOrName: string,
  { overlapSeconds, expires_at }: { overlapSeconds: number; expires_at?: Date | undefined },
  now: Date,
): Promise<ApiKey & { key: string; signingSecret: string }> {
  requireFuture(expires_at, now);
  const found = await oneKey(sql, idOrName, (key) => stateOf(key, now) === 'in force');
  const key = newApiKey();
  const changed = {
    expires_at: expires_at ?? found.expires_at,
    rotated_at: now,
    old_until: new Date(now.getTime() + overlapSeconds * 1000),
  };
  const signingSecret = await rotateWebhookSecret(sql, found.id, changed.old_until, now);
  // Assignments run from left to right: the old hash is taken before the new one stands there.
  await sql.run('UPDATE api_keys SET old_hash = hash, hash = ?, rotated_at = ?, old_until = ?, expires_at = ? WHERE id = ?', [
    hashOfKey(key),
    changed.rotated_at,
    changed.old_until,
    changed.expires_at,
    found.id,
  ]);
  // By hand and seldom: the table has a row for each browser that is signed in.
  await sql.run('UPDATE sessions SET expires_at = LEAST(expires_at, ?) WHERE key_id = ?', [changed.old_until, found.id]);
  return { ...found, ...changed, key, signingSecret };
}

/** Gives a key in force another secret for its webhooks, and leaves the key as it is. Until the end of the overlap both sign. Errors: those of `revokeKey`. */
export async function renewSigningSecret(
  sql: Sql,
  idOrName: string,
  overlapSeconds: number,
  now: Date,
): Promise<Pick<ApiKey, 'id' | 'name'> & { signingSecret: string; old_until: Date }> {
  const { id, name } = await oneKey(sql, idOrName, (key) => stateOf(key, now) === 'in force');
  const old_until = new Date(now.getTime() + overlapSeconds * 1000);
  return { id, name, old_until, signingSecret: await rotateWebhookSecret(sql, id, old_until, now) };
}

/** The one key that is meant, by its id or name. Errors: `InputError('key.unknown' | 'key.ambiguous')`. */
export async function oneKey(sql: Sql, idOrName: string, isMeant: (key: ApiKey) => boolean): Promise<ApiKey> {
  const found = (await listKeys(sql)).filter((key) => isMeant(key) && (key.id === idOrName || key.name === idOrName));
  const [key] = found;
  if (key === undefined)
    throw new InputError('key.unknown', `no valid key has the id or name ${JSON.stringify(idOrName)}; "${COMMAND} key list" shows all`);
  if (found.length > 1)
    throw new InputError(
      'key.ambiguous',
      `${found.length} keys are named ${JSON.stringify(idOrName)}: name one by its id (${found.map(({ id }) => id).join(', ')})`,
    );
  return key;
}
