/**
 * Makes messages of events. Each event is routed once: its messages, and the mark that it was routed, are one commit. Two notifiers that route at once wait for each other,
 * so messages of one lane stand in the order of their events.
 */

import { type Asked, readAsked } from '../../ledger/read/askers.ts';
import { type Database, fromJson, type Transaction, toJson } from '../../platform/database/database.ts';
import { isUnwanted, readTold } from '../../platform/notify/users.ts';
import type { Severity } from '../../platform/outbox.ts';
import {
  againAt,
  dueFrom,
  laneOf,
  messageIdOf,
  type Receiver,
  type Route,
  receiversOf,
  type StoredEvent,
  wants,
  worse,
} from '../routes.ts';

/** Events of one commit. */
const BATCH = 200;

export const EVENT_COLUMNS = 'id, name, severity, subject, details, at, route';

export type EventRow = Omit<StoredEvent, 'id' | 'details'> & { id: number | string; details: unknown };

export const eventFrom = (row: EventRow): StoredEvent => ({
  ...row,
  id: Number(row.id),
  details: fromJson(row.details) as StoredEvent['details'],
});

/** Routes the oldest events that are not routed yet, some hundreds. Gives their number, and whether there may be more. */
export async function routeEvents(db: Database, routes: readonly Route[], now: Date): Promise<{ routed: number; more: boolean }> {
  const found = await db.rows<{ id: number }>(
    `SELECT id FROM notify_events FORCE INDEX (ix_routed) WHERE routed = 0 ORDER BY id LIMIT ${BATCH}`,
  );
  if (found.length === 0) return { routed: 0, more: false };
  const routed = await db.transaction(async (tx) => {
    const rows = await tx.rows<EventRow>(
      `SELECT ${EVENT_COLUMNS} FROM notify_events FORCE INDEX (PRIMARY) WHERE id IN (?) AND routed = 0 ORDER BY id FOR UPDATE`,
      [found.map(({ id }) => id)],
    );
    if (rows.length === 0) return 0;
    const events = rows.map(eventFrom);
    await writeMessages(tx, await deliveriesOf(tx, events, routes), now);
    keepRepeats(tx, events, routes, now);
    tx.later('UPDATE notify_events FORCE INDEX (PRIMARY) SET routed = 1 WHERE id IN (?)', [rows.map(({ id }) => id)]);
    return rows.length;
  });
  return { routed, more: found.length === BATCH || routed < found.length };
}

interface Delivery {
  event: StoredEvent;
  route: Route;
  receiver: Receiver;
  lane: Buffer;
}

async function deliveriesOf(tx: Transaction, events: readonly StoredEvent[], routes: readonly Route[]): Promise<Delivery[]> {
  const asked = await readAsked(tx, [...new Set(events.flatMap(jobOf))]);
  const pairs = events
    .filter((event) => !isOfPart(event, asked))
    .flatMap((event) =>
      routes
        .filter((route) => wants(route, event))
        .flatMap((route) =>
          receiversOf(route, askersOf(event, asked)).map((receiver) => ({ event, route, receiver, lane: laneOf(route, receiver, event) })),
        ),
    );
  const told = await readTold(
    tx,
    pairs.flatMap(({ receiver }) => (receiver.channel === 'webhook' ? [] : [receiver.recipient])),
  );
  return pairs.filter(({ event, receiver: { channel, recipient } }) => !isUnwanted(told.get(recipient), event, channel));
}

const jobOf = ({ details }: StoredEvent): string[] => (typeof details.job_id === 'string' ? [details.job_id] : []);

/** A part of a download fails or ends with its download, which is told. */
function isOfPart(event: StoredEvent, asked: ReadonlyMap<string, Asked>): boolean {
  return event.name !== 'job.failed' && jobOf(event).some((id) => asked.get(id)?.isPart);
}

function askersOf(event: StoredEvent, asked: ReadonlyMap<string, Asked>): string[] {
  if (typeof event.details.user === 'string') return [event.details.user];
  return jobOf(event).flatMap((id) => asked.get(id)?.users ?? []);
}

interface Draft extends Delivery {
  id: Buffer;
  severity: Severity;
  dueAt: Date;
  isNew: boolean;
}

