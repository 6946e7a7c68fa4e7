/** Which days of a dataset are stored, which are not and why: from the manifest, the absences and the calendar. */
import { fromJson, type Sql } from '../platform/database/database.ts';
import { completeAt, emptyCounts, emptyCountsFrom, isComplete } from './availability.ts';
import { type Download, filterName, isDaily } from './dataset.ts';
import { type Absence, readAbsences } from './manifest.ts';
import { type PlannedObject, planOf } from './plan.ts';

/**
 * `complete`: its rows are stored. `degraded`: they are, and the source says that they are worth less than usual. `partial`: the object is stored and lacks this day, or a
 * part of it. `empty`: the source has nothing of it. `failed`, `not_entitled`: as its last download ended. `pending`: it cannot be had yet, or is asked for once more before it
 * counts as empty. `missing`: never downloaded. `closed`: no trading day.
 */
export const DAY_STATES = ['complete', 'degraded', 'partial', 'empty', 'failed', 'not_entitled', 'pending', 'missing', 'closed'] as const;
export type DayState = (typeof DAY_STATES)[number];

export interface CoveredDay {
  /** `YYYY-MM-DD`. */
  date: string;
  state: DayState;
  /** Of the object that has the day or would have it; null for a closed day. */
  key: string | null;
  /** Of this day. */
  rows: number | null;
  /** For people, where the state needs one. */
  reason: string | null;
}

export interface Coverage {
  /** Every calendar day of the range, ascending. */
  days: CoveredDay[];
  /** Days by state. */
  counts: Record<DayState, number>;
}

/** What coverage needs of a stored object. */
interface Stored {
  isPartial: boolean;
  degraded: string | null;
  asOf: Temporal.Instant;
  storedAt: Date;
  days: Readonly<Record<string, number>>;
}

/** What is known of the objects of a download, by key. */
export interface Known {
  stored: ReadonlyMap<string, Stored>;
  /** Of those that are not stored. */
  absences: ReadonlyMap<string, Absence>;
}

/** Walks ix_root, and looks the objects that are not stored up by their keys. */
export async function readKnown(sql: Sql, download: Download, plan: readonly PlannedObject[]): Promise<Known> {
  const stored = await readStored(sql, download, plan);
  const missing = plan.flatMap(({ object: { key } }) => (stored.has(key) ? [] : [key]));
  return { stored, absences: await readAbsences(sql, missing) };
}

export async function readCoverage(sql: Sql, download: Download, now: Temporal.Instant): Promise<Coverage> {
  const plan = planOf(download);
  return coverageOf(download, plan, await readKnown(sql, download, plan), now);
}

export function coverageOf(
  download: Download,
  plan: readonly PlannedObject[],
  { stored, absences }: Known,
  now: Temporal.Instant,
): Coverage {
  const known = new Map(
    plan.flatMap((planned) => {
      const { key } = planned.object;
      const object = stored.get(key);
      const covered = planned.days.map((date): CoveredDay => {
        const { state, reason = null } =
          object === undefined ? stateOfAbsent(download, date, absences.get(key), now) : stateOfStored(download, date, object, now);
        return { date, state, key, rows: object?.days[date] ?? null, reason };
      });
      return covered.map((day): [string, CoveredDay] => [day.date, day]);
    }),
  );
  const days = calendarDays(download.from, download.to).map(
    (date): CoveredDay => known.get(date) ?? { date, state: 'closed', key: null, rows: null, reason: null },
  );
  const counts = Object.fromEntries(DAY_STATES.map((state) => [state, 0])) as Coverage['counts'];
  for (const { state } of days) counts[state]++;
  return { days, counts };
}

async function readStored(
  sql: Sql,
  { root, asset, schema, interval, filter, to }: Download,
  plan: readonly PlannedObject[],
): Promise<Map<string, Stored>> {
  const [first] = plan;
  if (first === undefined) return new Map();
  const rows = await sql.rows<{
    object_key: string;
    is_partial: number;
    degraded: string | null;
    as_of: Date;
    stored_at: Date;
    days: unknown;
  }>(
    `SELECT object_key, is_partial, degraded, as_of, stored_at, days FROM history_objects FORCE INDEX (ix_root)
      WHERE root = ? AND asset = ? AND data_schema = ? AND data_interval = ? AND contract_filter = ? AND from_day BETWEEN ? AND ?`,
    [root, asset, schema, interval, filterName(filter), first.object.period.from, to],
  );
  return new Map(
    rows.map(({ object_key, is_partial, degraded, as_of, stored_at, days }) => [
      object_key,
      {
        isPartial: is_partial === 1,
        degraded,
        asOf: Temporal.Instant.fromEpochMilliseconds(as_of.getTime()),
        storedAt: stored_at,
        days: fromJson(days) as Stored['days'],
      },
    ]),
  );
}

type Judged = { state: DayState; reason?: string | null };

function stateOfStored(download: Download, date: string, object: Stored, now: Temporal.Instant): Judged {
  const { asset, schema } = download;
  const { isPartial, degraded, asOf, days } = object;
  if (days[date] !== undefined) {
    if (degraded !== null) return { state: 'degraded', reason: degraded };
    // Of a longer period only single days may be missing; this one is there.
    const isDay = !isDaily(schema);
    return isDay && isPartial ? { state: 'partial', reason: 'it was downloaded before the day was over' } : { state: 'complete' };
  }
  if (!isComplete(download, date, now)) return { state: 'pending', reason: notYet(download, date) };
  const wasComplete = isComplete(download, date, asOf);
  // On most days nobody reports.
  if (schema === 'earnings' && wasComplete) return degraded === null ? { state: 'complete' } : { state: 'degraded', reason: degraded };
  if (!wasComplete) return { state: 'missing', reason: `the object was downloaded at ${text(asOf)}, before this day could be had` };
  if (!emptyCounts(date, asOf))
    return { state: 'pending', reason: `the source had nothing at ${text(asOf)}; that counts from ${text(emptyCountsFrom(date))} on` };
  // Before a listing and after its end a source has nothing. A hole between days with data is none of these.
  const dates = Object.keys(days);
  const isHole = dates.some((other) => other < date) && dates.some((other) => other > date);
  return isHole
    ? { state: 'partial', reason: `the source had no rows of this day at ${text(asOf)}, and has the days around it` }
    : { state: 'empty', reason: `the source had no ${asset} data of this day at ${text(asOf)}` };
}

function stateOfAbsent(download: Download, date: string, absence: Absence | undefined, now: Temporal.Instant): Judged {
  if (!isComplete(download, date, now)) return { state: 'pending', reason: notYet(download, date) };
  if (absence === undefined) return { state: 'missing' };
  const { state, reason, until } = absence;
  if (state === 'asked_once') return { state: 'pending', reason };
  if (state === 'empty' && until !== null && until.getTime() <= now.epochMilliseconds)
    return { state: 'missing', reason: `it was empty until ${until.toISOString()}, and is asked for again` };
  return { state, reason };
}

const notYet = (download: Download, date: string): string =>
  `it can be had from ${text(completeAt(download, date) as Temporal.Instant)} on`;
const text = (at: Temporal.Instant): string => at.round('second').toString();

function calendarDays(from: string, to: string): string[] {
  const days: string[] = [];
  const end = Date.parse(to);
  for (let at = Date.parse(from); at <= end; at += 86_400_000) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}
