import { after } from '../../ledger/job.ts';
import type { Sql } from '../../platform/database/database.ts';

const BATCH = 500;
const DAY_SECONDS = 86_400;

/** Deletes messages that ended more than `days` ago, and events of that age with what they were told to. */
export async function deleteOld(sql: Sql, days: number, now: Date): Promise<void> {
  const before = after(now, -days * DAY_SECONDS);
  const whileFull = async (statement: string, params: readonly unknown[]): Promise<void> => {
    while ((await sql.run(`${statement} LIMIT ${BATCH}`, params)).affectedRows === BATCH);
  };
  // ix_due
  for (const state of ['sent', 'failed', 'suppressed', 'bounced'])
    await whileFull('DELETE FROM notify_messages WHERE state = ? AND due_at < ? ORDER BY due_at, first_event', [state, before]);
  // ix_at: numbers ascend with time.
  const [last] = await sql.rows<{ id: number }>(
    'SELECT id FROM notify_events FORCE INDEX (ix_at) WHERE at < ? AND routed = 1 ORDER BY at DESC LIMIT 1',
    [before],
  );
  if (last === undefined) return;
  // What is not sent yet is kept, however old.
  const [live] = await sql.rows<{ first: number | null }>(
    "SELECT MIN(first_event) AS first FROM notify_messages FORCE INDEX (ix_due) WHERE state IN ('open', 'sending')",
  );
  const end = Math.min(Number(last.id), (live?.first ?? Number.POSITIVE_INFINITY) - 1);
  await whileFull('DELETE FROM notify_deliveries WHERE event_id <= ? ORDER BY event_id', [end]);
  await whileFull('DELETE FROM notify_events WHERE id <= ? AND routed = 1 ORDER BY id', [end]);
}
