import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { bandStart } from '../../ledger/job.ts';
import { UNIVERSE_KEY } from '../picks-universe/request.ts';
import { type Origin, requestFor } from '../request.ts';
import type { Reason } from './definition.ts';

/** The dedupe key of a user's report of a week. */
export const picksKey = (user: string, week: string): string => `picks:${week}:${user}`;

export interface PicksOptions {
  week: string;
  reason: Reason;
  payAgain?: boolean;
  origin: Origin;
}

/** Levels of the background analysis band: somebody waits for the first two, nobody for what an error left behind. */
const STEPS: Record<Reason, number> = { manual_trigger: 0, new_user: 0, new_week: 1, error_recovery: 2 };

/** A report of a week for each user. Each waits for the update of the universe, where one is under way. */
export function picksRequests(users: readonly string[], { week, reason, payAgain = false, origin }: PicksOptions): JobRequest[] {
  const level = bandStart('background_analysis') + STEPS[reason];
  return users.map((user) => {
    const request = requestFor(
      { ...origin, user },
      {
        type: 'picks',
        payload: { user, week_of: week, reason, ...(payAgain && { pay_again: true }) },
        dedupeKey: picksKey(user, week),
        after: [UNIVERSE_KEY],
      },
      { level, of: reason },
    );
    return request;
  });
}
