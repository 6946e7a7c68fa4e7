/** Where one stands in the list of jobs: a look at one job, and the way back finds the same filter, place and selection. */
import { queries } from '../../data/client.ts';

export interface JobsPlace {
  /** The query of the address. */
  search: Record<string, string | undefined>;
  chosen: ReadonlySet<string>;
  /** Pixels that the table is scrolled by. */
  scroll: number;
}

// Among the answers, so that signing out forgets it with them.
const KEY = ['jobs-place'];
queries.setQueryDefaults(KEY, { gcTime: Number.POSITIVE_INFINITY });

export const lastJobsPlace = (): JobsPlace | undefined => queries.getQueryData<JobsPlace>(KEY);

/** Another list than the one that was left begins at its top, with nothing chosen. */
export function jobsPlaceOf(search: JobsPlace['search']): JobsPlace {
  const last = lastJobsPlace();
  if (last !== undefined && JSON.stringify(last.search) === JSON.stringify(search)) return last;
  return { search, chosen: new Set(), scroll: 0 };
}

export function keepJobsPlace(search: JobsPlace['search'], changes: Partial<JobsPlace> = {}): void {
  queries.setQueryData<JobsPlace>(KEY, { ...jobsPlaceOf(search), ...changes });
}
