/** Changes of keys by hand, over HTTP and on the command line: each commits with who made it. */
import type { Database } from '../../platform/database/database.ts';
import { type Actor, recordChange } from '../../platform/registry/audit.ts';
import { type ApiKey, createKey, type NewKey, revokeKey, rotateKey } from './keys.ts';

const endOf = (expires: Date | null | undefined): string => (expires == null ? '' : `; expires at ${expires.toISOString()}`);

/** Errors: those of `createKey`. */
export function makeKey(db: Database, actor: Actor, given: NewKey, now: Date): Promise<{ id: string; key: string }> {
  return db.transaction(async (tx) => {
    const made = await createKey(tx, given, now);
    const details = `${given.name}: ${given.scopes.join(', ')}${endOf(given.expires_at)}`;
    recordChange(tx, actor, { action: 'key.create', target: `key:${made.id}`, details });
    return made;
  });
}

/** Errors: those of `rotateKey`. */
export function renewKey(
  db: Database,
  actor: Actor,
  idOrName: string,
  options: Parameters<typeof rotateKey>[2],
  now: Date,
): Promise<ApiKey & { key: string }> {
  return db.transaction(async (tx) => {
    const renewed = await rotateKey(tx, idOrName, options, now);
    const details = `${renewed.name}: the old secret works for ${options.overlapSeconds} s${endOf(renewed.expires_at)}`;
    recordChange(tx, actor, { action: 'key.rotate', target: `key:${renewed.id}`, details });
    return renewed;
  });
}

/** Errors: those of `revokeKey`. */
export function endKey(db: Database, actor: Actor, idOrName: string, now: Date): Promise<ApiKey> {
  return db.transaction(async (tx) => {
    const ended = await revokeKey(tx, idOrName, now);
    recordChange(tx, actor, { action: 'key.revoke', target: `key:${ended.id}`, details: ended.name });
    return ended;
  });
}
