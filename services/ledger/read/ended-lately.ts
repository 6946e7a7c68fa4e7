import { idFromBytes } from '../id.ts';
import { type Change, type Ledger, placeOf } from '../job.ts';
import type { Standing } from '../states/standing.ts';

type Read = 'id' | 'type' | 'symbol' | 'state' | 'attempt' | 'queue' | 'priority' | 'user_id';
/** Ends that workers bring about. */
const STATES = ['completed', 'completed_with_errors', 'failed'] as const;
/** Most jobs of one call, the latest: who has ended more in that time is heard of by whoever asks. */
const MOST = 1_000;

/**
 * The jobs that a worker has ended since a moment, latest first, as they were to be announced. A worker that dies between a commit and its messages has told nobody of them.
 */
export async function endedLately(ledger: Ledger, workerId: string, since: Date): Promise<Change[]> {
  const rows = await ledger.db.rows<Pick<Standing, Read> & { code: string | null; reason: string | null }>(
    STATES.map(
      () => `(SELECT STRAIGHT_JOIN e.job_id AS id, j.type, j.symbol, e.state, e.attempt, e.code, e.reason, j.queue, j.priority, j.user_id
         FROM ended e FORCE INDEX (ix_ended) JOIN jobs j FORCE INDEX (PRIMARY) ON j.id = e.job_id
        WHERE e.state = ? AND e.ended_at >= ? AND e.worker_id = ? ORDER BY e.ended_at DESC LIMIT ${MOST})`,
    ).join(' UNION ALL '),
    STATES.flatMap((state) => [state, since, workerId]),
  );
  return rows.map(({ id, type, symbol, state, attempt, code, reason, ...row }) => ({
    ...{ id: idFromBytes(id), type, symbol, state, attempt, worker: workerId, place: placeOf(row) },
    ...(code === null ? {} : { code }),
    ...(reason === null ? {} : { reason }),
  }));
}
