/** Changes that people make to jobs: cancel, retry, redrive the failed ones. */
import type { Transaction } from '../platform/database/database.ts';
import { InputError } from '../platform/errors.ts';
import { type REDRIVABLE_STATES, RETRYABLE_ITEM_STATES } from '../platform/job-states.ts';
import { type Actor, recordChange } from '../platform/registry/audit.ts';
import { retryOnDuplicateKey } from './enqueue/retry-on-duplicate-key.ts';
import { type Change, isLive, type Ledger, nowOf, rulesOf } from './job.ts';
import { BATCH } from './maintain/due.ts';
import { lockPartsToCancel, lockPartsToRestart } from './parts.ts';
import { ALONE_FROM } from './run/deaths.ts';
import { transition, withLiveNeeds } from './run/dependents.ts';
import { move } from './states/move.ts';
import { idOf, lockFreeJobs, lockJobs, type Standing } from './states/standing.ts';

/** Locks a job. Errors: `InputError('job.unknown')`. */
export async function lockOne(tx: Transaction, id: string): Promise<Standing> {
  const [row] = await lockJobs(tx, [id]);
  if (row === undefined) throw new InputError('job.unknown', `there is no job ${id}; ended jobs are deleted after jobs.cleanup_after_days`);
  return row;
}

/** Writes that must be committed with a change, such as who made it. */
type Alongside = (tx: Transaction) => void;

/**
 * Cancels a live job, whoever wants it, and its live parts that no other live job needs. From the commit on, nothing of a running attempt is kept. The worker (the returned change names it) learns of the cancel from
 * the control message or at its next heartbeat, and stops the handler. Errors: `InputError('job.unknown' | 'job.ended')`.
 */
export function cancel(ledger: Ledger, id: string, reason: string, alongside?: Alongside): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const changes = await cancelWith(tx, ledger, [await lockOne(tx, id)], reason);
    alongside?.(tx);
    return changes;
  });
}

/** The same of several jobs in a transaction that has locked them. Errors: `InputError('job.ended')`. */
export async function cancelWith(tx: Transaction, ledger: Ledger, rows: readonly Standing[], reason: string): Promise<Change[]> {
  const over = rows.find(({ state }) => !isLive(state));
  if (over !== undefined)
    throw new InputError('job.ended', `job ${idOf(over)} has ended already (${over.state}); there is nothing to cancel`);
  const whole = rows.length === 1 ? `job ${idOf(rows[0] as Standing)}, of which it is a part,` : 'the job of which it is a part';
  const all = rows.map((row) => ({ ...row, why: reason }));
  for (let wave = rows; wave.length > 0; ) {
    wave = await lockPartsToCancel(tx, wave, all);
    all.push(...wave.map((row) => ({ ...row, why: `${whole} was cancelled: ${reason}` })));
  }
  const code = 'job.cancelled';
  return transition(tx, ledger, all, ({ why }) => ({
    ...{ state: 'cancelled', code, reason: why },
    attempted: { outcome: 'cancelled', code, reason: why },
  }));
}

/**
 * Starts one job again: a scheduled one now, an ended one with a full set of new attempts. Its failed items become pending, its completed items stay done.
 * Its parts that have something left to do start too, and it waits for them; those whose work another live job does are left as they are.
 * Errors: `InputError('job.unknown' | 'job.live' | 'job.superseded')`.
 */
export function retry(ledger: Ledger, id: string, alongside?: Alongside): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const row = await lockOne(tx, id);
    if (row.state === 'ready' || row.state === 'running' || row.state === 'blocked')
      throw new InputError('job.live', `job ${id} is ${row.state}: it will run without a retry`);
    const { superseded, changes } = await retryOnDuplicateKey(() => restart(tx, ledger, [row]));
    if (superseded.length > 0)
      throw new InputError('job.superseded', `job ${id} cannot start again: another live job does the same work (${row.dedupe_key})`);
    alongside?.(tx);
    return changes;
  });
}

export interface RedriveFilter {
  type?: string | undefined;
  symbol?: string | undefined;
  /** `failed` by default; the others by name. */
  state?: (typeof REDRIVABLE_STATES)[number] | undefined;
}

/**
 * Starts failed jobs again, at most 500 a call, the earliest ended first. Repeat while `more`. The last call names up to 500 jobs that were left as they are
 * because another live job does the same work.
 */
