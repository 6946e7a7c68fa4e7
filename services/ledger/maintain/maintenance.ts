/**
 * Maintenance: starts scheduled jobs, ends jobs that waited too long, raises the priority of waiting jobs, deletes old ones. Each call is one batch of at most 500
 * rows in one commit; the caller repeats while a batch is full.
 */
import type { Transaction } from '../../platform/database/database.ts';
import { END_STATES } from '../../platform/job-states.ts';
import { idFromBytes } from '../id.ts';
import { type Change, expiryOf, type Ledger, levelOf, nowOf, QUEUES, type Queue, queueOfLevel, type State } from '../job.ts';
import { type Ended, resolveDependents, withLiveNeeds, writeReasons } from '../run/dependents.ts';
import { stopWaiting } from '../run/slots.ts';
import { updateEach } from '../update-each.ts';

export const BATCH = 500;

interface Due {
  id: Buffer;
  type: string;
  symbol: string | null;
  queue: Queue;
  attempt: number;
  priority: number;
  has_dependents: number;
  blocked_on: 'slot' | 'dependency' | null;
  enqueued_at: Date;
}

function selectDue(tx: Transaction, state: State, before: Date, limit = BATCH): Promise<Due[]> {
  return tx.rows<Due>(
    `SELECT id, type, symbol, queue, attempt, priority, has_dependents, blocked_on, enqueued_at FROM jobs FORCE INDEX (ix_due)
      WHERE state = ? AND due_at <= ? ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
    [state, before, limit],
  );
}

function changed(rows: readonly Due[], state: State, reasonOf?: (row: Due) => string): Change[] {
  return rows.map((row) => ({
    id: idFromBytes(row.id),
    type: row.type,
    symbol: row.symbol,
    attempt: row.attempt,
    state,
    reason: reasonOf?.(row),
  }));
}

const idsOf = (rows: readonly Due[]): Buffer[] => rows.map(({ id }) => id).sort(Buffer.compare);

/** Makes scheduled jobs ready when their time has come, or blocked while a dependency is live. */
export function promote(ledger: Ledger): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    const rows = await selectDue(tx, 'scheduled', now);
    const waiting = new Set(
      await withLiveNeeds(
        tx,
        rows.map(({ id }) => idFromBytes(id)),
        'locked',
      ),
    );
    const states = Map.groupBy(rows, ({ id }) => (waiting.has(idFromBytes(id)) ? 'blocked' : 'ready'));
    for (const [state, some] of states)
      for (const [queue, group] of Map.groupBy(some, (row) => row.queue))
        await tx.run('UPDATE jobs FORCE INDEX (PRIMARY) SET state = ?, blocked_on = ?, due_at = ? WHERE id IN (?)', [
          state,
          state === 'blocked' ? 'dependency' : null,
          expiryOf(ledger, queue, now),
          idsOf(group),
        ]);
    return [...states].flatMap(([state, some]) => changed(some, state));
  });
}

/** Ends ready or blocked jobs that have waited longer than their queue's time to live, with the reason. */
export function expire(ledger: Ledger, state: 'ready' | 'blocked'): Promise<Change[]> {
  return ledger.db.transaction(async (tx) => {
    const now = nowOf(ledger);
    const rows = await selectDue(tx, state, now);
    if (rows.length === 0) return [];
    const reasonOf = (row: Due): string =>
      `waited ${Math.round((now.getTime() - row.enqueued_at.getTime()) / 1000)} s; the limit of ${row.queue} is ${ledger.queues[row.queue].ttlSeconds} s (queue.priority_queues.${row.queue}.ttl)`;
    await tx.run("UPDATE jobs FORCE INDEX (PRIMARY) SET state = 'expired', blocked_on = NULL, ended_at = ?, due_at = ? WHERE id IN (?)", [
      now,
      now,
      idsOf(rows),
    ]);
    if (state === 'blocked') await stopWaiting(tx, idsOf(rows));
    const ended = rows.map((row): Ended & { code: string } => ({
      id: idFromBytes(row.id),
      code: 'queue.expired',
      reason: reasonOf(row),
      state: 'expired',
      hasDependents: row.has_dependents === 1,
      leavesSlot: state === 'ready' && row.blocked_on === 'slot',
    }));
    await writeReasons(tx, ended);
    return [...changed(rows, 'expired', reasonOf), ...(await resolveDependents(tx, ledger, ended, []))];
  });
}

export interface Ageing {
  /** Seconds of waiting for each level that a job rises. */
  intervalSeconds: number;
  /** The most urgent level that ageing may reach: outside the foreground band. */
  highestLevel: number;
  /** Levels that a job may rise in all; without it only `highestLevel` limits the rise. */
  levels?: number | undefined;
}

/**
 * Raises background jobs by one level for each whole interval that they have waited, counted from the level at which they were enqueued: by at most `levels`, and
 * never above `highestLevel`. Walks ix_claim of one background queue from `from` on. Returns how many were raised, and where to go on (undefined at the end).
 */
export async function age(
  ledger: Ledger,
  ageing: Ageing,
  queue: Exclude<Queue, 'foreground'>,
  from: { priority: number; id: Buffer } | undefined,
): Promise<{ raised: number; next: { priority: number; id: Buffer } | undefined }> {
  const now = nowOf(ledger);
  const floor = ageing.highestLevel * 10_000;
  // A plain read: locks would hide these rows from claims, and in most calls no job rises.
  const rows = await ledger.db.rows<{ id: Buffer; priority: number; enqueued_at: Date; aged: number }>(
    `SELECT id, priority, enqueued_at, aged FROM jobs FORCE INDEX (ix_claim)
      WHERE queue = ? AND state = 'ready' AND (priority > ? OR (priority = ? AND id > ?)) ORDER BY priority, id LIMIT ${BATCH}`,
    [queue, from?.priority ?? 0, from?.priority ?? 0, from?.id ?? Buffer.alloc(16)],
  );
  const risen = rows.flatMap(({ id, priority, enqueued_at, aged }) => {
    const deserved = Math.floor((now.getTime() - enqueued_at.getTime()) / 1000 / ageing.intervalSeconds);
    const levels = Math.min(Math.min(deserved, ageing.levels ?? deserved) - aged, Math.floor((priority - floor) / 10_000));
    return levels > 0 ? [{ id, before: priority, priority: priority - levels * 10_000, aged: aged + levels }] : [];
  });
  const last = rows.length === BATCH ? rows.at(-1) : undefined;
  return {
    raised: risen.length === 0 ? 0 : await raise(ledger, risen),
    next: last === undefined ? undefined : { priority: last.priority, id: last.id },
  };
}

/** Raises the jobs that still wait with the priority that was read. */
function raise(ledger: Ledger, risen: readonly { id: Buffer; before: number; priority: number; aged: number }[]): Promise<number> {
  return ledger.db.transaction(async (tx) => {
    const locked = await tx.rows<{ id: Buffer; priority: number }>(
      "SELECT id, priority FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) AND state = 'ready' ORDER BY id FOR UPDATE SKIP LOCKED",
      [risen.map(({ id }) => id).sort(Buffer.compare)],
    );
    const priorityOf = new Map(locked.map(({ id, priority }) => [idFromBytes(id), priority]));
    const raised = risen.filter(({ id, before }) => priorityOf.get(idFromBytes(id)) === before);
    await updateEach(
      tx,
      ['priority', 'aged', 'queue'],
      // The queue follows the level: an analysis that has risen to the level of background fetches is claimed with them.
      raised.map(({ id, priority, aged }) => ({ id, values: [priority, aged, queueOfLevel(levelOf(priority))] })),
    );
    return raised.length;
  });
}

const TABLES_BY_JOB = ['job_details', 'job_results', 'job_attempts', 'job_subscribers', 'job_dependencies', 'job_items'] as const;

/** Deletes jobs that ended more than `days` ago, with their rows in other tables, at most `batch` jobs of each end state. Returns how many jobs. */
export async function deleteEnded(ledger: Ledger, days: number, batch = BATCH): Promise<number> {
  const before = new Date(nowOf(ledger).getTime() - days * 86_400_000);
  let deleted = 0;
  for (const state of END_STATES)
    deleted += await ledger.db.transaction(async (tx) => {
      const ids = idsOf(await selectDue(tx, state, before, batch));
      if (ids.length === 0) return 0;
      for (const table of TABLES_BY_JOB) await tx.run(`DELETE b FROM ${table} b FORCE INDEX (PRIMARY) WHERE b.job_id IN (?)`, [ids]);
      await tx.run('DELETE j FROM jobs j FORCE INDEX (PRIMARY) WHERE j.id IN (?)', [ids]);
      return ids.length;
    });
  await ledger.db.run(`DELETE FROM dedupe_windows WHERE until < ? ORDER BY until LIMIT ${BATCH}`, [before]);
  return deleted;
}

/** The queues whose jobs rise with age. */
export const AGED_QUEUES = QUEUES.filter((queue): queue is Exclude<Queue, 'foreground'> => queue !== 'foreground');
