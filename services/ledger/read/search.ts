/**
 * Searches the jobs. Each search walks an index in the order of its sort, so a page costs what it shows, however many jobs are kept. What no index knows (type, worker, code, text
 * of the reason) is compared on the way, over at most `LOOKED_AT` jobs a page: an index for each would cost every write of the ledger.
 */
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { END_STATES } from '../../platform/job-states.ts';
import { idFromBytes, idToBytes } from '../id.ts';
import { STATES, type State } from '../job.ts';
import { type JobSummary, listJobs } from './jobs.ts';
import {
  bounded,
  type Condition,
  comparisons,
  idRange,
  type JobSearch,
  type JobSort,
  type Lane,
  ofState,
  ofSymbol,
  ofUser,
  orderOf,
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
  const byId = new Map(
    (
      await listJobs(sql, {
        ids: shown.map(({ id }) => id),
        limit,
      })
    ).map((job) => [job.id, job]),
  );
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

/** Jobs of a state, or the newest of all states of one user or symbol: what a count looks at. Of an ended state the last; the tables of live states are in no order of time. */
function candidates(search: JobSearch, state: State | undefined): [sql: string, params: unknown[]] {
  const { symbol, user } = search;
  const path = user !== undefined ? ofUser(user) : symbol !== undefined ? ofSymbol(symbol) : ofState(state as State);
  const lane: Lane = { ...path, ...(path.from.startsWith('ended ') && { key: 'e.ended_at' }), lead: 0 };
  return selectOf(lane, { descending: true }, idRange(search, lane.id), `LIMIT ${LOOKED_AT}`);
}

/** How many jobs a search has, by state. Of each state, or of one user or symbol, the newest `LOOKED_AT` are counted. */
export async function countJobs(sql: Sql, search: JobSearch): Promise<StateCounts> {
  const states = search.states ?? STATES;
  const isByState = search.user === undefined && search.symbol === undefined;
  const compared = comparisons(search, isByState);
  const parts: (State | undefined)[] = isByState ? [...states] : [undefined];
  const rows = (
    await Promise.all(
      parts.map((state) => {
        const [from, params] = candidates(search, state);
        const matches = compared.length === 0 ? '1' : compared.map(([text]) => text).join(' AND ');
        return sql.rows<{ state: State; looked_at: number; jobs: number }>(
          // Without a filter the index alone is read.
          compared.length === 0 && state !== undefined
            ? `SELECT '${state}' AS state, COUNT(*) AS looked_at, COUNT(*) AS jobs FROM (${from}) n`
            : `SELECT j.state, COUNT(*) AS looked_at, SUM(COALESCE(${matches}, 0)) + 0e0 AS jobs FROM (${from}) n JOIN job_states j ON j.id = n.id GROUP BY j.state`,
          [...(compared.length === 0 && state !== undefined ? [] : compared.flatMap(([, ...values]) => values)), ...params],
        );
      }),
    )
  ).flat();
  const total = rows.reduce((sum, { looked_at }) => sum + looked_at, 0);
  return {
    counts: Object.fromEntries(states.map((state) => [state, Number(rows.find((row) => row.state === state)?.jobs ?? 0)])),
    atLeast: isByState
      ? rows.flatMap(({ state, looked_at }) => (looked_at >= LOOKED_AT ? [state] : []))
      : total >= LOOKED_AT
        ? [...states]
        : [],
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
  const isByState = search.user === undefined && search.symbol === undefined;
  const compared = comparisons({ ...search, states }, isByState);
  const parts: (State | undefined)[] = isByState ? states : [undefined];
  const found = (
    await Promise.all(
      parts.map((state) => {
        const [from, params] = candidates(search, state);
        const where = ['r.code IS NOT NULL', ...compared.map(([text]) => text)].join(' AND ');
        return sql.rows<{ code: string; jobs: number; first: Date; last: Date; newest: Buffer }>(
          `SELECT r.code, COUNT(*) AS jobs, MIN(r.ended_at) AS first, MAX(r.ended_at) AS last, MAX(j.id) AS newest
             FROM (${from}) n JOIN job_states j ON j.id = n.id JOIN ended r ON r.job_id = n.id WHERE ${where} GROUP BY r.code`,
          [...params, ...compared.flatMap(([, ...values]) => values)],
        );
      }),
    )
  ).flat();
  const groups = [...Map.groupBy(found, ({ code }) => code)].map(([code, rows]) => ({
    code,
    jobs: rows.reduce((sum, { jobs }) => sum + Number(jobs), 0),
    first_ended_at: new Date(Math.min(...rows.map(({ first }) => first.getTime()))),
    last_ended_at: new Date(Math.max(...rows.map(({ last }) => last.getTime()))),
    newest_id: rows
      .map(({ newest }) => idFromBytes(newest))
      .sort()
      .at(-1) as string,
  }));
  if (groups.length === 0) return [];
  const reasons = await sql.rows<{ id: Buffer; reason: string | null }>('SELECT job_id AS id, reason FROM ended WHERE job_id IN (?)', [
    groups.map(({ newest_id }) => idToBytes(newest_id)),
  ]);
  const reasonOf = new Map(reasons.map(({ id, reason }) => [idFromBytes(id), reason]));
  return groups
    .map((group) => ({ ...group, reason: reasonOf.get(group.newest_id) ?? null }))
    .sort((a, b) => b.jobs - a.jobs || a.code.localeCompare(b.code));
}
