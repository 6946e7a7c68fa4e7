/**
 * Tokens that open an event stream. A browser's `EventSource` sends no header, so its credential stands in the address, where histories and proxies keep it: a token is of
 * use for a minute or so, opens streams alone, and may show what its key may see.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Sql } from '../../platform/database/database.ts';
import { type ApiKey, keyFinder, keysInForce } from './keys.ts';

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
async function findByStreamToken(sql: Sql, token: string, now: Date): Promise<ApiKey | undefined> {
  const [row] = await sql.rows<{ key_id: string }>('SELECT key_id FROM stream_tokens WHERE hash = ? AND expires_at > ?', [
    hashOf(token),
    now,
  ]);
  return row === undefined ? undefined : (await keysInForce(sql, [row.key_id], now))[0];
}

/** The credential of a request with a token, on a route that takes one. It has a blank, so no key of a header can be taken for it. */
const TOKEN = 'token ';

/** What the caller shows: the key of the header, or else the token of the address where the route takes one; undefined: nothing. */
export function credentialOf({ headers, query, routeOptions }: FastifyRequest): string | undefined {
  const key = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const token = (query as { token?: unknown } | undefined)?.token;
  return key ?? (routeOptions.config.takesToken && typeof token === 'string' ? `${TOKEN}${token}` : undefined);
}

/** The key of a credential, while it is in force. */
export function credentialFinder(sql: Sql, now: () => Date): (credential: string) => Promise<ApiKey | undefined> {
  const find = keyFinder(sql, now);
  return (credential) => (credential.startsWith(TOKEN) ? findByStreamToken(sql, credential.slice(TOKEN.length), now()) : find(credential));
}
