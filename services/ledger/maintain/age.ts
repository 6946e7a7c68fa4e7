import type { Config } from '../../platform/config/load.ts';
import { bandStart, type Ledger, LOWEST_LEVEL, levelOf, nowOf, QUEUES, type Queue, queueOfLevel } from '../job.ts';
import { partsAmong } from '../parts.ts';
import { move } from '../states/move.ts';
import { idOf, lockFreeJobs } from '../states/standing.ts';
import { BATCH } from './due.ts';

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

/** Looks within one ageing interval: a job rises at most a fifth of it late. */
const LOOKS_PER_AGEING = 5;

/** Which queues age, how, and how often to look. */
export interface ConfiguredAgeing {
  queues: readonly Queue[];
  ageing: Ageing;
  everySeconds: number;
}

/** The ageing that the configuration (`scheduler.ageing`) asks for; undefined where it is switched off. */
export function configuredAgeing({ interval, levels, foreground_interval }: Config['scheduler']['ageing']) {
  const aged = (queues: readonly Queue[], ageing: Ageing): ConfiguredAgeing => {
    return { queues, ageing, everySeconds: ageing.intervalSeconds / LOOKS_PER_AGEING };
  };
  const background = { intervalSeconds: interval, levels, highestLevel: bandStart('background_fetch') };
  const foreground = { intervalSeconds: foreground_interval, highestLevel: bandStart('foreground'), toHead: true };
  return {
    background: levels > 0 ? aged(AGED_QUEUES, background) : undefined,
    foreground: foreground_interval > 0 ? aged(['foreground'], foreground) : undefined,
  };
}

/** Where a walk over a queue stands. */
type Cursor = { priority: number; id: Buffer } | undefined;

/**
 * Raises waiting jobs by one level for each whole interval that they have waited, counted from the level at which they were enqueued: by at most `levels`, and
 * never above `highestLevel`. Parts of other jobs never rise: they wait by design, so that later jobs overtake them. Walks one queue of `ready` from `from` on. Returns how many were raised, and where to go on (undefined at the end).
 */
export async function age(ledger: Ledger, ageing: Ageing, queue: Queue, from: Cursor): Promise<{ raised: number; next: Cursor }> {
  const now = nowOf(ledger).getTime();
  const { priority, id } = from ?? { priority: 0, id: Buffer.alloc(16) };
  // A plain read: locks would hide these rows from claims, and in most calls no job rises.
  const rows = await ledger.db.rows<{ id: Buffer; priority: number; enqueued_at: Date; aged: number; has_dependents: number }>(
    `SELECT STRAIGHT_JOIN j.id, r.priority, j.enqueued_at, j.aged, j.has_dependents FROM ready r FORCE INDEX (PRIMARY) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = r.job_id
      WHERE r.queue = ? AND (r.priority > ? OR (r.priority = ? AND r.job_id > ?)) ORDER BY r.priority, r.job_id LIMIT ${BATCH}`,
    [queue, priority, priority, id],
  );
  const deserving = rows.flatMap((row) => {
    const rise = riseOf({ priority: row.priority, enqueuedMs: row.enqueued_at.getTime(), aged: row.aged }, ageing, now);
    return rise === undefined ? [] : [{ ...row, before: row.priority, ...rise }];
  });
  const needed = deserving.flatMap((row) => (row.has_dependents === 1 ? [row.id] : []));
  const parts = await partsAmong(ledger.db, needed);
  const risen = deserving.filter((row) => !parts.has(idOf(row)));
  return { raised: risen.length === 0 ? 0 : await raise(ledger, risen), next: rows.length === BATCH ? rows.at(-1) : undefined };
}

/** The priority and the levels in all that a waiting job has risen to at `nowMs`; undefined when it rises by none now. */
export function riseOf(
  { priority, enqueuedMs, aged }: { priority: number; enqueuedMs: number; aged: number },
  ageing: Ageing,
  nowMs: number,
): { priority: number; aged: number } | undefined {
  const floor = ageing.highestLevel * 10_000;
  const deserved = Math.floor((nowMs - enqueuedMs) / 1000 / ageing.intervalSeconds);
  const open = Math.min(deserved, ageing.levels ?? deserved) - aged;
  // More levels than there are change nothing, and `aged` counts to 255.
  const levels = ageing.toHead ? Math.min(open, LOWEST_LEVEL) : Math.min(open, Math.floor((priority - floor) / 10_000));
  const raised = Math.max(floor, priority - levels * 10_000);
  return levels > 0 && raised < priority ? { priority: raised, aged: aged + levels } : undefined;
}

/** Raises the jobs that still wait with the priority that was read. */
function raise(ledger: Ledger, risen: readonly Rise[]): Promise<number> {
  const riseOf = new Map(risen.map((one) => [idOf(one), one]));
  return ledger.db.transaction(async (tx) => {
    const rows = (await lockFreeJobs(tx, risen)).filter((row) => row.state === 'ready' && row.priority === riseOf.get(idOf(row))?.before);
    const raised = await move(tx, ledger, rows, (row) => {
      const { priority, aged } = riseOf.get(idOf(row)) as Rise;
      // The queue follows the level: an analysis that has risen to the level of background fetches is claimed with them.
      return { state: 'ready', blocked_on: row.blocked_on, priority, aged, queue: queueOfLevel(levelOf(priority)) };
    });
    return raised.length;
  });
}

interface Rise {
  id: Buffer;
  /** The priority that was read. */
  before: number;
  priority: number;
  aged: number;
}
