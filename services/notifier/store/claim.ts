/**
 * Which messages are sent now, and what became of them. A message that is claimed is closed: no event joins it any more, so each of its tries sends the same text under the
 * same id. Of a lane only the oldest message is claimed: nobody reads of an end before its beginning.
 */
import { after } from '../../ledger/job.ts';
import type { Database, Sql, Transaction } from '../../platform/database/database.ts';
import { stopAddress } from '../../platform/notify/stops.ts';
import type { Severity } from '../../platform/outbox.ts';
import { type Channel, quietUntil, type Route, type StoredEvent } from '../routes.ts';
import { EVENT_COLUMNS, type EventRow, eventFrom } from './route-events.ts';

export interface Message {
  /** 32 hexadecimal digits, the same for each try. */
  id: string;
  route: Route;
  channel: Channel;
  recipient: string;
  severity: Severity;
  /** Tries with this one. */
  attempt: number;
  createdAt: Date;
  /** When its first try began. */
  date: Date;
  /** The first ones, the oldest first. */
  events: StoredEvent[];
  /** All of them. */
  eventCount: number;
  /** Their names, each once. */
  kinds: string[];
  /** The last one that the cap of this receiver lets through. */
  isLastOfDay: boolean;
}

/** Events that one message shows. */
export const SHOWN = 50;

interface Row {
  id: Buffer;
  route: string;
  channel: Channel;
  recipient: string;
  severity: Severity;
  attempts: number;
  created_at: Date;
  sealed_at: Date | null;
}

export interface Wanted {
  channels: readonly Channel[];
  most: number;
  /** Receivers that are left alone for now. */
  except: readonly string[];
  /** Messages of this process that are being sent. */
  running: ReadonlySet<string>;
}

export interface Rules {
  routes: readonly Route[];
  dailyCap: number;
  leaseSeconds: number;
}

const DAY_SECONDS = 86_400;

/** Claims messages that are due for `leaseSeconds`. Those of quiet hours are put off to their end, those beyond the cap of their receiver end as suppressed. */
export async function claimMessages(db: Database, wanted: Wanted, rules: Rules, now: Date): Promise<Message[]> {
  if (wanted.most <= 0) return [];
  // Found without locks, then locked by primary key.
  const due = (state: string): string => `(SELECT m.id FROM notify_messages m FORCE INDEX (ix_due)
      WHERE m.state = '${state}' AND m.due_at <= ? AND m.channel IN (?) AND m.recipient NOT IN (?) AND m.id NOT IN (?)
        AND NOT EXISTS (SELECT 1 FROM notify_messages e FORCE INDEX (ix_lane)
          WHERE e.lane = m.lane AND e.state IN ('open', 'sending') AND e.first_event < m.first_event)
      ORDER BY m.due_at, m.first_event LIMIT ?)`;
  const running = [Buffer.alloc(0), ...Array.from(wanted.running, (id) => Buffer.from(id, 'hex'))];
  const params = [now, wanted.channels, ['', ...wanted.except], running, wanted.most];
  const found = await db.rows<{ id: Buffer }>(`${due('sending')} UNION ALL ${due('open')}`, [...params, ...params]);
  if (found.length === 0) return [];
  return db.transaction(async (tx) => {
    const rows = await tx.rows<Row>(
      `SELECT id, route, channel, recipient, severity, attempts, created_at, sealed_at FROM notify_messages FORCE INDEX (PRIMARY)
        WHERE id IN (?) AND state IN ('open', 'sending') AND due_at <= ? ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED`,
      [found.map(({ id }) => id).sort(Buffer.compare), now, wanted.most],
    );
    const routeOf = new Map(rules.routes.map((route) => [route.name, route]));
    const left = await withinCap(tx, await wakeful(tx, rows, routeOf, now), rules, now);
    if (left.length === 0) return [];
    tx.later(
      `UPDATE notify_messages FORCE INDEX (PRIMARY) SET state = 'sending', attempts = attempts + 1, sealed_at = COALESCE(sealed_at, ?), due_at = ? WHERE id IN (?)`,
      [now, after(now, rules.leaseSeconds), left.map(({ row }) => row.id)],
    );
    const shown = await eventsOf(
      tx,
      left.map(({ row }) => row.id),
    );
    return left.map(({ row, isLastOfDay }): Message => {
      const id = row.id.toString('hex');
      const { events, count, kinds } = shown.get(id) ?? { events: [], count: 0, kinds: [] };
      return {
        ...{ id, route: routeOf.get(row.route) as Route, channel: row.channel, recipient: row.recipient, severity: row.severity },
        ...{
          attempt: row.attempts + 1,
          createdAt: row.created_at,
          date: row.sealed_at ?? now,
          events,
          eventCount: count,
          kinds,
          isLastOfDay,
        },
      };
    });
  });
}

