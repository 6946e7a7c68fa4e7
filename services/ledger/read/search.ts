/**
 * Searches the jobs. Each search walks an index in the order of its sort, so a page costs what it shows, however many jobs are kept. What no index knows (type, worker, code, text
 * of the reason) is compared on the way, over at most `LOOKED_AT` jobs a page: an index for each would cost every write of the ledger.
 */
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { END_STATES } from '../../platform/job-states.ts';
import { idFromBytes } from '../id.ts';
import { isLive, STATES, type State } from '../job.ts';
import { type Condition, type JobSummary, listJobs, paramsOf } from './jobs.ts';
import {
  bounded,
  comparisons,
  idRange,
  type JobSearch,
  type JobSort,
  type Lane,
  ofState,
  orderOf,
  ownPath,
  type Place,
  selectOf,
  walk,
} from './lanes.ts';

/** Jobs that one page or count compares with the filter. */
export const LOOKED_AT = 10_000;

export interface FoundJob extends JobSummary {
  /** Of the page that begins behind it. */
  cursor: string;
}

/**
 * A page of jobs, at most `limit`, from behind `cursor` on. A page may have fewer jobs although there are more: `next` goes on behind the last one that was looked at; null: there
 * are no more. Errors: `InputError('jobs.bad_sort' | 'jobs.bad_cursor')`.
 */
export async function searchJobs(
  sql: Sql,
  search: JobSearch,
  { sort, cursor, limit, mostLookedAt = LOOKED_AT }: { sort: JobSort; cursor?: string | undefined; limit: number; mostLookedAt?: number },
): Promise<{ jobs: FoundJob[]; next: string | null }> {
  const order = orderOf(search, sort);
  const compared = comparisons(search, sort === 'urgent' || sort === 'ended');
  const after = cursor === undefined ? undefined : parsePlace(cursor, sort);
  const behindCursor = (lane: Lane): Condition[] | undefined => {
    const behind = after === undefined ? [] : bounded(lane, order, after, 'behind');
    return behind && [...behind, ...idRange(search, lane.id)];
  };
  // The nearest of the ends of all lanes: behind it one of them is not looked at.
  const floor = compared.length === 0 ? undefined : (await walk(sql, order, behindCursor, `LIMIT 1 OFFSET ${mostLookedAt - 1}`))[0];
  const places = await walk(
    sql,
    order,
    (lane) => {
      const behind = behindCursor(lane);
      const upTo = floor === undefined ? [] : bounded(lane, order, floor, 'up to');
      return behind && upTo && [...behind, ...upTo];
    },
    `LIMIT ${limit + 1}`,
    compared,
  );
  const shown = places.slice(0, limit);
  const found = await listJobs(sql, { ids: shown.map(({ id }) => id), limit });
  const byId = new Map(found.map((job) => [job.id, job]));
  const jobs = shown.flatMap((place) => {
    const job = byId.get(place.id);
    return job === undefined ? [] : [{ ...job, cursor: placeText(place, sort) }];
  });
  const last = places.length > limit ? shown.at(-1) : floor;
  return { jobs, next: last === undefined ? null : placeText(last, sort) };
}

const placeText = ({ lead, key, id }: Place, sort: JobSort): string =>
  sort === 'urgent' ? `${lead}~${key}~${id}` : sort === 'ended' ? `${key}~${id}` : id;

