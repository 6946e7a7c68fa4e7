import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { Ledger } from '../../ledger/job.ts';
import { weekOf } from '../../picks/report/week.ts';
import { usersOfPicks } from '../../picks/store/profiles.ts';
import { usersWithReport } from '../../picks/store/reports.ts';
import type { Config } from '../../platform/config/load.ts';
import { universeRequests } from '../picks-universe/request.ts';
import type { Origin } from '../request.ts';
import { picksRequests } from './request.ts';

/**
 * The weekly run: a report of the week of now for each user who has none yet, after the stale symbols of the universe. Asked for twice it is one run: live jobs are joined, and
 * who has a report gets no second one. Nothing in static mode.
 */
export async function weeklyRun({ db, clock }: Pick<Ledger, 'db' | 'clock'>, config: Config, origin: Origin): Promise<JobRequest[]> {
  if (!config.picks.generation) return [];
  const week = weekOf(clock.now());
  const [users, done, universe] = await Promise.all([usersOfPicks(db), usersWithReport(db, week), universeRequests({ db, clock, config })]);
  const due = users.filter((user) => !done.has(user));
  return due.length === 0 ? [] : [...universe, ...picksRequests(due, { week, reason: 'new_week', origin })];
}
