/** Changes that people make to jobs: cancel, retry, redrive the failed ones. */
import type { Transaction } from '../platform/database/database.ts';
import { InputError } from '../platform/errors.ts';
import { type REDRIVABLE_STATES, RETRYABLE_ITEM_STATES } from '../platform/job-states.ts';
import { type Actor, recordChange } from '../platform/registry/audit.ts';
import { retryOnDuplicateKey } from './enqueue/retry-on-duplicate-key.ts';
import { idFromBytes, idToBytes, sortedBytes } from './id.ts';
import { type Change, expiryOf, isLive, type Ledger, nowOf, type Queue, rulesOf, type State } from './job.ts';
import { BATCH } from './maintain/due.ts';
import { lockPartsToCancel, lockPartsToRestart } from './parts.ts';
import { recordAttempts } from './run/complete.ts';
import { ALONE_FROM } from './run/deaths.ts';
import { changesOf, type Ended, resolveDependents, withLiveNeeds, writeReasons } from './run/dependents.ts';
import { stopWaiting } from './run/slots.ts';

/** What a change by hand must know of a job. */
export interface Row {
  id: Buffer;
  type: string;
  symbol: string | null;
  queue: Queue;
  state: State;
  attempt: number;
  max_attempts: number;
  worker_id: string | null;
  started_at: Date | null;
  has_dependents: number;
  blocked_on: 'slot' | 'dependency' | null;
  dedupe_key: string | null;
}

const COLUMNS = 'id, type, symbol, queue, state, attempt, max_attempts, worker_id, started_at, has_dependents, blocked_on, dedupe_key';

/** Locks a job. Errors: `InputError('job.unknown')`. */
export async function lockOne(tx: Transaction, id: string): Promise<Row> {
  const [row] = await tx.rows<Row>(`SELECT ${COLUMNS} FROM jobs WHERE id = ? FOR UPDATE`, [idToBytes(id)]);
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
    const changes = await cancelWith(tx, ledger, await lockOne(tx, id), reason);
    alongside?.(tx);
    return changes;
  });
}

/** The same in a transaction that has locked the job. Errors: `InputError('job.ended')`. */
export async function cancelWith(tx: Transaction, ledger: Ledger, row: Row, reason: string): Promise<Change[]> {
  const id = idFromBytes(row.id);
  if (!isLive(row.state)) throw new InputError('job.ended', `job ${id} has ended already (${row.state}); there is nothing to cancel`);
  const changes: Change[] = [];
  const ended: Ended[] = [];
  const stopped: string[] = [];
  let why = reason;
  for (let wave: readonly Row[] = [row]; wave.length > 0; ) {
    await endCancelled(tx, ledger, wave, why);
    for (const one of wave) {
      const { type, symbol, attempt, worker_id, state, blocked_on, has_dependents } = one;
      const cancelled = { id: idFromBytes(one.id), state: 'cancelled', reason: why } as const;
      changes.push({ ...cancelled, type, symbol, attempt, worker: worker_id ?? undefined });
      ended.push({
        ...cancelled,
        type,
        symbol,
        hasDependents: has_dependents === 1,
        leavesSlot: state === 'ready' && blocked_on === 'slot',
      });
      if (state === 'running') stopped.push(cancelled.id);
    }
    wave = await lockPartsToCancel<Row>(
      tx,
      wave.map((one) => one.id),
      COLUMNS,
    );
    why = `job ${id}, of which it is a part, was cancelled: ${reason}`;
  }
  return [...changes, ...(await resolveDependents(tx, ledger, ended, stopped))];
}

