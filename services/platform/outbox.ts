/**
 * The outbox: what people are to be told, written in the transaction of the event. An event is there if, and only if, what it tells of was committed; the notifier makes
 * messages of it (`services/notifier/`).
 */
import { type Sql, type Transaction, toJson } from './database/database.ts';

/** The names of events, each with its meaning. A new one is listed here, and may then stand in `notify.routes`. */
export const EVENTS = {
  'alert.raised': 'a limit is crossed, or an alert that lasts is told again',
  'alert.cleared': 'a limit is kept again',
  'job.failed': 'a job of any type has failed for good',
  'history.ended': 'a download of historical data has ended, completely or not',
  'backfill.ended': 'the bars of a range are there, or could not be had',
  'picks.ready': 'a report of picks is ready',
  'notify.test': 'somebody tries a route with "stockmesh notify test"',
} as const;
export type EventName = keyof typeof EVENTS;
export const EVENT_NAMES = Object.keys(EVENTS) as [EventName, ...EventName[]];

/** From the mildest to the worst. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface NotifyEvent {
  name: EventName;
  severity: Severity;
  /** What it is about: `alert:{name}`, `job:{id}`, `picks:{user}`. Events of one subject are told in their order. */
  subject: string;
  /** What the templates show. */
  details: Readonly<Record<string, unknown>>;
  at: Date;
  /** Only for the route of this name. */
  route?: string | undefined;
}

const INSERT = 'INSERT INTO notify_events (name, severity, subject, details, at, route) VALUES ?';

const rowOf = ({ name, severity, subject, details, at, route }: NotifyEvent): unknown[] => [
  ...[name, severity, subject.slice(0, 190), toJson(details), at, route ?? null],
];

/** Writes events with the transaction of what they tell of. */
export function tell(tx: Transaction, events: readonly NotifyEvent[]): void {
  if (events.length > 0) tx.later(INSERT, [events.map(rowOf)]);
}

/** Writes one event and gives its number. */
export async function tellOne(tx: Transaction, event: NotifyEvent): Promise<number> {
  await tx.run(INSERT, [[rowOf(event)]]);
  return lastId(tx);
}

async function lastId(sql: Sql): Promise<number> {
  const [row] = await sql.rows<{ id: number }>('SELECT LAST_INSERT_ID() AS id');
  return Number(row?.id);
}