/** Those that may be told at this time. */
async function wakeful(tx: Transaction, rows: readonly Row[], routeOf: ReadonlyMap<string, Route>, now: Date): Promise<Row[]> {
  const gone = rows.filter(({ route }) => !routeOf.has(route));
  if (gone.length > 0) await suppress(tx, gone, 'the configuration has no route of this name any more (notify.routes)', now);
  const known = rows.filter(({ route }) => routeOf.has(route));
  const quiet = new Map(known.map((row) => [row, quietUntil(routeOf.get(row.route) as Route, row.severity, now)]));
  for (const [until, group] of Map.groupBy(known, (row) => quiet.get(row)?.getTime()))
    if (until !== undefined)
      tx.later('UPDATE notify_messages FORCE INDEX (PRIMARY) SET due_at = ? WHERE id IN (?)', [new Date(until), group.map(({ id }) => id)]);
  return known.filter((row) => quiet.get(row) === undefined);
}

async function withinCap(
  tx: Transaction,
  rows: readonly Row[],
  { dailyCap }: Rules,
  now: Date,
): Promise<{ row: Row; isLastOfDay: boolean }[]> {
  const capped = rows.filter(({ severity }) => severity !== 'critical');
  if (capped.length === 0) return rows.map((row) => ({ row, isLastOfDay: false }));
  const keyOf = ({ channel, recipient }: Pick<Row, 'channel' | 'recipient'>): string => `${channel} ${recipient}`;
  // What is being sent counts too: it may have arrived.
  const counts = await tx.rows<Pick<Row, 'channel' | 'recipient'> & { sent: number }>(
    `SELECT channel, recipient, COUNT(*) AS sent FROM notify_messages FORCE INDEX (ix_recipient)
      WHERE (channel, recipient) IN (?) AND state IN ('sent', 'bounced') AND due_at > ? GROUP BY channel, recipient`,
    [[...new Map(capped.map((row) => [keyOf(row), [row.channel, row.recipient]])).values()], after(now, -DAY_SECONDS)],
  );
  const sent = new Map(counts.map((row) => [keyOf(row), Number(row.sent)]));
  const beyond: Row[] = [];
  const left = rows.flatMap((row) => {
    if (row.severity === 'critical') return [{ row, isLastOfDay: false }];
    const before = sent.get(keyOf(row)) ?? 0;
    // One that was tried may have arrived, so that it is within the cap.
    if (before >= dailyCap && row.attempts === 0) {
      beyond.push(row);
      return [];
    }
    sent.set(keyOf(row), before + 1);
    return [{ row, isLastOfDay: before + 1 === dailyCap }];
  });
  if (beyond.length > 0)
    await suppress(tx, beyond, `${dailyCap} messages were sent to this receiver within 24 hours (notify.daily_cap)`, now);
  return left;
}

async function suppress(tx: Transaction, rows: readonly Row[], why: string, now: Date): Promise<void> {
  await tx.run("UPDATE notify_messages FORCE INDEX (PRIMARY) SET state = 'suppressed', due_at = ?, last_error = ? WHERE id IN (?)", [
    ...[now, why, rows.map(({ id }) => id)],
  ]);
}

interface Content {
  events: StoredEvent[];
  count: number;
  kinds: string[];
}

