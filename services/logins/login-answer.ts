/** What a login led to, for whoever sent it: the row that is committed together with the login's jobs. */
import { setTimeout as delay } from 'node:timers/promises';
import { fromJson, type Sql } from '../platform/database/database.ts';

export interface LoginAnswer {
  /** Symbols held and watched; of these: to be made fresh, fresh already. */
  total: number;
  queued: number;
  fresh: number;
  /** A symbol each, with the jobs that it caused or joined, or why it caused none. */
  decisions: unknown;
}

const POLL_MS = 200;

/** Waits for the answer to the login of that user and moment; undefined when the signal ends the wait. The bell only says when to look; without it the row is found all the same. */
export async function loginAnswer(
  sql: Sql,
  user: string,
  at: Date,
  bell: Promise<void>,
  signal: AbortSignal,
): Promise<LoginAnswer | undefined> {
  let rung = false;
  while (!signal.aborted) {
    const [row] = await sql.rows<LoginAnswer>(
      'SELECT total, queued, fresh, decisions FROM user_portfolio_priority WHERE user_id = ? AND at = ?',
      [user, at],
    );
    if (row !== undefined) return { ...row, decisions: fromJson(row.decisions) };
    const pause = delay(POLL_MS, undefined, { signal }).catch(() => undefined);
    await (rung
      ? pause
      : Promise.race([
          pause,
          bell.then(() => {
            rung = true;
          }),
        ]));
  }
  return undefined;
}
