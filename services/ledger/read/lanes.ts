/** The indexes that a search of the jobs walks, in the order of its sort. */
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { END_STATES, LIVE_STATES } from '../../platform/job-states.ts';
import { idFromBytes, idToBytes } from '../id.ts';
import { isLive, QUEUES, type Queue, type State } from '../job.ts';
import { firstIdAt } from './jobs.ts';

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

/** Where a job stands in the order of a sort. Compared from left to right; `lead` and `key` are 0 where the order has only ids. */
export interface Place {
  lead: number;
  key: number;
  id: string;
}

/** One walk of an index, in the order of the sort. */
export interface Lane {
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

export type Condition = readonly [sql: string, ...params: unknown[]];

export interface Order {
  lanes: Lane[];
  descending: boolean;
}

/** A filter that its walk does not follow. */
export function comparisons(search: JobSearch, isByState: boolean): Condition[] {
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
export function idRange({ enqueuedAfter, enqueuedBefore }: JobSearch, id: string): Condition[] {
  return [
    ...(enqueuedAfter === undefined ? [] : [[`${id} >= ?`, firstIdAt(enqueuedAfter)] as const]),
    ...(enqueuedBefore === undefined ? [] : [[`${id} < ?`, firstIdAt(enqueuedBefore)] as const]),
  ];
}

type Path = Omit<Lane, 'lead' | 'key'>;

export const ofUser = (user: string): Path => ({
  from: 'job_subscribers s FORCE INDEX (ix_user)',
  join: 'JOIN job_states j ON j.id = s.job_id',
  id: 's.job_id',
  fixed: [['s.user_id = ?', user]],
});
const OF_JOBS = { join: 'JOIN job_states j ON j.id = q.id', id: 'q.id' };
export const ofSymbol = (symbol: string): Path => ({
  ...OF_JOBS,
  from: 'jobs q FORCE INDEX (ix_symbol)',
  fixed: [['q.symbol = ?', symbol]],
});
const EVERY_JOB: Path = { ...OF_JOBS, from: 'jobs q FORCE INDEX (PRIMARY)', fixed: [] };

/** The index of each state's table that is in the order of the claims. `running` has as many rows as workers have places: it is sorted. */
const URGENT = { ready: 'PRIMARY', scheduled: 'ix_queue', blocked: 'ix_queue' } as const;

export function ofState(state: State): Path {
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
export function orderOf({ states, queue, symbol, user }: JobSearch, sort: JobSort): Order {
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
export function bounded(lane: Lane, { descending }: Order, place: Place, side: 'behind' | 'up to'): Condition[] | undefined {
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
export function selectOf(
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
export async function walk(
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
