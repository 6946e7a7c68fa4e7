/** Where one stands in the list of jobs: a look at one job, and the way back finds the same filter, place and selection. */
import { queries } from '../data/client.ts';

export interface JobsPlace {
  /** The query of the address. */
  search: Record<string, string>;
  chosen: ReadonlySet<string>;
  /** Pixels that the table is scrolled by. */
  scroll: number;
}

// Among the answers, so that signing out forgets it with them.
const KEY = ['jobs-place'];

export const jobsPlace = (): JobsPlace | undefined => queries.getQueryData<JobsPlace>(KEY);

export function keepJobsPlace(changes: Partial<JobsPlace>): void {
  queries.setQueryDefaults(KEY, { gcTime: Number.POSITIVE_INFINITY });
  queries.setQueryData<JobsPlace>(KEY, (before) => ({ search: {}, chosen: new Set(), scroll: 0, ...before, ...changes }));
}
