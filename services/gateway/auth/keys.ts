/** Keys of the HTTP API and their scopes. A key is shown once, at its creation; only its SHA-256 is stored. */

import { timingSafeEqual } from 'node:crypto';
import { COMMAND } from '../../platform/command-name.ts';
import { fromJson, type Sql } from '../../platform/database/database.ts';
import { InputError, isDatabaseAway } from '../../platform/errors.ts';
import { hashOfKey, newApiKey } from '../../platform/machine/api-key.ts';

export interface ApiKey {
  /** The first 8 bytes of the hash, in hexadecimal. */
  id: string;
  name: string;
  scopes: string[];
  created_at: Date;
  /** To the minute. */
  last_used_at: Date | null;
  revoked_at: Date | null;
}

/** The scopes of a key, each with its meaning. */
export const SCOPES = {
  read: 'see everything',
  jobs: 'enqueue, cancel and retry jobs, and sign users in',
  admin: 'everything',
  'user:<id>': "one user's portfolio, logins and jobs, and the data of any symbol",
} as const;

const SCOPE = /^(?:read|jobs|admin|user:(?=.*\S)[^\p{Cc}]{1,64})$/u;
const LONGEST_NAME = 64;
const USED_EVERY_MS = 60_000;

interface Row extends Omit<ApiKey, 'scopes'> {
  hash: Buffer;
  scopes: unknown;
}

const COLUMNS = 'id, hash, name, scopes, created_at, last_used_at, revoked_at';

const keyOf = ({ hash: _, scopes, ...row }: Row): ApiKey => ({ ...row, scopes: fromJson(scopes) as string[] });
const idOf = (hash: Buffer): string => hash.subarray(0, 8).toString('hex');

/** The secret that verifies the signatures of a key's webhooks, in the form of Standard Webhooks: the key's SHA-256. */
export function signingSecretOf(key: string): string {
  return `whsec_${hashOfKey(key).toString('base64')}`;
}

/** Makes a key and stores its hash. Errors: `InputError('key.bad_scope' | 'key.bad_name')`. */
export async function createKey(
  sql: Sql,
  { name, scopes }: Pick<ApiKey, 'name' | 'scopes'>,
  now: Date,
): Promise<{ id: string; key: string }> {
  const key = newApiKey();
  return { id: await storeKey(sql, key, { name, scopes }, now), key };
}

/** Stores a key that was made elsewhere; one that is stored already stays as it is, also when it was revoked. Gives its id. Errors: as above. */
export async function storeKey(sql: Sql, key: string, { name, scopes }: Pick<ApiKey, 'name' | 'scopes'>, now: Date): Promise<string> {
  const wrong = scopes.find((scope) => !SCOPE.test(scope));
  if (wrong !== undefined || scopes.length === 0)
    throw new InputError(
      'key.bad_scope',
      `${wrong === undefined ? 'a key needs a scope' : `there is no scope ${JSON.stringify(wrong)}`}; choose from ${Object.entries(SCOPES)
        .map(([scope, may]) => `${scope} (${may})`)
        .join(', ')}`,
    );
  if (name.trim() === '' || name.length > LONGEST_NAME)
    throw new InputError('key.bad_name', `a key needs a name of 1 to ${LONGEST_NAME} characters, such as the program that uses it`);
  const hash = hashOfKey(key);
  await sql.run('INSERT IGNORE INTO api_keys (id, hash, name, scopes, created_at) VALUES (?)', [
    [idOf(hash), hash, name, JSON.stringify([...new Set(scopes)]), now],
  ]);
  return idOf(hash);
}

/** The key that was shown, unless it is unknown or revoked. By primary key; the whole hash is compared in constant time. */
export async function findKey(sql: Sql, key: string, now: Date): Promise<ApiKey | undefined> {
  const hash = hashOfKey(key);
  const [row] = await sql.rows<Row>(`SELECT ${COLUMNS} FROM api_keys WHERE id = ?`, [idOf(hash)]);
  if (row === undefined || !timingSafeEqual(row.hash, hash) || row.revoked_at !== null) return undefined;
  if (now.getTime() - (row.last_used_at?.getTime() ?? 0) >= USED_EVERY_MS)
    await sql.run('UPDATE api_keys SET last_used_at = ? WHERE id = ?', [now, row.id]).catch(ignoreOutage);
  return keyOf(row);
}

/** A database that only takes reads answers requests that only read. The next use of the key writes its time. */
function ignoreOutage(error: unknown): void {
  if (!isDatabaseAway(error)) throw error;
}

/** For so long a key that was found is not looked up again, so a key that is revoked is refused within a second. Half of the cost of a small request was that look-up. */
const REMEMBERED_MS = 1_000;
const MOST_REMEMBERED = 1_000;

/** `findKey` for a server, which asks it with every request. */
export function keyFinder(sql: Sql, now: () => Date): (key: string) => Promise<ApiKey | undefined> {
  const known = new Map<string, { found: Promise<ApiKey | undefined>; until: number }>();
  return (key) => {
    // By hash: which of two keys is meant must not show in the time it takes to compare them.
    const id = hashOfKey(key).toString('base64');
    const at = performance.now();
    const remembered = known.get(id);
    if (remembered !== undefined && at < remembered.until) return remembered.found;
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

/** Revokes a key at once, by its id or by a name that only one valid key has. Errors: `InputError('key.unknown' | 'key.ambiguous')`. */
export async function revokeKey(sql: Sql, idOrName: string, now: Date): Promise<ApiKey> {
  const found = (await listKeys(sql)).filter((key) => key.revoked_at === null && (key.id === idOrName || key.name === idOrName));
  const [key] = found;
  if (key === undefined)
    throw new InputError('key.unknown', `no valid key has the id or name ${JSON.stringify(idOrName)}; "${COMMAND} key list" shows all`);
  if (found.length > 1)
    throw new InputError(
      'key.ambiguous',
      `${found.length} keys are named ${JSON.stringify(idOrName)}: name one by its id (${found.map(({ id }) => id).join(', ')})`,
    );
  await sql.run('UPDATE api_keys SET revoked_at = ? WHERE id = ?', [now, key.id]);
  return { ...key, revoked_at: now };
}
