/** Where users are told of their jobs, and of what they do not want to be told. */
import { fromJson, type Transaction, toJson } from '../../platform/database/database.ts';
import type { EventName } from '../../platform/outbox.ts';

export interface UserChange {
  /** null: no address any more. */
  email?: string | null;
  wants?: EventName;
  unwants?: EventName;
}

export async function changeUser(tx: Transaction, user: string, { email, wants, unwants }: UserChange, now: Date): Promise<void> {
  const [row] = await tx.rows<{ email: string | null; unwanted: unknown }>(
    'SELECT email, unwanted FROM notify_users WHERE user_id = ? FOR UPDATE',
    [user],
  );
  const unwanted = new Set(row === undefined ? [] : (fromJson(row.unwanted) as string[]));
  if (wants !== undefined) unwanted.delete(wants);
  if (unwants !== undefined) unwanted.add(unwants);
  await tx.run(
    `INSERT INTO notify_users (user_id, email, unwanted, changed_at) VALUES (?)
      ON DUPLICATE KEY UPDATE email = VALUES(email), unwanted = VALUES(unwanted), changed_at = VALUES(changed_at)`,
    [[user, email === undefined ? (row?.email ?? null) : email, toJson([...unwanted]), now]],
  );
}
