/**
 * Searches the jobs. Each search walks an index in the order of its sort, so a page costs what it shows, however many jobs are kept. What no index knows (type, worker, code, text
 * of the reason) is compared on the way, over at most `LOOKED_AT` jobs a page: an index for each would cost every write of the ledger.
 */
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { END_STATES, LIVE_STATES } from '../../platform/job-states.ts';
import { idFromBytes, idToBytes } from '../id.ts';
import { isLive, QUEUES, type Queue, STATES, type State } from '../job.ts';
import { firstIdAt, type JobSummary, listJobs } from './jobs.ts';

/** Jobs that one page or count compares with the filter. */
export const LOOKED_AT = 10_000;

export interface JobSearch {
  states?: readonly State[] | undefined;
  queue?: Queue | undefined;
  type?: string | undefined;
  symbol?: string | undefined;
  /** Who waits for it. */
  user?: string | undefined;
  worker?: string | undefined;
  /** Why it ended other than completed, for programs. */
  code?: string | undefined;
  /** A part of the reason, in any case. */
  reason?: string | undefined;
  enqueuedAfter?: Date | undefined;
  enqueuedBefore?: Date | undefined;
}

/** `urgent`: in the order in which they are claimed, live jobs only. `ended`: the last ended first, ended ones only. */
export const JOB_SORTS = ['newest', 'oldest', 'urgent', 'ended'] as const;
export type JobSort = (typeof JOB_SORTS)[number];

export interface FoundJob extends JobSummary {
  /** Of the page that begins behind it. */
  cursor: string;
}

/** Where a job stands in the order of a sort. Compared from left to right; `lead` and `key` are 0 where the order has only ids. */
interface Place {
  lead: number;
  key: number;
  id: string;
}

/** One walk of an index, in the order of the sort. */
interface Lane {
  from: string;
  /** What `from` has as `j`, a row of `job_states`, if that is not a part of it: joined where it is asked. */
  join?: string;
  id: string;
  /** The column between the fixed part of the index and the id. */
  key?: string;
  /** No index is in the order of its ids. */
  isUnordered?: true;
  fixed: Condition[];
  lead: number;
}

type Condition = readonly [sql: string, ...params: unknown[]];

interface Order {
  lanes: Lane[];
  descending: boolean;
}

/** A filter that its walk does not follow. */
function comparisons(search: JobSearch, isByState: boolean): Condition[] {
  const { states, queue, type, symbol, user, worker, code, reason } = search;
  return [
    ...(states === undefined || isByState ? [] : [['j.state IN (?)', states] as const]),
    ...(queue === undefined ? [] : [['j.queue = ?', queue] as const]),
    ...(type === undefined ? [] : [['j.type = ?', type] as const]),
    ...(symbol === undefined || user === undefined ? [] : [['j.symbol = ?', symbol] as const]),
    ...(worker === undefined ? [] : [['j.worker_id = ?', worker] as const]),
    ...(code === undefined ? [] : [['(SELECT r.code FROM ended r WHERE r.job_id = j.id) = ?', code] as const]),
    ...(reason === undefined ? [] : [[`${REASON} COLLATE utf8mb4_general_ci LIKE ?`, likeText(reason)] as const]),
  ];
}

/** As the list shows it. */
const REASON = `COALESCE((SELECT r.reason FROM ended r WHERE r.job_id = j.id),
  (SELECT a.reason FROM job_attempts a WHERE a.job_id = j.id AND j.state IN ('scheduled', 'ready') ORDER BY a.attempt DESC LIMIT 1))`;

const likeText = (text: string): string => `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`;

/** The moments stand in the ids. */
function idRange({ enqueuedAfter, enqueuedBefore }: JobSearch, id: string): Condition[] {
  return [
    ...(enqueuedAfter === undefined ? [] : [[`${id} >= ?`, firstIdAt(enqueuedAfter)] as const]),
    ...(enqueuedBefore === undefined ? [] : [[`${id} < ?`, firstIdAt(enqueuedBefore)] as const]),
  ];
}

type Path = Omit<Lane, 'lead' | 'key'>;

const ofUser = (user: string): Path => ({
  from: 'job_subscribers s FORCE INDEX (ix_user)',
  join: 'JOIN job_states j ON j.id = s.job_id',
  id: 's.job_id',
  fixed: [['s.user_id = ?', user]],
});
const OF_JOBS = { join: 'JOIN job_states j ON j.id = q.id', id: 'q.id' };
const ofSymbol = (symbol: string): Path => ({ ...OF_JOBS, from: 'jobs q FORCE INDEX (ix_symbol)', fixed: [['q.symbol = ?', symbol]] });
const EVERY_JOB: Path = { ...OF_JOBS, from: 'jobs q FORCE INDEX (PRIMARY)', fixed: [] };

/** The index of each state's table that is in the order of the claims. `running` has as many rows as workers have places: it is sorted. */
const URGENT = { ready: 'PRIMARY', scheduled: 'ix_queue', blocked: 'ix_queue' } as const;

function ofState(state: State): Path {
  if (isLive(state))
    return { from: state, join: `JOIN job_states j ON j.id = ${state}.job_id`, id: `${state}.job_id`, fixed: [], isUnordered: true };
  return {
    from: 'ended e FORCE INDEX (ix_ended)',
    join: 'JOIN job_states j ON j.id = e.job_id',
    id: 'e.job_id',
    fixed: [['e.state = ?', state]],
  };
}

