/** What somebody outside waits for: answers to logins, and callbacks. */
import { after } from '../../ledger/job.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { type LimitCheck, listed } from '../thresholds.ts';

/** Logins that are committed and not answered. The table holds what is being answered, and nothing else. */
export async function unansweredLogins(sql: Sql, { monitoring }: Pick<Config, 'monitoring'>, now: Date): Promise<LimitCheck> {
  const { max_unanswered } = monitoring.thresholds;
  const [row] = await sql.rows<{ oldest: Date | null; logins: number | string | null }>(
    'SELECT MIN(admitted_at) AS oldest, SUM(JSON_LENGTH(logins)) AS logins FROM login_answers WHERE admitted_at <= ?',
    [after(now, -max_unanswered)],
  );
  const oldest = row?.oldest ?? null;
  const seconds = oldest === null ? 0 : (now.getTime() - oldest.getTime()) / 1000;
  const logins = Number(row?.logins ?? 0);
  return {
    name: 'unanswered_logins',
    severity: 'critical',
    beyond: oldest !== null,
    value: seconds,
    threshold: max_unanswered,
    text: `${logins} logins that are committed have had no answer for more than ${max_unanswered} s (monitoring.thresholds.max_unanswered)${oldest === null ? '' : `, the oldest for ${Math.round(seconds)} s`}`,
  };
}

/** Callbacks of one look: an alert needs no exact number. */
const MOST = 1_000;
const GIVEN_UP_S = 3_600;

/** Receivers that refuse their callbacks or cannot be reached. By ix_due. */
export async function failingCallbacks(sql: Sql, { monitoring }: Pick<Config, 'monitoring'>, now: Date): Promise<LimitCheck> {
  const { max_callback_failures } = monitoring.thresholds;
  const some = (state: string, from: string): string =>
    `(SELECT host, attempts, last_error, due_at FROM callbacks FORCE INDEX (ix_due) WHERE state = '${state}' AND due_at > ${from} ORDER BY due_at DESC LIMIT ${MOST})`;
  const rows = await sql.rows<{ host: string; failures: number | string; error: string | null }>(
    `SELECT host, SUM(attempts) AS failures, MAX(last_error) AS error
       FROM (${some('pending', "'1970-01-01'")} UNION ALL ${some('failed', '?')}) c GROUP BY host HAVING SUM(attempts) >= ? ORDER BY failures DESC, host`,
    [after(now, -GIVEN_UP_S), max_callback_failures],
  );
  const named = rows.map(({ host, failures, error }) => `${host} (${failures} failures${error === null ? '' : `, ${error}`})`);
  return {
    name: 'callbacks_failing',
    beyond: rows.length > 0,
    value: Number(rows[0]?.failures ?? 0),
    threshold: max_callback_failures,
    text: `${rows.length} receivers of callbacks have failed ${max_callback_failures} times or more (monitoring.thresholds.max_callback_failures)${rows.length === 0 ? '' : `: ${listed(named)}`}`,
    subjects: rows
      .map(({ host }) => host)
      .sort()
      .join(' '),
  };
}
