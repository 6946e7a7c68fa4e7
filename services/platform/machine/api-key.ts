import { createHash, randomBytes } from 'node:crypto';

/** A new key of the HTTP API: 256 random bits after a prefix by which people, and scanners of leaked secrets, recognise it. */
export function newApiKey(): string {
  return `smk_${randomBytes(32).toString('base64url')}`;
}

/** The stored hash of a key. One round of SHA-256 is enough for random bits that cannot be guessed; a password would need a slow hash. */
export function hashOfKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
