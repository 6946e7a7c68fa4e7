/** Changes that people make to jobs: cancel, retry, redrive the failed ones. */
import type { Transaction } from '../platform/database/database.ts';
import { InputError } from '../platform/errors.ts';
import { type REDRIVABLE_STATES, RETRYABLE_ITEM_STATES } from '../platform/job-states.ts';
import { type Actor, recordChange } from '../platform/registry/audit.ts';
import { retryOnDuplicateKey } from './enqueue/retry-on-duplicate-key.ts';
import { idFromBytes } from './id.ts';
import { type Change, expiryOf, isLive, type Ledger, nowOf, placeOf, rulesOf } from './job.ts';
import { BATCH } from './maintain/due.ts';
import { lockPartsToCancel, lockPartsToRestart } from './parts.ts';
import { recordAttempts } from './run/complete.ts';
import { ALONE_FROM } from './run/deaths.ts';
import { changesOf, type Ended, resolveDependents, withLiveNeeds } from './run/dependents.ts';
import { enterBlocked } from './states/blocked.ts';
import { enterEnded, leaveEnded } from './states/ended.ts';
import { enterReady } from './states/ready.ts';
import { idOf, leave, lockFreeJobs, lockJobs, type Standing } from './states/standing.ts';
import { updateEach } from './update-each.ts';

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
  const changes: Change[] = [];
  const ended: Ended[] = [];
  const stopped: string[] = [];
  let why = reason;
  for (let wave: readonly Standing[] = rows; wave.length > 0; ) {
    await endCancelled(tx, nowOf(ledger), wave, why);
    for (const one of wave) {
      const { type, symbol, attempt, worker_id, state, blocked_on, has_dependents } = one;
      const cancelled = { id: idFromBytes(one.id), state: 'cancelled', reason: why } as const;
      changes.push({ ...cancelled, type, symbol, attempt, worker: worker_id ?? undefined, code: 'job.cancelled', place: placeOf(one) });
      ended.push({
        ...cancelled,
        type,
        symbol,
        hasDependents: has_dependents === 1,
        leavesSlot: state === 'ready' && blocked_on === 'slot',
      });
      if (state === 'running') stopped.push(cancelled.id);
    }
    wave = await lockPartsToCancel(
      tx,
      wave.map((one) => one.id),
    );
    why = `${whole} was cancelled: ${reason}`;
  }
  return [...changes, ...(await resolveDependents(tx, ledger, ended, stopped))];
}

async function endCancelled(tx: Transaction, now: Date, rows: readonly Standing[], reason: string): Promise<void> {
  leave(tx, rows);
  enterEnded(
    tx,
    now,
    rows.map((row) => ({ ...row, state: 'cancelled', code: 'job.cancelled', reason })),
  );
  await recordAttempts(
    tx,
    rows.flatMap(({ id, state, attempt, worker_id, started_at }) =>
      state === 'running' ? [[id, attempt, worker_id, started_at, now, 'cancelled', 'job.cancelled', reason]] : [],
    ),
  );
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
    const { superseded, parts } = await retryOnDuplicateKey(() => restart(tx, ledger, [row]));
    if (superseded.length > 0)
      throw new InputError('job.superseded', `job ${id} cannot start again: another live job does the same work (${row.dedupe_key})`);
    alongside?.(tx);
    return [...(await restarted(tx, [id])), ...(await restarted(tx, parts))];
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
  filter: RedriveFilter,
  alongside?: (tx: Transaction, redriven: number) => void,
): Promise<{ changes: Change[]; superseded: string[]; more: boolean }> {
  const state = filter.state ?? 'failed';
  const limits = [filter.type === undefined ? '' : 'AND j.type = ?', filter.symbol === undefined ? '' : 'AND j.symbol = ?'].join(' ');
  const params = [state, ...[filter.type, filter.symbol].filter((value) => value !== undefined)];
  const oldest = (tx: Transaction, superseded: 'EXISTS' | 'NOT EXISTS'): Promise<{ id: Buffer }[]> =>
    tx.rows(
      `SELECT STRAIGHT_JOIN e.job_id AS id FROM ended e FORCE INDEX (ix_ended) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = e.job_id
        WHERE e.state = ? ${limits} AND ${superseded} (SELECT 1 FROM live_keys l FORCE INDEX (PRIMARY) WHERE l.dedupe_key = j.dedupe_key)
        ORDER BY e.ended_at, e.job_id LIMIT ${BATCH}`,
      params,
    );
  return ledger.db.transaction(async (tx) => {
    const found = await oldest(tx, 'NOT EXISTS');
    const rows = (
      await lockFreeJobs(
        tx,
        found.map(({ id }) => id),
      )
    ).filter((row) => row.state === state);
    const started = await retryOnDuplicateKey(() => restart(tx, ledger, rows));
    const superseded = new Set(started.superseded);
    const ids = rows.map(({ id }) => idFromBytes(id)).filter((id) => !superseded.has(id));
    alongside?.(tx, ids.length + started.parts.length);
    const more = found.length === BATCH && ids.length > 0;
    const left = more ? [] : await oldest(tx, 'EXISTS');
    return { changes: await restarted(tx, [...ids, ...started.parts]), superseded: left.map(({ id }) => idFromBytes(id)), more };
  });
}