/** The keys of an order, and the id behind which a page begins. A moment has 13 digits: longer ones are none that a database knows. */
export const CURSOR = /^(?:\d{1,14}~){0,2}[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Errors: `InputError('jobs.bad_cursor')`. */
function parsePlace(text: string, sort: JobSort): Place {
  const parts = text.toLowerCase().split('~');
  const lead = sort === 'urgent' ? Number(parts[0]) : 0;
  const key = sort === 'urgent' ? Number(parts[1]) : sort === 'ended' ? Number(parts[0]) : 0;
  const wanted = { urgent: 3, ended: 2, newest: 1, oldest: 1 }[sort];
  if (parts.length !== wanted || !CURSOR.test(text))
    throw new InputError('jobs.bad_cursor', `"${text}" is no cursor of the order "${sort}"; use \`next\` of the page before`);
  return { lead, key, id: parts.at(-1) as string };
}

export interface StateCounts {
  /** By state; of the states that were asked for. */
  counts: Partial<Record<State, number>>;
  /** States of which not all jobs were looked at: there may be more. */
  atLeast: State[];
}

/**
 * What a count looks at: the jobs of each of the states, or those of one user or symbol in all states. Of an ended state the last; the tables of live states are in no order of
 * time. `compared`: the filter that is left.
 */
function candidates(search: JobSearch, states: readonly State[]) {
  const own = ownPath(search);
  const compared = comparisons(search, own === undefined);
  const of = (state: State | undefined, lane: Lane) => {
    const [from, params] = selectOf(lane, { descending: true }, idRange(search, lane.id), `LIMIT ${LOOKED_AT}`);
    return { state, from, params };
  };
  if (own !== undefined) return { compared, parts: [of(undefined, { ...own, lead: 0 })] };
  return {
    compared,
    parts: states.map((state) => of(state, { ...ofState(state), ...(!isLive(state) && { key: 'e.ended_at' }), lead: 0 })),
  };
}

/** How many jobs a search has, by state. Of each state, or of one user or symbol, the newest `LOOKED_AT` are counted. */
export async function countJobs(sql: Sql, search: JobSearch): Promise<StateCounts> {
  const states = search.states ?? STATES;
  const { compared, parts } = candidates(search, states);
  const rows = await Promise.all(
    parts.map(({ state, from, params }) => {
      // Without a filter the index alone is read.
      const isPlain = compared.length === 0 && state !== undefined;
      const matches = compared.map(([text]) => text).join(' AND ') || '1';
      return sql.rows<{ state: State; looked_at: number; jobs: number }>(
        isPlain
          ? `SELECT '${state}' AS state, COUNT(*) AS looked_at, COUNT(*) AS jobs FROM (${from}) n`
          : `SELECT j.state, COUNT(*) AS looked_at, SUM(COALESCE(${matches}, 0)) + 0e0 AS jobs FROM (${from}) n JOIN job_states j ON j.id = n.id GROUP BY j.state`,
        isPlain ? params : [...paramsOf(compared), ...params],
      );
    }),
  );
  const jobsOf = new Map(rows.flat().map(({ state, jobs }) => [state, Number(jobs)]));
  const isCut = (some: readonly { looked_at: number }[]): boolean => some.reduce((sum, { looked_at }) => sum + looked_at, 0) >= LOOKED_AT;
  return {
    counts: Object.fromEntries(states.map((state) => [state, jobsOf.get(state) ?? 0])),
    atLeast: parts.flatMap(({ state }, index) => (isCut(rows[index] ?? []) ? (state ?? states) : [])),
  };
}

export interface CodeGroup {
  code: string;
  jobs: number;
  first_ended_at: Date;
  last_ended_at: Date;
  /** Of the newest of them. */
  reason: string | null;
  newest_id: string;
}

const BROKEN_STATES = END_STATES.filter((state) => state !== 'completed');

/** The jobs of a search that ended other than completed, by code, the largest group first. Of each state the newest `LOOKED_AT` are looked at. */
export async function groupByCode(sql: Sql, search: JobSearch): Promise<CodeGroup[]> {
  const states = BROKEN_STATES.filter((state) => search.states === undefined || search.states.includes(state));
  if (states.length === 0) return [];
  const { compared, parts } = candidates({ ...search, states }, states);
  const where = ['r.code IS NOT NULL', ...compared.map(([text]) => text)].join(' AND ');
  const rows = await Promise.all(
    parts.map(({ from, params }) =>
      sql.rows<{ code: string; jobs: number; first: Date; last: Date; newest: Buffer }>(
        `SELECT r.code, COUNT(*) AS jobs, MIN(r.ended_at) AS first, MAX(r.ended_at) AS last, MAX(j.id) AS newest
           FROM (${from}) n JOIN job_states j ON j.id = n.id JOIN ended r ON r.job_id = n.id WHERE ${where} GROUP BY r.code`,
        [...params, ...paramsOf(compared)],
      ),
    ),
  );
  const groups = [...Map.groupBy(rows.flat(), ({ code }) => code)].map(([code, some]) => ({
    code,
    jobs: some.reduce((sum, { jobs }) => sum + Number(jobs), 0),
    first_ended_at: new Date(Math.min(...some.map(({ first }) => first.getTime()))),
    last_ended_at: new Date(Math.max(...some.map(({ last }) => last.getTime()))),
    newest: some.map(({ newest }) => newest).reduce((a, b) => (Buffer.compare(a, b) > 0 ? a : b)),
  }));
  if (groups.length === 0) return [];
  const reasons = await sql.rows<{ id: Buffer; reason: string | null }>('SELECT job_id AS id, reason FROM ended WHERE job_id IN (?)', [
    groups.map(({ newest }) => newest),
  ]);
  const reasonOf = new Map(reasons.map(({ id, reason }) => [idFromBytes(id), reason]));
  return groups
    .map(({ newest, ...group }) => {
      const newest_id = idFromBytes(newest);
      return { ...group, newest_id, reason: reasonOf.get(newest_id) ?? null };
    })
    .sort((a, b) => b.jobs - a.jobs || a.code.localeCompare(b.code));
}
