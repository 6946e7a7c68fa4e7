import type { Sql } from '../../platform/database/database.ts';

/** What is still to be told. */
export interface Waiting {
  /** Events that are not routed yet. */
  events: number;
  /** Messages that are not sent yet. */
  messages: number;
  /** Age of the oldest message that is due; 0 when none is. */
  oldestSeconds: number;
  /** Messages that came back, of those that are kept. */
  bounced: number;
  /** Addresses that are not written to any more. */
  stopped: number;
}

export const NOTHING_WAITS: Waiting = { events: 0, messages: 0, oldestSeconds: 0, bounced: 0, stopped: 0 };

export async function readWaiting(sql: Sql, now: Date): Promise<Waiting> {
  const [row] = await sql.rows<{ events: number; messages: number; bounced: number; stopped: number; due_at: Date | null }>(
    `SELECT (SELECT COUNT(*) FROM notify_events FORCE INDEX (ix_routed) WHERE routed = 0) AS events,
            (SELECT COUNT(*) FROM notify_messages FORCE INDEX (ix_due) WHERE state IN ('open', 'sending')) AS messages,
            (SELECT COUNT(*) FROM notify_messages FORCE INDEX (ix_due) WHERE state = 'bounced') AS bounced,
            (SELECT COUNT(*) FROM notify_stops) AS stopped,
            (SELECT MIN(created_at) FROM notify_messages FORCE INDEX (ix_due) WHERE state IN ('open', 'sending') AND due_at <= ?) AS due_at`,
    [now],
  );
  const since = row?.due_at ?? now;
  return {
    events: Number(row?.events ?? 0),
    messages: Number(row?.messages ?? 0),
    bounced: Number(row?.bounced ?? 0),
    stopped: Number(row?.stopped ?? 0),
    oldestSeconds: Math.max(0, (now.getTime() - since.getTime()) / 1000),
  };
}
