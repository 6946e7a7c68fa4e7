/**
 * Tokens that open an event stream. A browser's `EventSource` sends no header, so its credential stands in the address, where histories and proxies keep it: a token is of
 * use for a minute or so, opens streams alone, and may show what its key may see.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Sql } from '../../platform/database/database.ts';
import { type ApiKey, keysInForce } from './keys.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether `?token=` may stand in place of a key. */
    takesToken?: true;
  }
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Makes a token of a key and stores its hash. Expired ones are deleted by the scheduler. */
export async function createStreamToken(sql: Sql, keyId: string, expiresAt: Date): Promise<string> {
  const token = `smt_${randomBytes(32).toString('base64url')}`;
  await sql.run('INSERT INTO stream_tokens (hash, key_id, expires_at) VALUES (?)', [[hashOf(token), keyId, expiresAt]]);
  return token;
}

/** The key of a token, while both are in force. By primary keys; a hash of random bits tells nothing by the time that it takes to find it. */
export async function findByStreamToken(sql: Sql, token: string, now: Date): Promise<ApiKey | undefined> {
  const [row] = await sql.rows<{ key_id: string }>('SELECT key_id FROM stream_tokens WHERE hash = ? AND expires_at > ?', [
    hashOf(token),
    now,
  ]);
  return row === undefined ? undefined : (await keysInForce(sql, [row.key_id], now))[0];
}
