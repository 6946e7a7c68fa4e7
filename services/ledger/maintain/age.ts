import { idFromBytes } from '../id.ts';
import { type Ledger, LOWEST_LEVEL, levelOf, nowOf, QUEUES, type Queue, queueOfLevel } from '../job.ts';
import { partsAmong } from '../parts.ts';
import { updateEach } from '../update-each.ts';
import { BATCH } from './due.ts';

/** The background queues. */
export const AGED_QUEUES = QUEUES.filter((queue): queue is Exclude<Queue, 'foreground'> => queue !== 'foreground');

export interface Ageing {
  /** Seconds of waiting for each level that a job rises. */
  intervalSeconds: number;
  /** The most urgent level that ageing may reach: for background queues outside the foreground band. */
  highestLevel: number;
  /** At the highest level a job also rises past the scores, to the head of the queue. Jobs at the head are done in the order of their age. */
  toHead?: boolean | undefined;
  /** Levels that a job may rise in all; without it only `highestLevel` limits the rise. */
  levels?: number | undefined;
}

/**
 * Raises waiting jobs by one level for each whole interval that they have waited, counted from the level at which they were enqueued: by at most `levels`, and
 * never above `highestLevel`. Parts of other jobs never rise: they wait by design, so that later jobs overtake them. Walks ix_claim of one queue from `from` on. Returns how many were raised, and where to go on (undefined at the end).
 */
export async function age(
  ledger: Ledger,
  ageing: Ageing,
  queue: Queue,
  from: { priority: number; id: Buffer } | undefined,
): Promise<{ raised: number; next: { priority: number; id: Buffer } | undefined }> {
  const now = nowOf(ledger);
  const floor = ageing.highestLevel * 10_000;
  // A plain read: locks would hide these rows from claims, and in most calls no job rises.
  const rows = await ledger.db.rows<{ id: Buffer; priority: number; enqueued_at: Date; aged: number; has_dependents: number }>(
    `SELECT id, priority, enqueued_at, aged, has_dependents FROM jobs FORCE INDEX (ix_claim)
      WHERE queue = ? AND state = 'ready' AND (priority > ? OR (priority = ? AND id > ?)) ORDER BY priority, id LIMIT ${BATCH}`,
    [queue, from?.priority ?? 0, from?.priority ?? 0, from?.id ?? Buffer.alloc(16)],
  );
  const deserving = rows.flatMap(({ id, priority, enqueued_at, aged, has_dependents }) => {
    const deserved = Math.floor((now.getTime() - enqueued_at.getTime()) / 1000 / ageing.intervalSeconds);
    const open = Math.min(deserved, ageing.levels ?? deserved) - aged;
    // More levels than there are change nothing, and `aged` counts to 255.
    const levels = ageing.toHead ? Math.min(open, LOWEST_LEVEL) : Math.min(open, Math.floor((priority - floor) / 10_000));
    const raised = Math.max(floor, priority - levels * 10_000);
    return levels > 0 && raised < priority ? [{ id, before: priority, priority: raised, aged: aged + levels, has_dependents }] : [];
  });
  const parts = await partsAmong(
    ledger.db,
    deserving.flatMap(({ id, has_dependents }) => (has_dependents === 1 ? [id] : [])),
  );
  const risen = deserving.filter(({ id }) => !parts.has(idFromBytes(id)));
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