function urgentLane(state: State, queue: Queue, lead: number): Lane {
  if (state === 'running')
    return {
      from: 'running n JOIN job_states j ON j.id = n.job_id',
      id: 'n.job_id',
      key: 'j.priority',
      fixed: [['j.queue = ?', queue]],
      lead,
    };
  const { join, id } = ofState(state) as Path & { join: string };
  return {
    join,
    id,
    from: `${state} FORCE INDEX (${URGENT[state as keyof typeof URGENT]})`,
    key: `${state}.priority`,
    fixed: [[`${state}.queue = ?`, queue]],
    lead,
  };
}

/** Errors: `InputError('jobs.bad_sort')`. */
function orderOf({ states, queue, symbol, user }: JobSearch, sort: JobSort): Order {
  if (sort === 'newest' || sort === 'oldest') {
    const path = user !== undefined ? ofUser(user) : symbol !== undefined ? ofSymbol(symbol) : EVERY_JOB;
    return { lanes: [{ ...path, lead: 0 }], descending: sort === 'newest' };
  }
  const possible: readonly State[] = sort === 'urgent' ? LIVE_STATES : END_STATES;
  const asked = states ?? possible;
  const unfit = asked.find((state) => !possible.includes(state));
  if (unfit !== undefined)
    throw new InputError('jobs.bad_sort', `jobs in the state ${unfit} have no order by "${sort}": it is for ${possible.join(', ')}`);
  const own = user !== undefined ? ofUser(user) : symbol !== undefined ? ofSymbol(symbol) : undefined;
  const descending = sort === 'ended';
  // The jobs of one user or symbol are few: they are sorted.
  if (own !== undefined) {
    const leads = sort === 'urgent' ? QUEUES.map((one, lead) => ({ one, lead })) : [{ one: undefined, lead: 0 }];
    const ofStates = ['j.state IN (?)', asked] as const;
    const key = sort === 'urgent' ? 'j.priority' : 'j.ended_at';
    return {
      descending,
      lanes: leads.map(({ one, lead }) => ({
        ...{ from: `${own.from} ${own.join}`, id: own.id, key, lead },
        fixed: [...own.fixed, ofStates, ...(one === undefined ? [] : [['j.queue = ?', one] as const])],
      })),
    };
  }
  if (sort === 'ended') return { descending, lanes: asked.map((state) => ({ ...ofState(state), key: 'e.ended_at', lead: 0 })) };
  return {
    descending,
    lanes: QUEUES.flatMap((one, lead) => (queue !== undefined && queue !== one ? [] : asked.map((state) => urgentLane(state, one, lead)))),
  };
}

interface PlaceRow {
  id: Buffer;
  k: Date | number | null;
}

const placeOf = ({ lead }: Lane, { id, k }: PlaceRow): Place => ({
  lead,
  key: k instanceof Date ? k.getTime() : (k ?? 0),
  id: idFromBytes(id),
});

function compare(a: Place, b: Place, { descending }: Order): number {
  const up = a.lead - b.lead || a.key - b.key || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  return descending ? -up : up;
}

/** The rows of a lane behind a place, or up to it and with it. Undefined: the lane has none. */
function bounded(lane: Lane, { descending }: Order, place: Place, side: 'behind' | 'up to'): Condition[] | undefined {
  if (lane.lead !== place.lead) {
    const isBehind = descending ? lane.lead < place.lead : lane.lead > place.lead;
    return isBehind === (side === 'behind') ? [] : undefined;
  }
  const isGreater = descending === (side === 'up to');
  const [strictly, orEqual] = isGreater ? ['>', '>='] : ['<', '<='];
  const id = idToBytes(place.id);
  const idSign = side === 'behind' ? strictly : orEqual;
  if (lane.key === undefined) return [[`${lane.id} ${idSign} ?`, id]];
  const key = lane.key.endsWith('_at') ? new Date(place.key) : place.key;
  return [
    [`${lane.key} ${orEqual} ?`, key],
    [`(${lane.key} ${strictly} ? OR ${lane.id} ${idSign} ?)`, key, id],
  ];
}

/** `compared`: the conditions on `j`, which no walk of an index follows. */
function selectOf(
  lane: Lane,
  { descending }: Pick<Order, 'descending'>,
  conditions: readonly Condition[],
  limit: string,
  compared: readonly Condition[] = [],
): [sql: string, params: unknown[]] {
  const all = [...lane.fixed, ...conditions, ...compared];
  const direction = descending ? 'DESC' : 'ASC';
  const columns = [...(lane.key === undefined ? [] : [lane.key]), lane.id].map((column) => `${column} ${direction}`).join(', ');
  const order = lane.isUnordered ? '' : `ORDER BY ${columns}`;
  const from = compared.length === 0 ? lane.from : `${lane.from} ${lane.join ?? ''}`;
  return [
    `SELECT STRAIGHT_JOIN ${lane.id} AS id, ${lane.key ?? 'NULL'} AS k FROM ${from} ${all.length === 0 ? '' : `WHERE ${all.map(([sql]) => sql).join(' AND ')}`} ${order} ${limit}`,
    all.flatMap(([, ...params]) => params),
  ];
}

/** The rows of several lanes, one statement for each: they run at the same time, and each keeps its plan. */
async function walk(
  sql: Sql,
  order: Order,
  conditionsOf: (lane: Lane) => readonly Condition[] | undefined,
  limit: string,
  compared: readonly Condition[] = [],
): Promise<Place[]> {
  const found = await Promise.all(
    order.lanes.map(async (lane) => {
      const conditions = conditionsOf(lane);
      if (conditions === undefined) return [];
      const [text, params] = selectOf(lane, order, conditions, limit, compared);
      return (await sql.rows<PlaceRow>(text, params)).map((row) => placeOf(lane, row));
    }),
  );
  return found.flat().sort((a, b) => compare(a, b, order));
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
