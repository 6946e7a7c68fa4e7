/** Reads what was told: the last messages, and those of one event. */
import type { Sql } from '../../platform/database/database.ts';

export interface MessageRow {
  id: string;
  route: string;
  channel: string;
  recipient: string;
  state: 'open' | 'sending' | 'sent' | 'failed' | 'suppressed';
  severity: string;
  /** When it is tried, or when it ended. */
  due_at: Date;
  attempts: number;
  /** Why it was not sent, or is tried again. */
  last_error: string | null;
  created_at: Date;
  /** The name of its first event. */
  event: string;
  /** The number of its events. */
  events: number;
}

const COLUMNS = `LOWER(HEX(m.id)) AS id, m.route, m.channel, m.recipient, m.state, m.severity, m.due_at, m.attempts, m.last_error, m.created_at,
  (SELECT e.name FROM notify_events e WHERE e.id = m.first_event) AS event,
  (SELECT COUNT(*) FROM notify_deliveries d FORCE INDEX (ix_message) WHERE d.message_id = m.id) AS events`;

const plain = (rows: MessageRow[]): MessageRow[] => rows.map((row) => ({ ...row, events: Number(row.events) }));

/** The newest ones first. Sorts the messages of `notify.keep_days`. */
export async function recentMessages(sql: Sql, { route, limit }: { route?: string | undefined; limit: number }): Promise<MessageRow[]> {
  return plain(
    await sql.rows<MessageRow>(
      `SELECT ${COLUMNS} FROM (SELECT * FROM notify_messages WHERE ? IS NULL OR route = ? ORDER BY created_at DESC, first_event DESC LIMIT ?) m
        ORDER BY m.created_at DESC, m.first_event DESC`,
      [route ?? null, route ?? null, limit],
    ),
  );
}

export async function messagesOfEvent(sql: Sql, event: number): Promise<MessageRow[]> {
  return plain(
    await sql.rows<MessageRow>(
      `SELECT ${COLUMNS} FROM notify_deliveries t FORCE INDEX (PRIMARY) JOIN notify_messages m FORCE INDEX (PRIMARY) ON m.id = t.message_id WHERE t.event_id = ? ORDER BY m.recipient`,
      [event],
    ),
  );
}
