/**
 * Where jobs stand: the table that holds a job's id is its state (`ready`, `scheduled`, `blocked`, `running`, `ended`). A transition deletes the row there and inserts one
 * here, in one transaction.
 *
 * Who changes a job locks its row in `jobs` first and then the row of its state, in the order of the ids (`lockJobs`). Only the claim (ready → running) and the completion of jobs
 * without dependents (running → ended) lock the row of the state alone, which is why the states are looked at in the order of these two: a job that moves on meanwhile is found
 * where it went.
 */
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { idFromBytes, sortedBytes } from '../id.ts';
import { isLive, type Queue, type State } from '../job.ts';
import { leaveBlocked } from './blocked.ts';
import { leaveEnded } from './ended.ts';
import { leaveReady } from './ready.ts';
import { leaveRunning } from './running.ts';
import { leaveScheduled } from './scheduled.ts';

/** A job and where it stands. */
export interface Standing {
  id: Buffer;
  type: string;
  symbol: string | null;
  /** That its worker must have; null: any worker. */
  capability: string | null;
  queue: Queue;
  priority: number;
  state: State;
  attempt: number;
  max_attempts: number;
  /** When time moves it on: its start, its expiry, the end of its lease, or when it ended. */
  due_at: Date;
  user_id: string | null;
  worker_id: string | null;
  /** `slot` of a ready job: it was made ready for a slot that is free. */
  blocked_on: 'slot' | 'dependency' | null;
  aged: number;
  has_dependents: number;
  deaths: number;
  crashes: number;
  dedupe_key: string | null;
  enqueued_at: Date;
  started_at: Date | null;
  /** Whether a running job was claimed for users: it may hold a slot. */
  has_user: number | null;
}

/** What is needed to find the row of a job's state. */
export type Place = Pick<Standing, 'id' | 'state' | 'queue' | 'priority' | 'blocked_on'>;

// The hints hold the plan: with few rows the optimizer would read whole tables, and lock them.
const COLUMNS = `j.id, j.type, j.symbol, j.capability, j.queue, j.priority, j.max_attempts, j.user_id, j.aged, j.has_dependents, j.deaths, j.crashes, j.dedupe_key, j.enqueued_at,
         CASE WHEN r.job_id IS NOT NULL THEN 'ready' WHEN s.job_id IS NOT NULL THEN 'scheduled' WHEN b.job_id IS NOT NULL THEN 'blocked'
              WHEN n.job_id IS NOT NULL THEN 'running' ELSE e.state END AS state,
         COALESCE(r.attempt, s.attempt, b.attempt, n.attempt, e.attempt) AS attempt,
         COALESCE(r.due_at, s.due_at, b.due_at, n.due_at, e.ended_at) AS due_at,
         COALESCE(r.blocked_on, b.blocked_on) AS blocked_on, COALESCE(n.worker_id, e.worker_id) AS worker_id, COALESCE(n.started_at, e.started_at) AS started_at,
         n.has_user`;
const STATES = `
    LEFT JOIN ready r FORCE INDEX (PRIMARY) ON r.queue = j.queue AND r.priority = j.priority AND r.job_id = j.id
    LEFT JOIN scheduled s FORCE INDEX (PRIMARY) ON s.job_id = j.id
    LEFT JOIN blocked b FORCE INDEX (PRIMARY) ON b.job_id = j.id
    LEFT JOIN running n FORCE INDEX (PRIMARY) ON n.job_id = j.id
    LEFT JOIN ended e FORCE INDEX (PRIMARY) ON e.job_id = j.id`;
const SELECT = `SELECT STRAIGHT_JOIN ${COLUMNS} FROM jobs j FORCE INDEX (PRIMARY) ${STATES} WHERE j.id IN (?) ORDER BY j.id`;

type Keys = Iterable<string> | readonly Pick<Standing, 'id'>[];

/** Where jobs stand at this moment. In the order of their ids; unknown ids are left out. */
export async function readJobs(sql: Sql, ids: Keys): Promise<Standing[]> {
  const keys = keysOf(ids);
  return keys.length === 0 ? [] : sql.rows<Standing>(SELECT, [keys]);
}

/** The live jobs of dedupe keys. */
export async function readJobsOfKeys(sql: Sql, keys: Iterable<string>): Promise<(Standing & { dedupe_key: string })[]> {
  const all = [...new Set(keys)].sort();
  if (all.length === 0) return [];
  return sql.rows(
    `SELECT STRAIGHT_JOIN ${COLUMNS} FROM live_keys k FORCE INDEX (PRIMARY) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = k.job_id ${STATES} WHERE k.dedupe_key IN (?)`,
    [all],
  );
}

/** Locks jobs until the commit, and says where they stand. In the order of their ids; unknown ids are left out. */
export async function lockJobs(tx: Transaction, ids: Keys): Promise<Standing[]> {
  const keys = keysOf(ids);
  return keys.length === 0 ? [] : tx.rows<Standing>(`${SELECT} FOR UPDATE`, [keys]);
}

/** The same, without those that another transaction has locked. */
export async function lockFreeJobs(tx: Transaction, ids: Keys): Promise<Standing[]> {
  const keys = keysOf(ids);
  if (keys.length === 0) return [];
  const rows = await tx.rows<Standing & { state: State | null }>(`${SELECT} FOR UPDATE SKIP LOCKED`, [keys]);
  // The row of its state was skipped.
  return rows.filter(({ state }) => state !== null);
}

function keysOf(ids: Keys): Buffer[] {
  const all = [...ids] as string[] | Pick<Standing, 'id'>[];
  return typeof all[0] === 'string' ? sortedBytes(all as string[]) : (all as Standing[]).map(({ id }) => id).sort(Buffer.compare);
}

export const idOf = ({ id }: Pick<Standing, 'id'>): string => idFromBytes(id);

const LEAVE: Partial<Record<State, (tx: Transaction, rows: readonly Place[]) => void>> = {
  ready: leaveReady,
  scheduled: leaveScheduled,
  blocked: leaveBlocked,
  running: leaveRunning,
};

/** Takes locked jobs out of the state in which they stand. The caller lets them enter another one. Errors: those of `leaveEnded`. */
export async function leave(tx: Transaction, rows: readonly (Place & Pick<Standing, 'dedupe_key'>)[]): Promise<void> {
  await leaveEnded(
    tx,
    rows.filter(({ state }) => !isLive(state)),
  );
  for (const [state, some] of Map.groupBy(rows, (row) => row.state)) LEAVE[state]?.(tx, some);
}