export function redrive(
  ledger: Ledger,
  { type, symbol, state = 'failed' }: RedriveFilter,
  alongside?: (tx: Transaction, redriven: number) => void,
): Promise<{ changes: Change[]; superseded: string[]; more: boolean }> {
  const oldest = (tx: Transaction, superseded: 'EXISTS' | 'NOT EXISTS'): Promise<{ id: Buffer }[]> =>
    tx.rows(
      `SELECT STRAIGHT_JOIN e.job_id AS id FROM ended e FORCE INDEX (ix_ended) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = e.job_id
        WHERE e.state = ? ${type === undefined ? '' : 'AND j.type = ?'} ${symbol === undefined ? '' : 'AND j.symbol = ?'}
          AND ${superseded} (SELECT 1 FROM live_keys l FORCE INDEX (PRIMARY) WHERE l.dedupe_key = j.dedupe_key)
        ORDER BY e.ended_at, e.job_id LIMIT ${BATCH}`,
      [state, type, symbol].filter((value) => value !== undefined),
    );
  return ledger.db.transaction(async (tx) => {
    const found = await oldest(tx, 'NOT EXISTS');
    const rows = (await lockFreeJobs(tx, found)).filter((row) => row.state === state);
    const { changes, superseded } = await retryOnDuplicateKey(() => restart(tx, ledger, rows));
    alongside?.(tx, changes.length);
    const more = found.length === BATCH && superseded.length < rows.length;
    return { changes, superseded: more ? [] : (await oldest(tx, 'EXISTS')).map(idOf), more };
  });
}

/** For `alongside` of `redrive`: one that starts nothing changes nothing. */
export function recordRedrive(tx: Transaction, actor: Actor, { state = 'failed', type, symbol }: RedriveFilter, redriven: number): void {
  if (redriven === 0) return;
  const which = [state, type, symbol].filter((part) => part !== undefined).join(' ');
  recordChange(tx, actor, { action: 'job.redrive', details: `${which}: ${redriven} started again` });
}

export interface Restarted {
  /** Of the jobs, and of the parts that were started with them. */
  changes: Change[];
  /** Ids of the jobs that were left because another live job has their key. */
  superseded: string[];
}

/** Makes ended or scheduled jobs ready, with their parts that have something left to do, or blocked while a dependency is live. */
export async function restart(tx: Transaction, ledger: Ledger, rows: readonly Standing[]): Promise<Restarted> {
  const { startable, superseded } = await withoutSuperseded(tx, rows);
  if (startable.length === 0) return { changes: [], superseded };
  const asked = new Set(rows.map(idOf));
  const left = (await lockPartsToRestart(tx, startable)).filter((row) => !asked.has(idOf(row)));
  const all = [...startable, ...(await withoutSuperseded(tx, left)).startable];
  // A part that is started again is one that its job waits for.
  const waiting = await withLiveNeeds(tx, all.map(idOf), { locked: true, live: all.map(idOf) });
  const changes = await move(tx, ledger, all, (row) => ({
    ...(waiting.has(idOf(row)) ? { state: 'blocked', blocked_on: 'dependency' } : { state: 'ready' }),
    reason: 'started again by hand',
    // A job that killed its worker has a full set of tries, and makes them in a process of its own.
    max_attempts: row.attempt + rulesOf(ledger, row.type).maxAttempts,
    deaths: Math.min(row.deaths, ALONE_FROM),
    crashes: 0,
  }));
  tx.later(
    "UPDATE job_items FORCE INDEX (ix_state) SET state = 'pending', reason = NULL, updated_at = ? WHERE job_id IN (?) AND state IN (?)",
    [nowOf(ledger), all.map(({ id }) => id).sort(Buffer.compare), RETRYABLE_ITEM_STATES],
  );
  return { changes, superseded };
}

/** Of several jobs of one key the first. */
async function withoutSuperseded(tx: Transaction, rows: readonly Standing[]): Promise<{ startable: Standing[]; superseded: string[] }> {
  const keys = rows.flatMap(({ dedupe_key }) => dedupe_key ?? []).sort();
  // Not locked: if another job with the key becomes live meanwhile, `live_keys` refuses this one (see retryOnDuplicateKey).
  const live = await tx.rows<{ dedupe_key: string; id: Buffer }>(
    'SELECT dedupe_key, job_id AS id FROM live_keys FORCE INDEX (PRIMARY) WHERE dedupe_key IN (?)',
    [[null, ...keys]],
  );
  const holder = new Map(live.map((one) => [one.dedupe_key, idOf(one)]));
  const { startable = [], superseded = [] } = Object.groupBy(rows, (row) => {
    const { dedupe_key } = row;
    if (dedupe_key === null) return 'startable';
    return holder.getOrInsert(dedupe_key, idOf(row)) === idOf(row) ? 'startable' : 'superseded';
  });
  return { startable, superseded: superseded.map(idOf) };
}