async function eventsOf(tx: Transaction, ids: readonly Buffer[]): Promise<Map<string, Content>> {
  const columns = EVENT_COLUMNS.split(', ').map((name) => `e.${name}`);
  const rows = await tx.rows<EventRow & { message_id: Buffer; events: number }>(
    `SELECT * FROM (SELECT d.message_id, ${columns.join(', ')}, COUNT(*) OVER (PARTITION BY d.message_id) AS events,
            ROW_NUMBER() OVER (PARTITION BY d.message_id ORDER BY d.event_id) AS place
       FROM notify_deliveries d FORCE INDEX (ix_message) JOIN notify_events e FORCE INDEX (PRIMARY) ON e.id = d.event_id
      WHERE d.message_id IN (?)) told WHERE place <= ${SHOWN} ORDER BY id`,
    [ids],
  );
  const groups = Map.groupBy(rows, ({ message_id }) => message_id.toString('hex'));
  const more = await moreKinds(
    tx,
    [...groups.values()].flatMap(([row]) => (row !== undefined && Number(row.events) > SHOWN ? [row.message_id] : [])),
  );
  return new Map(
    [...groups].map(([id, group]) => [
      id,
      {
        events: group.map(eventFrom),
        count: Number(group[0]?.events),
        kinds: more.get(id) ?? [...new Set(group.map(({ name }) => name))].sort(),
      },
    ]),
  );
}

/** The names of events in messages that have more of them than they show. */
async function moreKinds(tx: Transaction, ids: readonly Buffer[]): Promise<Map<string, string[]>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.rows<{ message_id: Buffer; name: string }>(
    `SELECT DISTINCT d.message_id, e.name
       FROM notify_deliveries d FORCE INDEX (ix_message) JOIN notify_events e FORCE INDEX (PRIMARY) ON e.id = d.event_id
      WHERE d.message_id IN (?) ORDER BY e.name`,
    [ids],
  );
  const groups = Map.groupBy(rows, ({ message_id }) => message_id.toString('hex'));
  return new Map([...groups].map(([id, group]) => [id, group.map(({ name }) => name)]));
}

/** Goes on holding messages whose sending takes long. */
export async function renew(sql: Sql, ids: Iterable<string>, leaseSeconds: number, now: Date): Promise<void> {
  const keys = Array.from(ids, (id) => Buffer.from(id, 'hex'));
  if (keys.length > 0)
    await sql.run("UPDATE notify_messages FORCE INDEX (PRIMARY) SET due_at = ? WHERE id IN (?) AND state = 'sending'", [
      ...[after(now, leaseSeconds), keys.sort(Buffer.compare)],
    ]);
}

/** What became of a try. `at`: when it ended, or when it is tried again. */
export interface Result {
  state: 'sent' | 'failed' | 'suppressed' | 'sending';
  at: Date;
  error: string | null;
  /** Of a mail server that refuses. */
  code?: string | undefined;
  /** Where e-mail was sent. */
  address?: string | undefined;
  /** Nothing is sent there any more. */
  isStop?: boolean;
}

export async function writeResult(
  db: Database,
  { id, attempt }: Pick<Message, 'id' | 'attempt'>,
  { state, at, error, code, address, isStop }: Result,
): Promise<void> {
  // The try's number: one whose lease ended meanwhile is another process's. A message that came back meanwhile stays so.
  const write = (sql: Sql) =>
    sql.run(
      `UPDATE notify_messages FORCE INDEX (PRIMARY) SET state = ?, due_at = ?, last_error = ?, code = ?, address = COALESCE(?, address)
        WHERE id = ? AND state = 'sending' AND attempts = ?`,
      [state, at, error?.slice(0, 500) ?? null, code ?? null, address ?? null, Buffer.from(id, 'hex'), attempt],
    );
  if (!isStop || address === undefined || code === undefined) return void (await write(db));
  await db.transaction(async (tx) => {
    if ((await write(tx)).affectedRows > 0) stopAddress(tx, { address, code, reason: error ?? '', stopped_at: at }, id);
  });
}
