/** Changes of many jobs by hand, a slice at a time: each slice is one transaction, so a person who stops in the middle leaves whole jobs behind. */
import type { Transaction } from '../platform/database/database.ts';
import { END_STATES, LIVE_STATES, REDRIVABLE_STATES } from '../platform/job-states.ts';
import { cancelWith, restart } from './control.ts';
import { retryOnDuplicateKey } from './enqueue/retry-on-duplicate-key.ts';
import { type Change, isLive, type Ledger, type State } from './job.ts';
import { idOf, lockJobs } from './states/standing.ts';

/** `retry`: starts ended jobs again, and scheduled ones now. `redrive`: starts those again that ended other than completed. */
export const BULK_ACTIONS = {
  cancel: LIVE_STATES,
  retry: [...END_STATES, 'scheduled'],
  redrive: REDRIVABLE_STATES,
} as const satisfies Record<string, readonly State[]>;
export type BulkAction = keyof typeof BULK_ACTIONS;

/** Jobs of one transaction: what it locks, workers wait for. */
export const SLICE = 200;

/** A job that was left as it is. */
export interface LeftJob {
  id: string;
  code: 'job.unknown' | 'job.ended' | 'job.live' | 'job.superseded';
  reason: string;
}

export interface BulkAnswer {
  /** Of all jobs that changed: those that were meant, their parts, and what changed because of them. */
  changes: Change[];
  /** Ids of those that were meant and changed. */
  done: string[];
  left: LeftJob[];
}

/** Changes at most `SLICE` jobs. `alongside` commits with them, with the number of those that were meant and changed. */
export function changeMany(
  ledger: Ledger,
  action: BulkAction,
  ids: readonly string[],
  { reason, alongside }: { reason: string; alongside?: (tx: Transaction, done: number) => void },
): Promise<BulkAnswer> {
  return ledger.db.transaction(async (tx) => {
    const rows = await lockJobs(tx, ids);
    const states: readonly State[] = BULK_ACTIONS[action];
    const fit = rows.filter(({ state }) => states.includes(state));
    const stateOf = new Map(rows.map((row) => [idOf(row), row.state]));
    const left = ids.flatMap((id) => leftAs(id, stateOf.get(id), action) ?? []);
    const { changes, superseded } =
      action === 'cancel'
        ? { changes: await cancelWith(tx, ledger, fit, reason), superseded: [] }
        : await retryOnDuplicateKey(() => restart(tx, ledger, fit));
    left.push(...superseded.map((id): LeftJob => ({ id, code: 'job.superseded', reason: 'another live job does the same work' })));
    const isLeft = new Set(superseded);
    const done = fit.map(idOf).filter((id) => !isLeft.has(id));
    alongside?.(tx, done.length);
    return { changes, done, left };
  });
}

/** Why an action leaves a job as it is; undefined when the job fits. */
function leftAs(id: string, state: State | undefined, action: BulkAction): LeftJob | undefined {
  if (state === undefined) return { id, code: 'job.unknown', reason: 'there is no such job any more' };
  if ((BULK_ACTIONS[action] as readonly State[]).includes(state)) return;
  if (action === 'cancel') return { id, code: 'job.ended', reason: `it has ended already (${state})` };
  return isLive(state)
    ? { id, code: 'job.live', reason: `it is ${state}: it runs without being started again` }
    : { id, code: 'job.ended', reason: `it has ended as ${state}: nothing of it is left to do` };
}
