/** The downloads that were asked for, each with its progress and its pace: what a page shows of them all. */
import type { z } from 'zod';
import { idFromBytes, idToBytes, sortedBytes } from '../../ledger/id.ts';
import { type Ledger, LIVE_STATES, nowOf } from '../../ledger/job.ts';
import type { JobSummary } from '../../ledger/read/jobs.ts';
import type { JobSearch } from '../../ledger/read/lanes.ts';
import { MEASURED_SECONDS } from '../../ledger/read/pace.ts';
import { searchJobs } from '../../ledger/read/search.ts';
import type { ItemCounts, ItemState } from '../../ledger/run/items.ts';
import { fromJson, type Sql } from '../../platform/database/database.ts';
import type { HistoryPayload } from './definition.ts';

type Payload = z.output<typeof HistoryPayload>;

export interface ListedDownload {
  job: JobSummary;
  payload: Payload;
  items: ItemCounts;
  /** Items that were tried within the last minutes, and the seconds that they took; of a live download alone. */
  pace: { items: number; seconds: number } | null;
}

/** More live ones are not shown at once: each is hundreds of files. */
const MOST_LIVE = 100;

/**
 * The live downloads, and behind them the newest of the others, newest first. `cursor`: of the page before; only the first page has the live ones of all times. Parts are counted
 * with what they are parts of, and are no downloads of their own: a page may have fewer than `limit`. As far back as `searchJobs` looks.
 */
export async function listDownloads(
  ledger: Ledger,
  search: Pick<JobSearch, 'user' | 'symbol'>,
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): Promise<{ downloads: ListedDownload[]; next: string | null }> {
  const { db } = ledger;
  const ofType = { ...search, type: 'history' };
  const [live, newest] = await Promise.all([
    cursor === undefined ? searchJobs(db, { ...ofType, states: LIVE_STATES }, { sort: 'urgent', limit: MOST_LIVE }) : { jobs: [] },
    searchJobs(db, ofType, { sort: 'newest', cursor, limit }),
  ]);
  const jobs = new Map<string, JobSummary>([...live.jobs, ...newest.jobs].map((job) => [job.id, job]));
  return { downloads: await withProgress(ledger, [...jobs.values()]), next: newest.next };
}

async function withProgress(ledger: Ledger, found: readonly JobSummary[]): Promise<ListedDownload[]> {
  const { db } = ledger;
  const payloads = await readPayloads(db, found);
  const jobs = found.filter(({ id }) => payloads.get(id)?.part !== true);
  const parts = await readParts(db, jobs);
  const idsOf = ({ id }: JobSummary): string[] => [id, ...(parts.get(id) ?? []).map((part) => part.id)];
  const live = jobs.filter(({ state }) => (LIVE_STATES as readonly string[]).includes(state));
  const [counts, paces] = await Promise.all([readCounts(db, jobs.flatMap(idsOf)), readPaces(ledger, live.flatMap(idsOf))]);
  const downloads = jobs.flatMap((job): ListedDownload[] => {
    const payload = payloads.get(job.id);
    if (payload === undefined) return [];
    const ids = idsOf(job);
    const items = ids.reduce((sum, id) => add(sum, counts.get(id)), { ...NONE });
    const own = ids.flatMap((id) => paces.get(id) ?? []);
    const seconds = Math.max(0, ...own.map((one) => one.seconds));
    const tried = own.reduce((sum, one) => sum + one.items, 0);
    const runs = job.state === 'blocked' && parts.get(job.id)?.some(({ state }) => state === 'running');
    return [
      {
        ...{ payload, items, pace: tried < 2 ? null : { items: tried, seconds: Math.max(seconds, 0.001) } },
        job: runs ? { ...job, state: 'running', blocked_on: null } : job,
      },
    ];
  });
  return downloads.sort((a, b) => (a.job.id < b.job.id ? 1 : -1));
}

const NONE: ItemCounts = { pending: 0, done: 0, skipped: 0, no_data: 0, failed: 0, not_entitled: 0, not_yet: 0, total: 0 };

function add(sum: ItemCounts, more: ItemCounts | undefined): ItemCounts {
  if (more !== undefined) for (const state of Object.keys(sum) as (keyof ItemCounts)[]) sum[state] += more[state];
  return sum;
}

async function readPayloads(sql: Sql, jobs: readonly JobSummary[]): Promise<Map<string, Payload>> {
  if (jobs.length === 0) return new Map();
  const rows = await sql.rows<{ job_id: Buffer; payload: unknown }>(
    'SELECT id AS job_id, payload FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?)',
    [jobs.map(({ id }) => idToBytes(id))],
  );
  return new Map(rows.map(({ job_id, payload }) => [idFromBytes(job_id), fromJson(payload) as Payload]));
}

async function readParts(sql: Sql, jobs: readonly JobSummary[]): Promise<Map<string, { id: string; state: string }[]>> {
  if (jobs.length === 0) return new Map();
  const rows = await sql.rows<{ job_id: Buffer; id: Buffer; state: string }>(
    `SELECT d.job_id, p.id, p.state FROM job_dependencies d FORCE INDEX (PRIMARY) JOIN job_states p ON p.id = d.needs_id
      WHERE d.job_id IN (?) AND d.is_part = 1`,
    [sortedBytes(jobs.map(({ id }) => id))],
  );
  const parts = Map.groupBy(rows, ({ job_id }) => idFromBytes(job_id));
  return new Map([...parts].map(([job, of]) => [job, of.map(({ id, state }) => ({ id: idFromBytes(id), state }))]));
}

/** By job. Walks ix_state of each. */
async function readCounts(sql: Sql, ids: readonly string[]): Promise<Map<string, ItemCounts>> {
  const counts = new Map<string, ItemCounts>();
  if (ids.length === 0) return counts;
  const rows = await sql.rows<{ job_id: Buffer; state: ItemState; items: number }>(
    'SELECT job_id, state, COUNT(*) AS items FROM job_items FORCE INDEX (ix_state) WHERE job_id IN (?) GROUP BY job_id, state',
    [sortedBytes(ids)],
  );
  for (const { job_id, state, items } of rows) {
    const id = idFromBytes(job_id);
    const of = counts.get(id) ?? { ...NONE };
    counts.set(id, { ...of, [state]: items, total: of.total + items });
  }
  return counts;
}

/** By job, as `secondsLeft` measures it: items that were there already, or that were not asked for, say nothing of the pace. */
async function readPaces(ledger: Ledger, ids: readonly string[]): Promise<Map<string, { items: number; seconds: number }>> {
  if (ids.length === 0) return new Map();
  const now = nowOf(ledger).getTime();
  const rows = await ledger.db.rows<{ job_id: Buffer; items: number; oldest: Date }>(
    `SELECT job_id, COUNT(*) AS items, MIN(updated_at) AS oldest FROM job_items FORCE INDEX (PRIMARY)
      WHERE job_id IN (?) AND state IN ('done', 'no_data', 'failed') AND updated_at > ? GROUP BY job_id`,
    [sortedBytes(ids), new Date(now - MEASURED_SECONDS * 1000)],
  );
  return new Map(rows.map(({ job_id, items, oldest }) => [idFromBytes(job_id), { items, seconds: (now - oldest.getTime()) / 1000 }]));
}