async function endCancelled(tx: Transaction, ledger: Ledger, rows: readonly Row[], reason: string): Promise<void> {
  const now = nowOf(ledger);
  const ids = rows.map(({ id }) => id).sort(Buffer.compare);
  await tx.run("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'cancelled', blocked_on = NULL, ended_at = ?, due_at = ? WHERE id IN (?)", [
    now,
    now,
    ids,
  ]);
  await stopWaiting(tx, ids);
  await writeReasons(
    tx,
    ids.map((id) => ({ id: idFromBytes(id), code: 'job.cancelled', reason })),
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
      `SELECT j.id FROM jobs j FORCE INDEX (ix_due)
        WHERE j.state = ? ${limits} AND ${superseded} (SELECT 1 FROM jobs l FORCE INDEX (ux_active) WHERE l.active_key = j.dedupe_key) ORDER BY j.due_at, j.id LIMIT ${BATCH}`,
      params,
    );
  return ledger.db.transaction(async (tx) => {
    const found = await oldest(tx, 'NOT EXISTS');
    const rows =
      found.length === 0
        ? []
        : await tx.rows<Row>(
            `SELECT ${COLUMNS} FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state = ? ORDER BY id FOR UPDATE SKIP LOCKED`,
            [found.map(({ id }) => id).sort(Buffer.compare), state],
          );
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
async function restart(tx: Transaction, ledger: Ledger, rows: readonly Row[]): Promise<Restarted> {
  const { startable, superseded } = await withoutSuperseded(tx, rows);
  if (startable.length === 0) return { superseded, parts: [] };
  const asked = new Set(rows.map(({ id }) => idFromBytes(id)));
  const left = await lockPartsToRestart<Row>(
    tx,
    startable.map(({ id }) => idFromBytes(id)),
    COLUMNS,
  );
  const { startable: parts } = await withoutSuperseded(
    tx,
    left.filter(({ id }) => !asked.has(idFromBytes(id))),
  );
  const all = [...startable, ...parts];
  const now = nowOf(ledger);
  for (const group of Map.groupBy(all, (row) => `${row.queue} ${row.type}`).values()) {
    const first = group[0] as Row;
    await tx.run(
      `UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'ready', blocked_on = NULL, worker_id = NULL, started_at = NULL, ended_at = NULL, max_attempts = attempt + ?,
        deaths = LEAST(deaths, ?), crashes = 0, due_at = ? WHERE id IN (?)`,
      // A job that killed its worker has a full set of tries, and makes them in a process of its own.
      [rulesOf(ledger, first.type).maxAttempts, ALONE_FROM, expiryOf(ledger, first, now), group.map(({ id }) => id).sort(Buffer.compare)],
    );
  }
  const ids = all.map(({ id }) => id).sort(Buffer.compare);
  await tx.run(
    "UPDATE job_items FORCE INDEX (ix_state) SET state = 'pending', reason = NULL, updated_at = ? WHERE job_id IN (?) AND state IN (?)",
    [now, ids, RETRYABLE_ITEM_STATES],
  );
  await tx.run('UPDATE job_results FORCE INDEX (PRIMARY) SET code = NULL, reason = NULL WHERE job_id IN (?)', [ids]);
  const waiting = await withLiveNeeds(tx, ids.map(idFromBytes), 'locked');
  if (waiting.length > 0)
    await tx.run("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'blocked', blocked_on = 'dependency' WHERE id IN (?)", [
      sortedBytes(waiting),
    ]);
  return { superseded, parts: parts.map(({ id }) => idFromBytes(id)) };
}

/** Of several jobs of one key the first. */
async function withoutSuperseded(tx: Transaction, rows: readonly Row[]): Promise<{ startable: Row[]; superseded: string[] }> {
  const keys = rows.flatMap(({ dedupe_key }) => dedupe_key ?? []);
  // Not locked: if another job with the key becomes live meanwhile, `ux_active` refuses the update (see retryOnDuplicateKey).
  const live =
    keys.length === 0
      ? []
      : await tx.rows<{ id: Buffer; active_key: string }>(
          'SELECT id, active_key FROM jobs FORCE INDEX (ux_active) WHERE active_key IN (?)',
          [keys.sort()],
        );
  const holder = new Map(live.map(({ id, active_key }) => [active_key, idFromBytes(id)]));
  const superseded: string[] = [];
  const startable: Row[] = [];
  for (const row of rows) {
    const id = idFromBytes(row.id);
    if (row.dedupe_key !== null && (holder.get(row.dedupe_key) ?? id) !== id) superseded.push(id);
    else {
      startable.push(row);
      if (row.dedupe_key !== null) holder.set(row.dedupe_key, id);
    }
  }
  return { startable, superseded };
}

async function restarted(tx: Transaction, ids: readonly string[]): Promise<Change[]> {
  return (await changesOf(tx, ids)).map((change) => ({ ...change, reason: 'started again by hand' }));
}
