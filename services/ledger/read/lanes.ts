/** The indexes that a search of the jobs walks, in the order of its sort. */
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { END_STATES, LIVE_STATES } from '../../platform/job-states.ts';
import { idFromBytes, idToBytes } from '../id.ts';
import { isLive, QUEUES, type Queue, type State } from '../job.ts';
import { type Condition, firstIdAt, given, LAST_REASON, paramsOf, whereOf } from './jobs.ts';

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

export interface Order {
  lanes: Lane[];
  descending: boolean;
}

/** A filter that its walk does not follow. */
export function comparisons({ states, queue, type, symbol, user, worker, code, reason }: JobSearch, isByState: boolean): Condition[] {
  // As the list shows it.
  const shown = `COALESCE((SELECT r.reason FROM ended r WHERE r.job_id = j.id), ${LAST_REASON})`;
  return given(
    ['j.state IN (?)', isByState ? undefined : states],
    ['j.queue = ?', queue],
    ['j.type = ?', type],
    ['j.symbol = ?', user === undefined ? undefined : symbol],
    ['j.worker_id = ?', worker],
    ['(SELECT r.code FROM ended r WHERE r.job_id = j.id) = ?', code],
    [`${shown} COLLATE utf8mb4_general_ci LIKE ?`, reason === undefined ? undefined : `%${reason.replaceAll(/[\\%_]/g, '\\$&')}%`],
  );
}

/** The moments stand in the ids. */
export function idRange({ enqueuedAfter, enqueuedBefore }: JobSearch, id: string): Condition[] {
  return given([`${id} >= ?`, enqueuedAfter && firstIdAt(enqueuedAfter)], [`${id} < ?`, enqueuedBefore && firstIdAt(enqueuedBefore)]);
}

type Path = Omit<Lane, 'lead' | 'key'> & { join: string };

const EVERY_JOB: Path = { from: 'jobs q FORCE INDEX (PRIMARY)', join: 'JOIN job_states j ON j.id = q.id', id: 'q.id', fixed: [] };

/** The jobs of one user or symbol. */
export function ownPath({ user, symbol }: JobSearch): Path | undefined {
  if (user !== undefined) {
    const join = 'JOIN job_states j ON j.id = s.job_id';
    return { from: 'job_subscribers s FORCE INDEX (ix_user)', join, id: 's.job_id', fixed: [['s.user_id = ?', user]] };
  }
  return symbol === undefined ? undefined : { ...EVERY_JOB, from: 'jobs q FORCE INDEX (ix_symbol)', fixed: [['q.symbol = ?', symbol]] };
}

export function ofState(state: State): Path {
  if (isLive(state))
    return { from: state, join: `JOIN job_states j ON j.id = ${state}.job_id`, id: `${state}.job_id`, fixed: [], isUnordered: true };
  const join = 'JOIN job_states j ON j.id = e.job_id';
  return { from: 'ended e FORCE INDEX (ix_ended)', join, id: 'e.job_id', fixed: [['e.state = ?', state]] };
}

/** The index of each state's table that is in the order of the claims. */
const URGENT = { ready: 'PRIMARY', scheduled: 'ix_queue', blocked: 'ix_queue' } as const;

function urgentLane(state: State, queue: Queue, lead: number): Lane {
  const { join, id } = ofState(state);
  // It has as many rows as workers have places: they are sorted.
  if (state === 'running') return { from: `running ${join}`, id, key: 'j.priority', fixed: [['j.queue = ?', queue]], lead };
  const from = `${state} FORCE INDEX (${URGENT[state as keyof typeof URGENT]})`;
  return { from, join, id, key: `${state}.priority`, fixed: [[`${state}.queue = ?`, queue]], lead };
}

/** Errors: `InputError('jobs.bad_sort')`. */
export function orderOf(search: JobSearch, sort: JobSort): Order {
  const own = ownPath(search);
  if (sort === 'newest' || sort === 'oldest') return { lanes: [{ ...(own ?? EVERY_JOB), lead: 0 }], descending: sort === 'newest' };
  const possible: readonly State[] = sort === 'urgent' ? LIVE_STATES : END_STATES;
  const asked = search.states ?? possible;
  const unfit = asked.find((state) => !possible.includes(state));
  if (unfit !== undefined)
    throw new InputError('jobs.bad_sort', `jobs in the state ${unfit} have no order by "${sort}": it is for ${possible.join(', ')}`);
  // The jobs of one user or symbol are few: they are sorted.
  const ownLane = ({ from, join, id, fixed }: Path, key: string, lead: number, ...more: Condition[]): Lane => ({
    ...{ from: `${from} ${join}`, id, key, lead },
    fixed: [...fixed, ['j.state IN (?)', asked], ...more],
  });
  if (sort === 'ended')
    return {
      descending: true,
      lanes: own ? [ownLane(own, 'j.ended_at', 0)] : asked.map((state) => ({ ...ofState(state), key: 'e.ended_at', lead: 0 })),
    };
  const lanes = QUEUES.flatMap((queue, lead) => {
    if (own) return [ownLane(own, 'j.priority', lead, ['j.queue = ?', queue])];
    return (search.queue ?? queue) === queue ? asked.map((state) => urgentLane(state, queue, lead)) : [];
  });
  return { descending: false, lanes };
}

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
    `SELECT STRAIGHT_JOIN ${lane.id} AS id, ${lane.key ?? 'NULL'} AS k FROM ${from} ${whereOf(all)} ${order} ${limit}`,
    paramsOf(all),
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
      const rows = await sql.rows<{ id: Buffer; k: Date | number | null }>(text, params);
      return rows.map(({ id, k }): Place => ({ lead: lane.lead, key: k instanceof Date ? k.getTime() : (k ?? 0), id: idFromBytes(id) }));
    }),
  );
  return found.flat().sort((a, b) => compare(a, b, order));
}
