/** How jobs go from one state to another. What that changes for other jobs: `run/dependents.ts`. */
import type { Transaction } from '../../platform/database/database.ts';
import { type Change, expiryOf, isLive, type Ledger, nowOf, placeOf, type State } from '../job.ts';
import { type BlockedRow, enterBlocked } from './blocked.ts';
import { type EndedRow, enterEnded, truncateReason } from './ended.ts';
import { enterReady, type ReadyRow } from './ready.ts';
import { enterScheduled } from './scheduled.ts';
import { idOf, leave, type Standing } from './standing.ts';

/** What a transition may change in `jobs`. */
const COLUMNS = ['queue', 'priority', 'aged', 'max_attempts', 'deaths', 'crashes'] as const;

/** Where a job goes, and what changes with it. */
export interface Next extends Partial<Pick<Standing, (typeof COLUMNS)[number]>> {
  state: State;
  /** If not given: a job that goes on waiting keeps its time, and one that begins to wait may wait as long as its queue allows. */
  due_at?: Date;
  /** Nothing if not given. */
  blocked_on?: Standing['blocked_on'];
  /** Told with the change, and stored when the job ends. */
  reason?: string;
  code?: string;
  result?: unknown;
  /** How its attempt ended without completing, if it ran. */
  attempted?: { outcome: 'failed' | 'retried' | 'lease_lost' | 'handed_back' | 'cancelled'; code: string; reason: string };
}

interface Move {
  from: Standing;
  to: Standing & Next;
}

/**
 * Takes locked jobs out of their states and lets them enter others. Returns the changes in the order of the rows. Errors: the driver's 1062 when an ended job is to live again
 * and another live job has its key; nothing is written then.
 */
export async function move<Row extends Standing>(
  tx: Transaction,
  ledger: Ledger,
  rows: readonly Row[],
  nextOf: (row: Row) => Next,
): Promise<Change[]> {
  if (rows.length === 0) return [];
  const now = nowOf(ledger);
  const moves = rows.map((from): Move => {
    const next = nextOf(from);
    const to = { ...from, blocked_on: null, ...next };
    const goesOn = from.state === 'ready' || from.state === 'blocked';
    return { from, to: goesOn || next.due_at !== undefined ? to : { ...to, due_at: expiryOf(ledger, to, now) } };
  });
  await leave(tx, rows);
  const entering = moves.map(({ to }) => to);
  enterWaiting(tx, entering);
  enterEnded(tx, now, entering.filter(({ state }) => !isLive(state)) as EndedRow[]);
  updateJobs(tx, moves);
  recordAttempts(tx, moves, now);
  return moves.map(changeOf);
}

type Waiting = Omit<ReadyRow, 'blocked_on'> & Pick<Standing, 'state' | 'blocked_on'>;

/** Those of the rows that are ready, scheduled or blocked. */
export function enterWaiting(tx: Transaction, rows: readonly Waiting[]): void {
  const { ready = [], scheduled = [], blocked = [] } = Object.groupBy(rows, ({ state }) => state);
  enterReady(tx, ready as ReadyRow[]);
  enterScheduled(tx, scheduled);
  enterBlocked(tx, blocked as BlockedRow[]);
}

/** By key look-ups: the transaction has locked these rows. Only the columns that change: all six cost half as much again. */
function updateJobs(tx: Transaction, moves: readonly Move[]): void {
  const columns = COLUMNS.filter((column) => moves.some(({ from, to }) => from[column] !== to[column]));
  if (columns.length === 0) return;
  const types = columns.map((column, index) => `${column} ${column === 'queue' ? 'VARCHAR(32)' : 'INT'} PATH '$[${index + 1}]'`);
  tx.later(
    `UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) CHARACTER SET ascii PATH '$[0]', ${types.join(', ')})) k
       STRAIGHT_JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = UNHEX(k.id) SET ${columns.map((column) => `j.${column} = k.${column}`).join(', ')}`,
    [JSON.stringify(moves.map(({ to }) => [to.id.toString('hex'), ...columns.map((column) => to[column])]))],
  );
}

function recordAttempts(tx: Transaction, moves: readonly Move[], now: Date): void {
  const rows = moves.flatMap(({ from: { id, state, attempt, worker_id, started_at }, to: { attempted } }) => {
    if (state !== 'running' || attempted === undefined) return [];
    const { outcome, code, reason } = attempted;
    return [[id, attempt, worker_id, started_at, now, outcome, code, truncateReason(reason)]];
  });
  if (rows.length > 0)
    tx.later('INSERT IGNORE INTO job_attempts (job_id, attempt, worker_id, started_at, ended_at, outcome, code, reason) VALUES ?', [rows]);
}

function changeOf({ from, to }: Move): Change {
  const { type, symbol, state, attempt, reason, code } = to;
  const worker = from.state === 'running' ? (from.worker_id ?? undefined) : undefined;
  return { id: idOf(to), type, symbol, state, attempt, worker, reason, code, place: placeOf(to) };
}
