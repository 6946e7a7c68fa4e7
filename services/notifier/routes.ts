/** Which route wants an event, which events become one message, and when nobody is to be disturbed. Pure functions of the configuration. */
import { createHash } from 'node:crypto';
import { after } from '../ledger/job.ts';
import type { Config } from '../platform/config/load.ts';
import { type EventName, SEVERITIES, type Severity } from '../platform/outbox.ts';

export type Route = Config['notify']['routes'][number];
export type Channel = 'email' | 'webhook' | 'requester';

/** An event as the notifier reads it. */
export interface StoredEvent {
  id: number;
  name: EventName;
  severity: Severity;
  subject: string;
  details: Readonly<Record<string, unknown>>;
  at: Date;
  /** The only route that it is for. */
  route: string | null;
}

export interface Receiver {
  channel: Channel;
  /** An e-mail address, a user, or the host of a webhook: its path may be a secret. */
  recipient: string;
}

const rank = (severity: Severity): number => SEVERITIES.indexOf(severity);

export const worse = (a: Severity, b: Severity): Severity => (rank(a) >= rank(b) ? a : b);

/** Whether a route is told of an event. One that is meant for a single route is told there, whatever that route wants. */
export function wants(route: Route, event: Pick<StoredEvent, 'name' | 'severity' | 'route'>): boolean {
  if (event.route !== null) return event.route === route.name;
  return route.on.includes(event.name) && rank(event.severity) >= rank(route.min_severity);
}

/** Whom a route tells of an event. `askers`: the users who wait for its job. */
export function receiversOf({ to }: Route, askers: readonly string[]): Receiver[] {
  return [
    ...(to.email ?? []).map((recipient): Receiver => ({ channel: 'email', recipient })),
    ...(to.webhook === undefined ? [] : [{ channel: 'webhook' as const, recipient: new URL(to.webhook.url).host }]),
    ...(to.requester === undefined ? [] : askers.map((recipient): Receiver => ({ channel: 'requester', recipient }))),
  ];
}

/** What events of one group have in common. Without `group_by` each event is a message of its own, and those of one subject are sent in their order. */
function groupOf({ group_by }: Route, event: Pick<StoredEvent, 'name' | 'severity' | 'subject'>): readonly string[] {
  const parts = { name: nameOf(event), subject: event.subject, severity: event.severity };
  return group_by === undefined ? [event.subject] : group_by.map((key) => parts[key]);
}

/** The name of the alert, so that its clearing comes in one message with its raising, or after it; else that of the event. */
function nameOf({ name, subject }: Pick<StoredEvent, 'name' | 'subject'>): string {
  return subject.startsWith('alert:') ? subject : name;
}

const hashOf = (...parts: readonly (string | number)[]): Buffer =>
  createHash('sha256').update(JSON.stringify(parts)).digest().subarray(0, 16);

/** Messages of one lane are sent one after the other. */
export function laneOf(route: Route, { channel, recipient }: Receiver, event: StoredEvent): Buffer {
  return hashOf(route.name, channel, recipient, ...groupOf(route, event));
}

/** The id of a message: the delivery key of its first event. The time is in it since another installation counts its events from 1 too. */
export function messageIdOf(route: Route, { channel, recipient }: Receiver, event: Pick<StoredEvent, 'id' | 'at'>): Buffer {
  return hashOf(event.id, event.at.getTime(), route.name, channel, recipient);
}

/** When an event is told: a test, and an alert that is told again, wait for no others. */
export function dueFrom({ wait }: Route, { route: only }: Pick<StoredEvent, 'route'>, now: Date): Date {
  return only === null ? after(now, wait) : now;
}

/** When an alert that lasts is told again; undefined where it is told once. */
export function againAt({ repeat }: Route, now: Date): Date | undefined {
  return repeat === undefined ? undefined : after(now, repeat);
}

/** The end of the quiet hours in which `now` lies; undefined outside of them, and for a severity that is told at any time. */
export function quietUntil({ quiet }: Route, severity: Severity, now: Date): Date | undefined {
  if (quiet === undefined || quiet.except.includes(severity)) return undefined;
  const zoned = Temporal.Instant.fromEpochMilliseconds(now.getTime()).toZonedDateTimeISO(quiet.time_zone);
  const [from, to] = [Temporal.PlainTime.from(quiet.from), Temporal.PlainTime.from(quiet.to)];
  const isFrom = (one: Temporal.PlainTime, other: Temporal.PlainTime): boolean => Temporal.PlainTime.compare(one, other) >= 0;
  const time = zoned.toPlainTime();
  const overnight = isFrom(from, to);
  const isQuiet = overnight ? isFrom(time, from) || !isFrom(time, to) : isFrom(time, from) && !isFrom(time, to);
  if (!isQuiet) return undefined;
  const day = overnight && isFrom(time, from) ? zoned.toPlainDate().add({ days: 1 }) : zoned.toPlainDate();
  return new Date(day.toZonedDateTime({ timeZone: quiet.time_zone, plainTime: to }).epochMilliseconds);
}
