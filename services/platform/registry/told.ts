/** What people were told: the last messages, and the test of a route with what became of it. */
import type { Config } from '../config/load.ts';
import type { Sql, Transaction } from '../database/database.ts';
import { InputError } from '../errors.ts';
import { tellOne } from '../outbox.ts';
import { type Actor, recordChange } from './audit.ts';

export interface MessageRow {
  id: string;
  route: string;
  channel: string;
  recipient: string;
  state: 'open' | 'sending' | 'sent' | 'failed' | 'suppressed' | 'bounced';
  severity: string;
  /** When it is tried, or when it ended. */
  due_at: Date;
  attempts: number;
  /** Why it was not sent, is tried again, was delayed, or came back. */
  last_error: string | null;
  /** Of the mail server, where it gave one: `5.1.1` (RFC 3463), or `550`. */
  code: string | null;
  created_at: Date;
  /** The name of its first event. */
  event: string;
  /** The number of its events. */
  events: number;
}

const COLUMNS = `LOWER(HEX(m.id)) AS id, m.route, m.channel, m.recipient, m.state, m.severity, m.due_at, m.attempts, m.last_error, m.code, m.created_at,
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

/** Whether a notifier has seen the event and made its messages, which may be none. */
export async function isRouted(sql: Sql, event: number): Promise<boolean> {
  const [row] = await sql.rows<{ routed: number }>('SELECT routed FROM notify_events WHERE id = ?', [event]);
  return row?.routed === 1;
}

type Route = Config['notify']['routes'][number];

/** Whether a route writes to whoever asked for a job and to nobody else: then a test must say whom to write to. */
export const asksForUser = ({ to }: Pick<Route, 'to'>): boolean =>
  to.requester !== undefined && to.email === undefined && to.webhook === undefined;

/**
 * Asks for a message by one route, as the notifier sends all others. `by`: who is named in it. Gives the number of the event, for `messagesOfEvent`. Errors:
 * `InputError('notify_route.unknown' | 'notify.no_user')`.
 */
export async function tryRoute(
  tx: Transaction,
  routes: readonly Route[],
  { name, user, actor, by, now }: { name: string; user?: string | undefined; actor: Actor; by: string; now: Date },
): Promise<number> {
  const route = routes.find((one) => one.name === name);
  if (route === undefined)
    throw new InputError(
      'notify_route.unknown',
      routes.length === 0
        ? 'no route is configured; write one under notify.routes (docs/notify.md)'
        : `there is no route ${JSON.stringify(name)}; choose one of ${routes.map((one) => one.name).join(', ')}`,
    );
  if (asksForUser(route) && user === undefined)
    throw new InputError(
      'notify.no_user',
      `the route "${name}" tells who asked for a job; say whom to tell with --user USER ("user" over HTTP)`,
    );
  const event = await tellOne(tx, {
    ...{ name: 'notify.test', severity: 'info', subject: `test:${now.toISOString()}`, at: now, route: name },
    details: { by, ...(user === undefined ? {} : { user }) },
  });
  recordChange(tx, actor, { action: 'notify.test', target: `route:${name}` });
  return event;
}

/** An e-mail address by which its owner knows it and a stranger cannot write to it: `o…@example.com`. Other receivers as they are. */
export function masked(recipient: string): string {
  const at = recipient.lastIndexOf('@');
  return at < 1 ? recipient : `${recipient[0]}…${recipient.slice(at)}`;
}

/** Text of a mail server with all addresses in it so. */
export const withMaskedAddresses = (text: string): string => text.replaceAll(/[^\s<>"'(),:;@[\]]+@[^\s<>"'(),:;@[\]]+/g, masked);