async function writeMessages(tx: Transaction, deliveries: readonly Delivery[], now: Date): Promise<void> {
  if (deliveries.length === 0) return;
  const open = await openMessages(tx, deliveries);
  const drafts: Draft[] = [];
  const rows = deliveries.map(({ event, route, receiver, lane }) => {
    const key = lane.toString('hex');
    const joins = route.group_by !== undefined && event.route === null ? open.get(key) : undefined;
    const dueAt = dueFrom(route, event, now);
    if (joins === undefined) {
      const draft = { event, route, receiver, lane, id: messageIdOf(route, receiver, event), severity: event.severity, dueAt, isNew: true };
      drafts.push(draft);
      open.set(key, draft);
      return [event.id, route.name, receiver.channel, receiver.recipient, draft.id];
    }
    if (worse(event.severity, joins.severity) !== joins.severity) {
      joins.severity = event.severity;
      // One that waits for the end of quiet hours is due at once when something joins it that may not wait.
      if (dueAt < joins.dueAt) joins.dueAt = dueAt;
      if (!joins.isNew)
        tx.later('UPDATE notify_messages FORCE INDEX (PRIMARY) SET severity = ?, due_at = LEAST(due_at, ?) WHERE id = ?', [
          joins.severity,
          dueAt,
          joins.id,
        ]);
    }
    return [event.id, route.name, receiver.channel, receiver.recipient, joins.id];
  });
  if (drafts.length > 0)
    tx.later(
      'INSERT INTO notify_messages (id, first_event, route, channel, recipient, lane, state, severity, due_at, created_at) VALUES ?',
      [
        drafts.map(({ id, event, route, receiver, lane, severity, dueAt }) => [
          ...[id, event.id, route.name, receiver.channel, receiver.recipient, lane, 'open', severity, dueAt, now],
        ]),
      ],
    );
  tx.later('INSERT INTO notify_deliveries (event_id, route, channel, recipient, message_id) VALUES ?', [rows]);
}

type Open = Pick<Draft, 'id' | 'severity' | 'dueAt' | 'isNew'>;

/** The messages that events of these lanes may join, locked: one whose sending begins meanwhile is not open any more. */
async function openMessages(tx: Transaction, deliveries: readonly Delivery[]): Promise<Map<string, Open>> {
  const lanes = new Map(deliveries.filter(({ route }) => route.group_by !== undefined).map(({ lane }) => [lane.toString('hex'), lane]));
  if (lanes.size === 0) return new Map();
  const rows = await tx.rows<{ id: Buffer; lane: Buffer; severity: Severity; due_at: Date }>(
    "SELECT id, lane, severity, due_at FROM notify_messages FORCE INDEX (ix_lane) WHERE lane IN (?) AND state = 'open' ORDER BY lane, first_event FOR UPDATE",
    [[...lanes.values()].sort(Buffer.compare)],
  );
  return new Map(rows.map(({ id, lane, severity, due_at }) => [lane.toString('hex'), { id, severity, dueAt: due_at, isNew: false }]));
}

/** An alert that is raised is told again by the routes that want that, until it is cleared. */
function keepRepeats(tx: Transaction, events: readonly StoredEvent[], routes: readonly Route[], now: Date): void {
  const lasting = new Map<string, unknown[]>();
  const over = new Set<string>();
  for (const event of events) {
    if (event.route !== null) continue;
    if (event.name === 'alert.cleared') {
      over.add(event.subject);
      for (const route of routes) lasting.delete(JSON.stringify([route.name, event.subject]));
    }
    if (event.name !== 'alert.raised') continue;
    const { name, severity, subject, details } = event;
    for (const route of routes) {
      const dueAt = againAt(route, now);
      if (dueAt === undefined || !wants(route, event)) continue;
      lasting.set(JSON.stringify([route.name, subject]), [route.name, subject, dueAt, toJson({ name, severity, subject, details })]);
    }
  }
  if (over.size > 0) tx.later('DELETE FROM notify_repeats WHERE subject IN (?)', [[...over]]);
  if (lasting.size > 0)
    tx.later(
      'INSERT INTO notify_repeats (route, subject, due_at, event) VALUES ? ON DUPLICATE KEY UPDATE due_at = VALUES(due_at), event = VALUES(event), times = 0',
      [[...lasting.values()]],
    );
}
