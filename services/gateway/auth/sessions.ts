/**
 * Sessions of browsers. An `EventSource` sends no header, and a key that lies in a page can be taken by its scripts: a browser gives its key, or a code of one use, once, and
 * gets a cookie that only requests of the same site carry and no script reads. It stands for the key and ends with it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { COMMAND } from '../../platform/command-name.ts';
import type { Database, Sql, Transaction } from '../../platform/database/database.ts';
import { RefusedError } from '../http/problems.ts';
import { type ApiKey, type FoundKey, findKey, keysInForce, noteUse } from './keys.ts';

/** A key by one of its sessions. */
export interface SessionKey extends ApiKey {
  session: { hash: string; expires_at: Date };
}

export const SESSION_COOKIE = 'stockmesh_session';

/** Cookies are read by every gateway of a mesh, so the name says nothing of one. */
const COOKIE = new RegExp(`(?:^|;)\\s*${SESSION_COOKIE}=([\\w-]{1,100})(?=;|\\s*$)`);

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

export const sessionOf = (cookies: string | undefined): string | undefined => COOKIE.exec(cookies ?? '')?.[1];

/** The value of `set-cookie`. `seconds` 0 takes the cookie away. */
export function sessionCookie(secret: string, { seconds, isEncrypted }: { seconds: number; isEncrypted: boolean }): string {
  return `${SESSION_COOKIE}=${secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${seconds}${isEncrypted ? '; Secure' : ''}`;
}

/** Makes a code that opens one session of a key, and stores its hash. Expired ones are deleted by the scheduler. */
export async function createCode(sql: Sql, keyId: string, expiresAt: Date): Promise<string> {
  const code = `smc_${randomBytes(16).toString('base64url')}`;
  await sql.run('INSERT INTO session_codes (hash, key_id, expires_at) VALUES (?)', [[hashOf(code), keyId, expiresAt]]);
  return code;
}

/** Uses a code up; the key that it is of. Of two who use it at once one gets it. */
async function takeCode(tx: Transaction, code: string, now: Date): Promise<FoundKey | undefined> {
  const hash = hashOf(code);
  const [row] = await tx.rows<{ key_id: string }>('SELECT key_id FROM session_codes WHERE hash = ? AND expires_at > ? FOR UPDATE', [
    hash,
    now,
  ]);
  if (row === undefined) return undefined;
  await tx.run('DELETE FROM session_codes WHERE hash = ?', [hash]);
  const [key] = await keysInForce(tx, [row.key_id], now);
  return key && { ...key, valid_until: key.expires_at };
}

/**
 * Opens a session with a key, or with a code, which is used up by it. It ends with the secret that opened it. `recorded` runs in the same transaction. Errors:
 * `RefusedError('access.bad_key' | 'access.bad_code' | 'access.missing_scope')`.
 */
export function openSession(
  db: Database,
  shown: { key: string } | { code: string },
  { now, seconds, recorded }: { now: Date; seconds: number; recorded(tx: Transaction, key: ApiKey): void },
): Promise<{ secret: string; key: SessionKey }> {
  return db.transaction(async (tx) => {
    const key = 'key' in shown ? await findKey(tx, shown.key, now) : await takeCode(tx, shown.code, now);
    if (key === undefined) throw 'key' in shown ? badKey() : badCode();
    if (key.scopes.every((scope) => scope === 'login'))
      throw new RefusedError(
        403,
        'access.missing_scope',
        `key "${key.name}" signs users in and sees nothing; the dashboard needs a key with "read", "admin" or "user:<id>"`,
      );
    const secret = `sms_${randomBytes(32).toString('base64url')}`;
    const hash = hashOf(secret);
    const expires_at = new Date(Math.min(now.getTime() + seconds * 1000, key.valid_until?.getTime() ?? Number.POSITIVE_INFINITY));
    await tx.run('INSERT INTO sessions (hash, key_id, created_at, expires_at) VALUES (?)', [[hash, key.id, now, expires_at]]);
    recorded(tx, key);
    return { secret, key: { ...key, session: { hash: hash.toString('hex'), expires_at } } };
  });
}

function badKey(): RefusedError {
  return new RefusedError(
    401,
    'access.bad_key',
    `this key is unknown, was revoked or has expired; "${COMMAND} key list" shows the valid ones`,
  );
}

function badCode(): RefusedError {
  return new RefusedError(
    401,
    'access.bad_code',
    `this code was used, has expired or was never made; "${COMMAND} dashboard" prints a new link`,
  );
}

/** The key of a session, while both are in force. By primary keys; a hash of random bits tells nothing by the time that it takes to find it. */
export async function findBySession(sql: Sql, secret: string, now: Date): Promise<SessionKey | undefined> {
  const hash = hashOf(secret);
  const [row] = await sql.rows<{ key_id: string; expires_at: Date }>(
    'SELECT key_id, expires_at FROM sessions WHERE hash = ? AND expires_at > ?',
    [hash, now],
  );
  if (row === undefined) return undefined;
  const [key] = await keysInForce(sql, [row.key_id], now);
  if (key === undefined) return undefined;
  await noteUse(sql, key, now);
  return { ...key, session: { hash: hash.toString('hex'), expires_at: row.expires_at } };
}

/** Ends a session; false when there was none. */
export async function closeSession(sql: Sql, secret: string): Promise<boolean> {
  return (await sql.run('DELETE FROM sessions WHERE hash = ?', [hashOf(secret)])).affectedRows > 0;
}

/** Of the sessions with these hashes, in hexadecimal, those in force, whatever their keys are. By primary key. */
export async function sessionsInForce(sql: Sql, hashes: readonly string[], now: Date): Promise<Set<string>> {
  if (hashes.length === 0) return new Set();
  const rows = await sql.rows<{ hash: Buffer }>('SELECT hash FROM sessions WHERE hash IN (?) AND expires_at > ?', [
    hashes.map((hash) => Buffer.from(hash, 'hex')),
    now,
  ]);
  return new Set(rows.map(({ hash }) => hash.toString('hex')));
}
