/** What a download would do, without doing it: its objects, which of them are there, its requests, and how much and how long by what was stored before. */
import type { Sql } from '../platform/database/database.ts';
import { type Coverage, type DayState, readCoverage } from './coverage.ts';
import { type Download, filterName, type ObjectSpec } from './dataset.ts';
import { planOf } from './plan.ts';
import type { HistorySource } from './sources/source.ts';

/** What the preview needs of a source; without one it says nothing of calls. */
export interface PreviewedSource {
  name: string;
  calls(object: ObjectSpec): number;
}

export interface PreviewedObject {
  key: string;
  /** Trading days of the range. */
  days: number;
  /** The worst of its days: `complete` where all are. */
  state: Exclude<DayState, 'closed'>;
  /** Whether it would be downloaded. */
  fetched: boolean;
}

export interface Preview {
  objects: PreviewedObject[];
  /** Objects by state. */
  counts: Partial<Record<DayState, number>>;
  /** Objects that would be downloaded, and the requests to the source that they take. */
  fetched: number;
  calls: number | null;
  /** By the average of like objects that are stored; null where there are none. */
  rows: number | null;
  bytes: number | null;
  /** Seconds, by the pace of the newest objects of the dataset; null where nothing was measured. */
  seconds: number | null;
  source: string | null;
}

/** The worst first. */
const ORDER = ['missing', 'failed', 'partial', 'pending', 'not_entitled', 'empty', 'degraded', 'complete'] as const;
const FETCHED: ReadonlySet<DayState> = new Set(['missing', 'failed', 'partial', 'pending', 'not_entitled']);

/** `force`: objects that are there are downloaded again too. */
export async function previewOf(
  sql: Sql,
  download: Download,
  { source, now, force = false }: { source: PreviewedSource | undefined; now: Temporal.Instant; force?: boolean },
): Promise<Preview> {
  const [coverage, size, pace] = await Promise.all([
    readCoverage(sql, download, now),
    sizeOfLike(sql, download),
    paceOfLike(sql, download),
  ]);
  const states = statesByKey(coverage);
  const plan = planOf(download);
  const objects = plan.map(({ object: { key }, days }): PreviewedObject => {
    const state = states.get(key) ?? 'missing';
    return { key, days: days.length, state, fetched: force || FETCHED.has(state) };
  });
  const counts: Preview['counts'] = {};
  for (const { state } of objects) counts[state] = (counts[state] ?? 0) + 1;
  const fetched = objects.filter((one) => one.fetched).length;
  const calls =
    source === undefined ? null : plan.reduce((sum, { object }, index) => sum + (objects[index]?.fetched ? source.calls(object) : 0), 0);
  return {
    ...{ objects, counts, fetched, calls, source: source?.name ?? null },
    rows: size === undefined ? null : Math.round(size.rows * fetched),
    bytes: size === undefined ? null : Math.round(size.bytes * fetched),
    seconds: pace === undefined ? null : Math.round(pace * fetched),
  };
}

function statesByKey({ days }: Coverage): Map<string, PreviewedObject['state']> {
  const states = new Map<string, PreviewedObject['state']>();
  for (const { key, state } of days) {
    if (key === null || state === 'closed') continue;
    const before = states.get(key);
    if (before === undefined || ORDER.indexOf(state) < ORDER.indexOf(before)) states.set(key, state);
  }
  return states;
}

/** Objects that an average is made of. */
const LIKE = 50;

/** Rows and bytes of an object, by the newest of the root, else of the dataset. By ix_root and ix_stored. */
async function sizeOfLike(sql: Sql, { root, ...dataset }: Download): Promise<{ rows: number; bytes: number } | undefined> {
  const average = async (only: string, value: unknown[], index: string): Promise<{ rows: number; bytes: number } | undefined> => {
    const [found] = await sql.rows<{ objects: number; average_rows: string | null; average_bytes: string | null }>(
      `SELECT COUNT(*) AS objects, AVG(row_count) AS average_rows, AVG(byte_count) AS average_bytes FROM (
         SELECT row_count, byte_count FROM history_objects FORCE INDEX (${index})
          WHERE ${only} asset = ? AND data_schema = ? AND data_interval = ? AND contract_filter = ? ORDER BY stored_at DESC LIMIT ?) newest`,
      [...value, dataset.asset, dataset.schema, dataset.interval, filterName(dataset.filter), LIKE],
    );
    return found === undefined || found.objects === 0
      ? undefined
      : { rows: Number(found.average_rows), bytes: Number(found.average_bytes) };
  };
  return (await average('root = ? AND', [root], 'ix_root')) ?? (await average('', [], 'ix_stored'));
}

/** Seconds between two objects of one job, by the newest of the dataset. */
async function paceOfLike(sql: Sql, { asset, schema, interval, filter }: Download): Promise<number | undefined> {
  const rows = await sql.rows<{ objects: number; seconds: string | null }>(
    `SELECT COUNT(*) AS objects, TIMESTAMPDIFF(MICROSECOND, MIN(stored_at), MAX(stored_at)) / 1000000 AS seconds FROM (
       SELECT job_id, stored_at FROM history_objects FORCE INDEX (ix_stored)
        WHERE asset = ? AND data_schema = ? AND data_interval = ? AND contract_filter = ? ORDER BY stored_at DESC LIMIT ?) newest GROUP BY job_id`,
    [asset, schema, interval, filterName(filter), 4 * LIKE],
  );
  const steps = rows.reduce((sum, { objects }) => sum + objects - 1, 0);
  return steps === 0 ? undefined : rows.reduce((sum, { seconds }) => sum + Number(seconds), 0) / steps;
}

/** How far back each subscription of ThetaData reaches, in years. Source: its table of subscriptions of option data. */
const YEARS_OF_TIER = { free: 1, value: 4, standard: 8, pro: 12 } as const;

/** The source that would be asked, and what a person should know before. */
export function plannedSource(
  sources: readonly HistorySource[],
  download: Download,
  { tier, now }: { tier: keyof typeof YEARS_OF_TIER; now: Temporal.Instant },
): { source: PreviewedSource | undefined; warnings: string[] } {
  const source = sources.find((one) => one.refuses(download) === undefined);
  if (source === undefined) {
    const reasons = sources.map((one) => `${one.name}: ${one.refuses(download)}`).join('; ');
    return { source, warnings: [`no source can give it (${reasons}); add one to history.sources`] };
  }
  if (source.name === 'simulated') return { source, warnings: ['the data are made up: no other source of history.sources can give them'] };
  return { source, warnings: source.name === 'theta' ? tierWarnings(download, tier, now) : [] };
}

function tierWarnings({ schema, from }: Download, tier: keyof typeof YEARS_OF_TIER, now: Temporal.Instant): string[] {
  const where = `the subscription "${tier}" (history.theta.tier)`;
  if (tier === 'free' && schema !== 'eod') return [`${where} has reports of the end of the day only`];
  const years = YEARS_OF_TIER[tier];
  const oldest = now.toZonedDateTimeISO('America/New_York').toPlainDate().subtract({ years }).toString();
  return from < oldest ? [`${where} reaches back ${years} years: days before ${oldest} will be not entitled`] : [];
}
