/** `ended`: how jobs ended, inserted once. `ix_ended` finds the failed ones, the latest and the oldest without a walk over the others. */
import { type Transaction, toJson } from '../../platform/database/database.ts';
import type { EndState } from '../job.ts';
import { deleteById } from './delete-by-id.ts';

export interface EndedRow {
  id: Buffer;
  state: EndState;
  attempt: number;
  worker_id: string | null;
  started_at: Date | null;
  code?: string | undefined;
  reason?: string | undefined;
  result?: unknown;
  dedupe_key: string | null;
}

const REASON_LIMIT = 2_000;

/** Cuts a reason to the column's length. */
export function truncateReason<Reason extends string | null>(reason: Reason): Reason | string {
  return reason === null || reason.length <= REASON_LIMIT ? reason : `${reason.slice(0, REASON_LIMIT - 1)}…`;
}

/** Ends jobs that have left their states. Their keys are free for other jobs. */
export function enterEnded(tx: Transaction, now: Date, rows: readonly EndedRow[]): void {
  if (rows.length === 0) return;
  tx.later('INSERT INTO ended (job_id, state, attempt, worker_id, started_at, ended_at, code, reason, result) VALUES ?', [
    rows.map(({ id, state, attempt, worker_id, started_at, code = null, reason = null, result }) => {
      return [id, state, attempt, worker_id, started_at, now, code, truncateReason(reason), result === undefined ? null : toJson(result)];
    }),
  ]);
  const keys = rows.flatMap(({ dedupe_key }) => dedupe_key ?? []);
  freeKeys(tx, keys);
}

/** Frees the keys of jobs that end. */
export function freeKeys(tx: Transaction, keys: readonly string[]): void {
  if (keys.length > 0)
    tx.later(
      `DELETE l FROM JSON_TABLE(?, '$[*]' COLUMNS (dedupe_key VARCHAR(190) CHARACTER SET utf8mb4 PATH '$')) k
        STRAIGHT_JOIN live_keys l FORCE INDEX (PRIMARY) ON l.dedupe_key = k.dedupe_key`,
      [JSON.stringify(keys.toSorted())],
    );
}

/** Makes ended jobs live again. Errors: the driver's 1062 when another live job has the key of one of them; nothing is written then. */
export async function leaveEnded(tx: Transaction, rows: readonly { id: Buffer; dedupe_key: string | null }[]): Promise<void> {
  if (rows.length === 0) return;
  const keys = rows.flatMap(({ id, dedupe_key }) => (dedupe_key === null ? [] : [[dedupe_key, id] as const]));
  keys.sort(([a], [b]) => (a < b ? -1 : 1));
  if (keys.length > 0) await tx.run('INSERT INTO live_keys (dedupe_key, job_id) VALUES ?', [keys]);
  deleteById(tx, 'ended', rows);
}
