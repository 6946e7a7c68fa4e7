import { createHash, randomBytes } from 'node:crypto';

/** A new key to the HTTP API: 256 random bits after a prefix that tells people, and scanners of leaked secrets, what it is. */
export function newApiKey(): string {
  return `smk_${randomBytes(32).toString('base64url')}`;
}

/** What is stored of a key. One round of SHA-256 is enough for what nobody can guess; a password would need a slow hash. */
export function hashOfKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
