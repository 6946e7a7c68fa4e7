/** How long a job of downloads has its place in the worker. */

import { priorityOf, QUEUES } from '../../ledger/job.ts';
import type { ClaimedJob } from '../../ledger/run/claim.ts';
import type { Sql } from '../../platform/database/database.ts';
import { historyType } from './definition.ts';

/** The share of its time limit after which a job takes no more objects and goes on in another attempt: the ones under way have the rest. */
const SHARE = 0.75;
/** Milliseconds between looks for more urgent downloads. */
const LOOK_MS = 2_000;
/** Ready downloads before this one that a look reads, of each queue and capability. */
const LOOKED_AT = 1_000;

export interface Turn {
  /** `performance.now()` from which on no object is begun. */
  ends: number;
  /** Whether it is over: by its time, or since a more urgent download waits for a place. */
  isOver(): boolean;
  /** Looks, now and then, for more urgent downloads. They wait for seconds and not for the hours that this one may take. */
  look(): Promise<void>;
}

/** `capabilities`: those of the worker. */
export function beginTurn(
  sql: Sql,
  job: Pick<ClaimedJob, 'queue' | 'level' | 'score'>,
  limitSeconds: number,
  capabilities: readonly string[] = [],
): Turn {
  let next = performance.now() + LOOK_MS;
  const turn: Turn = {
    ends: performance.now() + limitSeconds * 1000 * SHARE,
    isOver: () => performance.now() >= turn.ends,
    async look() {
      if (performance.now() < next) return;
      next = performance.now() + LOOK_MS;
      if (await hasMoreUrgent(sql, job, ['', ...capabilities])) turn.ends = 0;
    },
  };
  return turn;
}

/** What has become more urgent by waiting has its turn when a place is free: of two alike each would else take the place of the other with every level that it rises. */
async function hasMoreUrgent(
  sql: Sql,
  { queue, level, score }: Pick<ClaimedJob, 'queue' | 'level' | 'score'>,
  capabilities: readonly string[],
): Promise<boolean> {
  const mine = priorityOf(level, score);
  const queues = QUEUES.slice(0, QUEUES.indexOf(queue) + 1);
  const kinds = capabilities.flatMap((capability) => queues.map((one) => [capability, historyType.name, one, mine]));
  const ahead = `(SELECT STRAIGHT_JOIN r.priority + j.aged * 10000 AS asked FROM ready r FORCE INDEX (ix_type) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = r.job_id
    WHERE r.capability = ? AND r.type = ? AND r.queue = ? AND r.priority < ? ORDER BY r.priority, r.job_id LIMIT ${LOOKED_AT})`;
  const found = await sql.rows(`SELECT 1 FROM (${kinds.map(() => ahead).join(' UNION ALL ')}) AS ahead WHERE asked < ? LIMIT 1`, [
    ...kinds.flat(),
    mine,
  ]);
  return found.length > 0;
}