/** For `alongside` of `redrive`: one that starts nothing changes nothing. */
export function recordRedrive(tx: Transaction, actor: Actor, { state = 'failed', type, symbol }: RedriveFilter, redriven: number): void {
  if (redriven === 0) return;
  const which = [state, type, symbol].filter((part) => part !== undefined).join(' ');
  recordChange(tx, actor, { action: 'job.redrive', details: `${which}: ${redriven} started again` });
}

interface Restarted {
  /** Jobs that were left because another live job has their key. */
  superseded: string[];
  /** Parts that were started with their jobs. */
  parts: string[];
}

/** Makes ended or scheduled jobs ready, with their parts that have something left to do, or blocked while a dependency is live. */
export async function restart(tx: Transaction, ledger: Ledger, rows: readonly Standing[]): Promise<Restarted> {
  const { startable, superseded } = await withoutSuperseded(tx, rows);
  if (startable.length === 0) return { superseded, parts: [] };
  const asked = new Set(rows.map(idOf));
  const left = await lockPartsToRestart(tx, startable.map(idOf));
  const { startable: parts } = await withoutSuperseded(
    tx,
    left.filter((row) => !asked.has(idOf(row))),
  );
  const now = nowOf(ledger);
  const all = [...startable, ...parts].map((row) => ({ ...row, due_at: expiryOf(ledger, row, now) }));
  await leaveEnded(
    tx,
    all.filter(({ state }) => !isLive(state)),
  );
  leave(
    tx,
    all.filter(({ state }) => isLive(state)),
  );
  await updateEach(
    tx,
    ['max_attempts', 'deaths', 'crashes'],
    // A job that killed its worker has a full set of tries, and makes them in a process of its own.
    all.map(({ id, type, attempt, deaths }) => ({
      id,
      values: [attempt + rulesOf(ledger, type).maxAttempts, Math.min(deaths, ALONE_FROM), 0],
    })),
  );
  const ids = all.map(({ id }) => id).sort(Buffer.compare);
  tx.later(
    "UPDATE job_items FORCE INDEX (ix_state) SET state = 'pending', reason = NULL, updated_at = ? WHERE job_id IN (?) AND state IN (?)",
    [now, ids, RETRYABLE_ITEM_STATES],
  );
  // All of them first: a part that is started again is one that its job waits for.
  const ready = all.map((row) => ({ ...row, state: 'ready' as const, blocked_on: null }));
  enterReady(tx, ready);
  const waiting = new Set(await withLiveNeeds(tx, all.map(idOf), 'locked'));
  const blocked = ready.filter((row) => waiting.has(idOf(row)));
  leave(tx, blocked);
  enterBlocked(
    tx,
    blocked.map((row) => ({ ...row, blocked_on: 'dependency' })),
  );
  return { superseded, parts: parts.map(idOf) };
}

/** Of several jobs of one key the first. */
async function withoutSuperseded(tx: Transaction, rows: readonly Standing[]): Promise<{ startable: Standing[]; superseded: string[] }> {
  const keys = rows.flatMap(({ dedupe_key }) => dedupe_key ?? []).sort();
  // Not locked: if another job with the key becomes live meanwhile, `live_keys` refuses this one (see retryOnDuplicateKey).
  const live =
    keys.length === 0
      ? []
      : await tx.rows<{ dedupe_key: string; job_id: Buffer }>(
          'SELECT dedupe_key, job_id FROM live_keys FORCE INDEX (PRIMARY) WHERE dedupe_key IN (?)',
          [keys],
        );
  const holder = new Map(live.map(({ dedupe_key, job_id }) => [dedupe_key, idFromBytes(job_id)]));
  const superseded: string[] = [];
  const startable: Standing[] = [];
  for (const row of rows) {
    const id = idOf(row);
    if (row.dedupe_key !== null && (holder.get(row.dedupe_key) ?? id) !== id) superseded.push(id);
    else {
      startable.push(row);
      if (row.dedupe_key !== null) holder.set(row.dedupe_key, id);
    }
  }
  return { startable, superseded };
}

export async function restarted(tx: Transaction, ids: readonly string[]): Promise<Change[]> {
  return (await changesOf(tx, ids)).map((change) => ({ ...change, reason: 'started again by hand' }));
}
