/** What a download would do, without doing it: its objects, which of them are there, its requests, and how much and how long by what was stored before. */
import type { Sql } from '../platform/database/database.ts';
import { type Coverage, coverageOf, type DayState, readKnown } from './coverage.ts';
import { type Download, filterName } from './dataset.ts';
import { foresee } from './foreseen.ts';
import { noTradingDay, planOf } from './plan.ts';
import type { HistorySource } from './sources/source.ts';

/** What the preview needs of a source; without one it says nothing of calls. */
export type PreviewedSource = Pick<HistorySource, 'calls'> & { name: string };

/** What the job would make of an object: `download`, or the outcome that it ends with at once. */
export const EXPECTED = ['download', 'skipped', 'no_data', 'not_yet'] as const;
export type Expected = (typeof EXPECTED)[number];

export interface PreviewedObject {
  key: string;
  /** Trading days of the range. */
  days: number;
  /** The worst of its days: `complete` where all are. */
  state: Exclude<DayState, 'closed'>;
  expected: Expected;
  /** Before that it is not downloaded: of one that is not there yet, or is asked for once more. */
  from: Temporal.Instant | null;
}

export interface Preview {
  objects: PreviewedObject[];
  /** Objects by state. */
  counts: Partial<Record<DayState, number>>;
  /** Objects by what is expected of them. */
  expected: Record<Expected, number>;
  /** Requests to the source. */
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

/** `force`: objects that are there are downloaded again too. Errors: `InputError('history.no_trading_day')`, as for the download itself. */
export async function previewOf(
  sql: Sql,
  download: Download,
  { source, now, force = false }: { source: PreviewedSource | undefined; now: Temporal.Instant; force?: boolean },
): Promise<Preview> {
  const plan = planOf(download);
  if (plan.length === 0) throw noTradingDay(download);
  const [known, size, pace] = await Promise.all([readKnown(sql, download, plan), sizeOfLike(sql, download), paceOfLike(sql, download)]);
  const states = statesByKey(coverageOf(download, plan, known, now));
  const since = force ? new Date(now.epochMilliseconds + 1) : undefined;
  const expected: Preview['expected'] = { download: 0, skipped: 0, no_data: 0, not_yet: 0 };
  const counts: Preview['counts'] = {};
  let calls = 0;
  const objects = plan.map(({ object, days }): PreviewedObject => {
    const { key } = object;
    const foreseen = foresee(object, known.stored.get(key), known.absences.get(key), { now, since });
    const state = states.get(key) ?? 'missing';
    const kind = foreseen.kind === 'ask' ? 'download' : foreseen.kind;
    if (foreseen.kind === 'ask') calls += source?.calls(object, foreseen.days) ?? 0;
    expected[kind]++;
    counts[state] = (counts[state] ?? 0) + 1;
    return { key, days: days.length, state, expected: kind, from: 'from' in foreseen ? (foreseen.from ?? null) : null };
  });
  return {
    ...{ objects, counts, expected, calls: source === undefined ? null : calls, source: source?.name ?? null },
    rows: size === undefined ? null : Math.round(size.rows * expected.download),
    bytes: size === undefined ? null : Math.round(size.bytes * expected.download),
    seconds: pace === undefined ? null : Math.ceil(pace * expected.download),
  };
}

/** A preview in the terms of the API. */
export function previewJson({ objects, counts, expected, calls, rows, bytes, seconds, source }: Preview, warnings: string[]) {
  return {
    ...{ dry_run: true as const, total_items: objects.length, counts, to_download: expected.download, expected, source, calls },
    ...{ estimated_rows: rows, estimated_bytes: bytes, estimated_seconds: seconds, warnings },
    objects: objects.map(({ from, ...object }) => ({
      ...{ ...object, download: object.expected === 'download', from: from?.toString({ smallestUnit: 'minute' }) ?? null },
    })),
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
  { tier, url, now }: { tier: keyof typeof YEARS_OF_TIER; url: string | null; now: Temporal.Instant },
): { source: PreviewedSource | undefined; warnings: string[] } {
  const source = sources.find((one) => one.refuses(download) === undefined);
  if (source === undefined) {
    const reasons = sources.map((one) => `${one.name}: ${one.refuses(download)}`).join('; ');
    return { source, warnings: [`no source can give it (${reasons}); add one to history.sources`] };
  }
  if (source.name === 'simulated') return { source, warnings: ['the data are made up: no other source of history.sources can give them'] };
  if (source.name !== 'theta') return { source, warnings: [] };
  const looked = url === null ? [lookedFor(sources.find((one) => one !== source && one.refuses(download) === undefined))] : [];
  return { source, warnings: [...looked, ...tierWarnings(download, tier, now)] };
}

/** Without an address nobody knows before the download whether there is a terminal. `next`: the source in its place. */
function lookedFor(next: HistorySource | undefined): string {
  const instead =
    next === undefined
      ? 'no other source can give it'
      : `${next.name} gives it${next.name === 'simulated' ? ', and the data are made up' : ''}`;
  return `a terminal is looked for on this machine (history.theta.url is not set); where none answers, ${instead}`;
}

function tierWarnings({ schema, from }: Download, tier: keyof typeof YEARS_OF_TIER, now: Temporal.Instant): string[] {
  const where = `the subscription "${tier}" (history.theta.tier)`;
  if (tier === 'free' && schema !== 'eod') return [`${where} has reports of the end of the day only`];
  const years = YEARS_OF_TIER[tier];
  const oldest = now.toZonedDateTimeISO('America/New_York').toPlainDate().subtract({ years }).toString();
  return from < oldest ? [`${where} reaches back ${years} years: days before ${oldest} will be not entitled`] : [];
}
