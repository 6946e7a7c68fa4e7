/**
 * What webhooks are signed with: a secret of each key, 256 random bits, shown once. Unlike a key it is stored as it is, since the sender needs it; the accounts that may
 * only read do not see its table. Keys that were made before there were such secrets go on signing with their hash until they get one.
 */
import { randomBytes } from 'node:crypto';
import type { Sql } from '../../platform/database/database.ts';

const BYTES = 32;

/** In the form of Standard Webhooks. */
const textOf = (secret: Buffer): string => `whsec_${secret.toString('base64')}`;

/** A key with its secrets, as they are stored. */
export interface Secrets {
  hash: Buffer;
  secret: Buffer | null;
  old_secret: Buffer | null;
  old_until: Date | null;
}

/** Those in force, the present one first. */
export function secretsOf({ hash, secret, old_secret, old_until }: Secrets, now: Date): Buffer[] {
  if (secret === null) return [hash];
  return old_secret !== null && old_until !== null && old_until > now ? [secret, old_secret] : [secret];
}

/** Gives a new key its secret. */
export async function createWebhookSecret(sql: Sql, keyId: string, now: Date): Promise<string> {
  const secret = randomBytes(BYTES);
  await sql.run('INSERT INTO webhook_secrets (key_id, secret, created_at) VALUES (?)', [[keyId, secret, now]]);
  return textOf(secret);
}

/**
 * Gives a key another secret. Until `oldUntil` the one before signs too, which is the key's hash where it had none; run it before the key gets another hash. Where two
 * rotations overlap, the oldest of the three ends at once.
 */
export async function rotateWebhookSecret(sql: Sql, keyId: string, oldUntil: Date, now: Date): Promise<string> {
  const secret = randomBytes(BYTES);
  // Assignments run from left to right: the old secret is taken before the new one stands there.
  await sql.run(
    `INSERT INTO webhook_secrets (key_id, secret, created_at, old_secret, old_until)
      SELECT id, ?, ?, hash, ? FROM api_keys WHERE id = ?
      ON DUPLICATE KEY UPDATE old_secret = webhook_secrets.secret, secret = ?, created_at = ?, old_until = ?`,
    [secret, now, oldUntil, keyId, secret, now, oldUntil],
  );
  return textOf(secret);
}
